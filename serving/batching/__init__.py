"""Server-side batching: concurrent session calls in, one padded run, each call's own rows out."""
