"""Whether a ranker's chances come true: predicted chance against observed share over the candidates of a window."""

from __future__ import annotations

import numpy as np

from tfrec.evaluation.holdout import Holdout, Scorer
from tfrec.evaluation.scores import Bin, Reliability

BINS = 20


class Chances:
    """Listens to a scorer whose scores from 0 on are chances; below 0 is what was no candidate."""

    def __init__(self, holdout: Holdout) -> None:
        self._labels = holdout.labels
        self._predicted: list[np.ndarray] = [np.empty(0, np.float32)]
        self._chosen: list[np.ndarray] = [np.empty(0, bool)]

    def listening(self, score: Scorer) -> Scorer:
        """The scorer; whatever it answers is counted."""

        def heard(user_rows: np.ndarray) -> np.ndarray:
            scores = score(user_rows)
            is_candidate = scores >= 0
            self._predicted.append(scores[is_candidate])
            self._chosen.append(self._labels[user_rows].toarray()[is_candidate] > 0)
            return scores

        return heard

    def reliability(self, bins: int = BINS) -> Reliability:
        """Bins of equally many candidates, the least likely first; fewer bins than that of few candidates.

        The expected calibration error is the mean distance between predicted and observed over the candidates.
        Source: Naeini, Cooper and Hauskrecht, "Obtaining well calibrated probabilities using Bayesian binning" (2015).
        """
        predicted, chosen = np.concatenate(self._predicted).astype(np.float64), np.concatenate(self._chosen)
        parts = [part for part in np.array_split(np.argsort(predicted, kind="stable"), bins) if len(part)]
        found = tuple(Bin(float(predicted[part].mean()), float(chosen[part].mean()), len(part)) for part in parts)
        error = sum(each.candidates * abs(each.predicted - each.observed) for each in found) / max(len(predicted), 1)
        return Reliability(found, error)
