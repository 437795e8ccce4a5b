"""Data files in (CSV, JSON, Parquet, compressed or not), tables of text and their broken rows out."""
