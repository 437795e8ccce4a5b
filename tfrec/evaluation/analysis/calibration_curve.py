"""Calibration of a ranker: predicted probability and observed share of labels of candidates."""

from __future__ import annotations

import numpy as np

from tfrec.evaluation.details import CalibrationBin, CalibrationCurve
from tfrec.evaluation.holdout import Holdout, Scorer

BINS = 20


class CandidateProbabilities:
    """Probabilities and labels of candidates, recorded while a scorer is evaluated.

    Scores from 0 on are probabilities; items with a score below 0 are no candidates.
    """

    def __init__(self, holdout: Holdout) -> None:
        self._holdout_labels = holdout.labels
        self._predicted: list[np.ndarray] = [np.empty(0, np.float32)]
        self._is_label: list[np.ndarray] = [np.empty(0, bool)]

    def recorded(self, score: Scorer) -> Scorer:
        """The scorer, whose scores are recorded here on each call."""

        def score_and_record(user_rows: np.ndarray) -> np.ndarray:
            scores = score(user_rows)
            is_candidate = scores >= 0
            self._predicted.append(scores[is_candidate])
            self._is_label.append(self._holdout_labels[user_rows].toarray()[is_candidate] > 0)
            return scores

        return score_and_record

    def joined(self) -> tuple[np.ndarray, np.ndarray]:
        """Probabilities [candidates] float64 and bool labels [candidates] of all calls."""
        return np.concatenate(self._predicted).astype(np.float64), np.concatenate(self._is_label)

    def curve(self, bins: int = BINS) -> CalibrationCurve:
        """Bins of equally many candidates in order of probability; fewer bins for few candidates.

        The expected calibration error is the mean distance between predicted and observed over the
        candidates. Source: Naeini, Cooper and Hauskrecht, "Obtaining well calibrated probabilities
        using Bayesian binning" (2015).
        """
        predicted, is_label = self.joined()
        parts = [part for part in np.array_split(np.argsort(predicted, kind="stable"), bins) if len(part)]
        curve = tuple(
            CalibrationBin(float(predicted[part].mean()), float(is_label[part].mean()), len(part)) for part in parts
        )
        error = sum(each.candidates * abs(each.predicted - each.observed) for each in curve) / max(len(predicted), 1)
        return CalibrationCurve(curve, error)
