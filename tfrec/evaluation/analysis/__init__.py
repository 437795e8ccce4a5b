"""Takes the scores of an evaluation; gives breakdowns by group, history length and probability, and sample users."""
