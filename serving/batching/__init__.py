"""Server-side batching: takes concurrent session calls, runs them as padded batches, gives each its own rows."""
