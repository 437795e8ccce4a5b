"""Events of every kind of the held-out users before the window."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd


@dataclasses.dataclass(frozen=True)
class OwnEvents:
    """The held-out users' own events with an item: a row for each (user, item, kind, second)."""

    user: np.ndarray  # [events] int64, row of user_ids
    item: np.ndarray  # [events] int64, column of item_ids
    kind: np.ndarray  # [events] str
    timestamp: np.ndarray  # [events] int64 seconds


def own_events(before: pd.DataFrame, user_ids: np.ndarray, item_ids: np.ndarray) -> OwnEvents:
    """Events of the users `user_ids` in a table of all events before the window."""
    kept = before[before.user_id.isin(user_ids) & (before.item_id != "")]
    kept = kept.drop_duplicates(["user_id", "item_id", "kind", "timestamp"])
    return OwnEvents(
        pd.Index(user_ids).get_indexer(pd.Index(kept.user_id)),
        pd.Index(item_ids).get_indexer(pd.Index(kept.item_id)),
        kept.kind.to_numpy(object),
        kept.timestamp.to_numpy(np.int64),
    )
