"""Parts that several benchmarks share: generated shops, served models, load and tables."""
