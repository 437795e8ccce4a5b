"""What several benchmarks share: shops, models and load in, tables out."""
