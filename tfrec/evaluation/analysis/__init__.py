"""Analysis: scores of models in, breakdowns by group, history length and probability out."""
