"""Fit the towers: transformed examples and a configuration in, a trained two-tower model out."""
