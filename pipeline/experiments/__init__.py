"""Measurements beside the pipeline, on the data of a run: tuned baselines."""
