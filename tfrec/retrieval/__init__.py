"""The two-tower retrieval model: batches of features in, query and candidate embeddings and their loss out."""
