"""Data files in (CSV, JSON, Parquet, compressed or not), text and broken rows out."""
