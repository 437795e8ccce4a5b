"""95 % intervals of means over users, by the bootstrap.

Source: Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), chapters 12 and 13.
"""

from __future__ import annotations

import math

import numpy as np
import scipy.stats

LEVEL, RESAMPLES, SEED = 0.95, 2000, 7
MIN_USERS = 30  # with fewer users the percentiles of a bootstrap are too narrow
BATCH = 250  # resamples at once

SHARES, DIFFERENCES = (0.0, 1.0), (-1.0, 1.0)
"""Bounds of metrics such as NDCG, and of differences between them."""


def interval(values: np.ndarray, bounds: tuple[float, float] = (-math.inf, math.inf)) -> tuple[float, float]:
    """Ends of the 95 % interval of the mean of [users] values or differences within bounds."""
    ((low, high),) = intervals(values[:, np.newaxis], np.array([bounds]))
    return float(low), float(high)


def intervals(values: np.ndarray, bounds: np.ndarray | None = None) -> np.ndarray:
    """[columns, 2] float64 ends of the 95 % intervals of the column means of [users, columns].

    `bounds` are [columns, 2], the least and greatest possible mean, where the ends are cut.

    Percentiles over 2,000 resamples of the users, the same resamples for all columns. With fewer
    than 30 users the interval is Student's t, with fewer than two it is unbounded. NaN where a
    column holds NaN.
    """
    users, means = len(values), values.mean(axis=0) if len(values) else np.full(values.shape[1], math.nan)
    if users < 2:
        return np.tile([-math.inf, math.inf], (values.shape[1], 1))
    if users < MIN_USERS:
        factor = scipy.stats.t.ppf((1 + LEVEL) / 2, users - 1) / math.sqrt(users)
        half = factor * values.std(axis=0, ddof=1)
        ends = np.stack([means - half, means + half])
    else:
        ends = np.quantile(_resampled_means(values), [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    is_constant = np.ptp(values, axis=0) == 0  # rounding must not widen its interval
    ends = np.where(is_constant, means, ends).T
    return np.asarray(ends if bounds is None else np.clip(ends, bounds[:, :1], bounds[:, 1:]))


def _resampled_means(values: np.ndarray) -> np.ndarray:
    """[resamples, columns] means over as many users drawn with replacement."""
    users, random = len(values), np.random.default_rng(SEED)
    offsets = users * np.arange(BATCH)[:, np.newaxis]
    means = []
    for _ in range(RESAMPLES // BATCH):
        drawn = random.integers(0, users, (BATCH, users)) + offsets
        counts = np.bincount(drawn.ravel(), minlength=BATCH * users).reshape(BATCH, users)
        means.append(counts.astype(np.float64) @ values / users)
    return np.concatenate(means)
