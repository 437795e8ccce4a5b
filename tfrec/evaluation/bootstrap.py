"""How far a mean over users may be off by chance: 95 % intervals by the bootstrap.

Source: Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), chapters 12 and 13.
"""

from __future__ import annotations

import math

import numpy as np
import scipy.stats

CONFIDENCE, RESAMPLES, SEED = 0.95, 2000, 7
FEW = 30  # users below which percentiles of a bootstrap promise too much
PART = 250  # resamples at once


def interval(values: np.ndarray) -> tuple[float, float]:
    """The 95 % interval of the mean of [users]: of one metric, or of the differences between two models."""
    ((low, high),) = intervals(values[:, np.newaxis])
    return float(low), float(high)


def intervals(values: np.ndarray) -> np.ndarray:
    """[columns, 2] float64 ends of the 95 % interval of the mean of each column of [users, columns].

    Percentiles over 2,000 resamples of the users, the same for all columns. Student's t for fewer than 30 users;
    without bounds for one, of whom nothing can be said. NaN where a column holds NaN.
    """
    users, means = len(values), values.mean(axis=0) if len(values) else np.full(values.shape[1], math.nan)
    if users < 2:
        return np.tile([-math.inf, math.inf], (values.shape[1], 1))
    if users < FEW:
        factor = scipy.stats.t.ppf((1 + CONFIDENCE) / 2, users - 1) / math.sqrt(users)
        half = factor * values.std(axis=0, ddof=1)
        ends = np.stack([means - half, means + half])
    else:
        ends = np.quantile(_resampled(values), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], axis=0)
    is_constant = np.ptp(values, axis=0) == 0  # no rounding may make a difference of it
    return np.asarray(np.where(is_constant, means, ends).T)


def _resampled(values: np.ndarray) -> np.ndarray:
    """[resamples, columns] means over as many users drawn with replacement."""
    users, random = len(values), np.random.default_rng(SEED)
    offsets = users * np.arange(PART)[:, np.newaxis]
    means = []
    for _ in range(RESAMPLES // PART):
        drawn = random.integers(0, users, (PART, users)) + offsets
        times = np.bincount(drawn.ravel(), minlength=PART * users).reshape(PART, users)
        means.append(times.astype(np.float64) @ values / users)
    return np.concatenate(means)
