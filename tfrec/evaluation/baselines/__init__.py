"""Baselines that a model must beat: a holdout in, scorers of its users out."""
