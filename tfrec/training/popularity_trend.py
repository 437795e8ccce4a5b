"""Trend of each item's share of users: a number to add to its bias.

The towers learn shares over the whole training data, but a recommendation is for today. Source:
Saerens et al., "Adjusting the outputs of a classifier to new a priori probabilities" (2002).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from tfrec.schema import DAY_SECONDS


def trend(events: pd.DataFrame, rows: int, half_life_days: float, usual_half_life_days: float = 0.0) -> np.ndarray:
    """[rows] float32 log of an item's recent users over those expected by its share; row 0: 0.

    `events` has the columns user, row (in [0, rows)) and timestamp (seconds). A user counts once
    for an item, at the latest timestamp, halved for each half-life before the last event;
    `usual_half_life_days` 0 is no decay. Add-one smoothing on both sides keeps the trend of a rare
    item near 0.
    """
    if events.empty:
        return np.zeros(rows, np.float32)
    latest = events.groupby(["user", "row"], as_index=False).timestamp.max()
    age_days = (latest.timestamp.max() - latest.timestamp) / DAY_SECONDS

    def users(half_life: float) -> np.ndarray:
        return np.bincount(latest.row, 0.5 ** (age_days / half_life), rows)

    recent, usual = users(half_life_days), users(usual_half_life_days or np.inf)
    trend = np.log((recent + 1) / (usual * recent.sum() / usual.sum() + 1))
    trend[0] = 0
    return trend.astype(np.float32)
