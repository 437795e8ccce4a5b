"""Which version answers whom: promotion, canary and rollback in, a model configuration file out."""
