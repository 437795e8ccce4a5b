"""Measurements on a run's data beside its pipeline: tuned baselines, a search for settings."""
