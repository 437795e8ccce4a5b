"""Promotion, canary and rollback in, a model configuration file with labels out."""
