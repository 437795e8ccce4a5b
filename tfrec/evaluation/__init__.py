"""Takes a model and held-out interactions; gives metrics over the whole catalog and a verdict."""
