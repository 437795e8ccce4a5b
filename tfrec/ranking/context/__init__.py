"""Ranking features of the request's context, such as its store, and of items at the query time."""
