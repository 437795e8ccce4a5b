"""Takes scores of models; gives breakdowns by group, history length and probability."""
