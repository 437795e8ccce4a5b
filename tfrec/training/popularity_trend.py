"""How each item's share of shoppers has moved of late: a number to add to its bias.

The towers learn what is chosen over the whole of their training; a shop is asked today. Source: Saerens et al.,
"Adjusting the outputs of a classifier to new a priori probabilities" (2002). It knows nothing of models.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from tfrec.schema import DAY_SECONDS


def trend(events: pd.DataFrame, rows: int, half_life_days: float, usual_half_life_days: float = 0.0) -> np.ndarray:
    """[rows] float32 log of an item's shoppers lately over those expected by its usual share; row 0 has none.

    `events` has the columns user, row (in [0, rows)) and timestamp (seconds). A shopper counts once for an
    item, by the latest time, halved for each half-life before the last event; `usual_half_life_days` 0 is
    no decay. One shopper more on both sides keeps a rare item where it is.
    """
    if events.empty:
        return np.zeros(rows, np.float32)
    latest = events.groupby(["user", "row"], as_index=False).timestamp.max()
    age_days = (latest.timestamp.max() - latest.timestamp) / DAY_SECONDS

    def shoppers(half_life: float) -> np.ndarray:
        return np.bincount(latest.row, 0.5 ** (age_days / half_life), rows)

    lately, usual = shoppers(half_life_days), shoppers(usual_half_life_days or np.inf)
    trend = np.log((lately + 1) / (usual * lately.sum() / usual.sum() + 1))
    trend[0] = 0
    return trend.astype(np.float32)
