"""Honest evaluation: a model and held-out examples in, metrics over the whole catalog and a verdict out."""
