"""Takes a model and held-out interactions; gives metrics over the whole catalog and the verdict on the model."""
