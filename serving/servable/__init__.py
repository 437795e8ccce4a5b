"""One loaded SavedModel version: request messages in, answers of its signatures out."""
