"""Two-tower retrieval model: takes batches of features, gives embeddings and their loss."""
