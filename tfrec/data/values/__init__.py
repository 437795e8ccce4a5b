"""Text of a file's columns in; ids, numbers, kinds and canceled rows out, with counts."""
