"""Server-side batching: concurrent calls of one model in, padded batches out."""
