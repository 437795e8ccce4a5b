"""Text understanding without a recommender: takes texts, gives token ids and vectors."""
