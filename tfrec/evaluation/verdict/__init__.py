"""Scores of a model and of what it is compared with in, BLESSED or REFUSED with reasons out."""
