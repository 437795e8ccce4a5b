"""A model and held-out interactions in, metrics over the whole catalog and a verdict out."""
