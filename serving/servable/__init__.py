"""One loaded SavedModel version: request messages in, outputs of its signatures out."""
