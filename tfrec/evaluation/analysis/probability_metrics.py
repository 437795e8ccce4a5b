"""AUC, log loss and accuracy of a ranker's probabilities over the candidates of all users."""

from __future__ import annotations

import math

import numpy as np
from sklearn.metrics import log_loss, roc_auc_score

from tfrec.evaluation.details import ProbabilityMetrics

THRESHOLD = 0.5
"""Probability from which on a candidate counts as predicted to be a label, for the accuracy."""


def probability_metrics(predicted: np.ndarray, is_label: np.ndarray) -> ProbabilityMetrics:
    """Metrics of probabilities [candidates] with their bool labels [candidates].

    All are NaN without candidates; the AUC also where all or none are labels.
    """
    count, labels = len(predicted), int(is_label.sum())
    if not count:
        return ProbabilityMetrics(0, 0, math.nan, math.nan, math.nan)
    return ProbabilityMetrics(
        candidates=count,
        labels=labels,
        auc=float(roc_auc_score(is_label, predicted)) if 0 < labels < count else math.nan,
        log_loss=float(log_loss(is_label, predicted, labels=[False, True])),
        accuracy=float(((predicted >= THRESHOLD) == is_label).mean()),
    )
