"""A shop's files in, sampled columns of each group of equal files out."""
