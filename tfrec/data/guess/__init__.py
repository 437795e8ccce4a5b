"""A shop's files in, a guessed mapping with the reason of each guess out."""
