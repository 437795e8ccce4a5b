"""Benchmarks of what the lists of recommendations hold."""
