"""Where a model gains and fails: scores of an evaluation in, breakdowns by user, item and history length out."""
