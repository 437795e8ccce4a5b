"""Sorted tables in, entries of a mapping with their reasons out."""
