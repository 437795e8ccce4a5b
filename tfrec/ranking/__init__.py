"""The second stage: histories in, candidates and their calibrated probabilities out."""
