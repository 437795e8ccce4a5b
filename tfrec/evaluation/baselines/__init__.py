"""Takes a holdout; gives scorers of its users that a model must beat."""
