"""Text in, token ids and text vectors out; nothing here knows a recommender."""
