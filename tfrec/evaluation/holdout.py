"""Held-out window: the labels of each user in it, and every event before it.

Under leave-last-out the "window" is each user's own held-out basket, and the events before it are
those of all users, also where they are later.

Users and items are numbered here, so that baselines, evaluation and scorers of any kind share one
numbering.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import scipy.sparse as sp

from tfrec.config import Clock, Config, SplitMethod, has_windows
from tfrec.errors import ConfigError, DataError
from tfrec.evaluation.own_events import OwnEvents, own_events
from tfrec.evaluation.query_times import query_times, window_start
from tfrec.examples.read import read_catalog, read_targets
from tfrec.schema import CLOCKS, DAY_SECONDS, POSITIVE_KINDS

SPLITS: tuple[SplitMethod, ...] = get_args(SplitMethod)
YEAR = 365 * DAY_SECONDS

EARLIER_SPLITS = {"validation": ("train",), "test": ("train", "validation")}
"""Window -> the splits whose targets together are every event before it."""

CANDIDATES = ("sold", "catalog")
"""Candidate items: those with an event before or inside the window, or the whole catalog."""

Scorer = Callable[[np.ndarray], np.ndarray]
"""Rows of `Holdout.user_ids` [batch] int64 -> scores [batch, items] float32, -inf = never."""


@dataclasses.dataclass(frozen=True)
class Holdout:
    """Labels of the window's users, and the interactions before the window.

    `history` and the `event_*` arrays hold the label kinds only (all kinds by default): with labels
    of purchases, a history is one of purchases. `own_events`, `is_cold` and `is_new` look at
    events of every kind.
    """

    window: str  # "validation" or "test"
    window_start: int  # seconds since the epoch; without windows the first label's timestamp or rank
    clock: Clock
    split: SplitMethod  # without meaning for the order clock
    candidates: str  # one of CANDIDATES
    label_kinds: tuple[str, ...]
    item_ids: np.ndarray  # [items] str, the candidates, in the order of the given catalog
    user_ids: np.ndarray  # [users] str, those with a label
    labels: sp.csr_matrix  # [users, items] 1.0 for a label
    labels_of_kind: dict[str, sp.csr_matrix]  # kind -> its labels, where there are several kinds
    history: sp.csr_matrix  # [users, items] baskets (distinct user, item, second) before the window
    event_user: np.ndarray  # [events] int64, a basket each; below len(user_ids) its row, else any other user
    event_item: np.ndarray  # [events] int64, column of item_ids
    event_timestamp: np.ndarray  # [events] int64 seconds
    is_cold: np.ndarray  # [items] bool, no event before the window
    is_new: np.ndarray  # [users] bool, no event before the window
    own_events: OwnEvents  # of the window's users, of every kind
    query_times: np.ndarray  # [users] int64 seconds; see query_times.py

    @property
    def has_windows(self) -> bool:
        """True if the window is one of global time, the same for all users."""
        return has_windows(self.clock, self.split)

    def age_days(self, user: np.ndarray, timestamp: np.ndarray) -> np.ndarray:
        """[events] float64 days from events to their users' query times.

        `user` and `timestamp` [events] are as those of `event_user`. Without windows, an event of a
        user without a label counts to that user's last event. Without meaning for the order clock.
        """
        n_users = max(len(self.query_times), self.event_user.max(initial=-1) + 1)
        ends = np.full(n_users, self.window_start)
        if not self.has_windows:
            ends[:] = 0
            np.maximum.at(ends, self.event_user, self.event_timestamp)
        ends[: len(self.query_times)] = self.query_times
        return np.asarray((ends[user] - timestamp) / DAY_SECONDS)


def read_holdout(
    examples_dir: str | Path,
    window: str = "test",
    **settings: Any,
) -> Holdout:
    """Read the holdout from ExampleGen's folder; settings as in `holdout_from_events`."""
    _check("window", window, tuple(EARLIER_SPLITS))
    before = pd.concat([read_targets(examples_dir, split) for split in EARLIER_SPLITS[window]], ignore_index=True)
    during = read_targets(examples_dir, window)
    return holdout_from_events(before, during, read_catalog(examples_dir), window=window, **settings)


def configured_holdout(examples_dir: str | Path, window: str, config: Config) -> Holdout:
    """Read the holdout with the settings of a run, whose clock is that of its tables."""
    return read_holdout(
        examples_dir,
        window,
        label_kinds=config.evaluation.label_kinds,
        candidates=config.evaluation.candidates,
        clock=config.clock,
        split=config.examples.split.method,
    )


def holdout_from_events(
    before: pd.DataFrame,
    during: pd.DataFrame,
    catalog: np.ndarray,
    *,
    window: str = "test",
    label_kinds: Sequence[str] | None = None,
    candidates: str = "sold",
    clock: Clock | None = None,
    split: SplitMethod = "time",
) -> Holdout:
    """Holdout of two event tables (user_id, item_id, kind, timestamp in seconds).

    `catalog` [items] str ids. `label_kinds` None: an event of any positive kind is a label. `clock`
    None: timestamps that all lie in 1970 are an order. ConfigError for an unknown value of a
    setting. DataError for an item that is not in the catalog, and for an event of `before` that is
    not before the window; see `window_start`.
    """
    kinds = tuple(label_kinds or POSITIVE_KINDS)
    for kind in kinds:
        _check("label_kinds", kind, POSITIVE_KINDS)
    _check("candidates", candidates, CANDIDATES)
    clock = clock or _clock(before, during)
    _check("clock", clock, CLOCKS)
    _check("split", split, SPLITS)
    start = window_start(before, during, clock, split)

    seen = pd.Index(_items(before))
    sold = seen.union(pd.Index(_items(during)))
    _check_in_catalog(sold, catalog)
    item_ids = catalog[pd.Index(catalog).isin(sold)] if candidates == "sold" else catalog
    positives, baskets = _baskets(during, kinds), _baskets(before, kinds)
    user_ids = np.sort(positives.user_id.unique())
    users = pd.Index(user_ids).append(pd.Index(baskets.user_id.unique()).difference(pd.Index(user_ids)))
    return Holdout(
        window=window,
        window_start=start,
        clock=clock,
        split=split,
        candidates=candidates,
        label_kinds=kinds,
        item_ids=item_ids,
        user_ids=user_ids,
        labels=_counts(positives, user_ids, item_ids).sign(),
        labels_of_kind=_labels_of_kind(during, kinds, user_ids, item_ids),
        history=_counts(baskets, user_ids, item_ids),
        event_user=_indices(baskets.user_id, users),
        event_item=_indices(baskets.item_id, item_ids),
        event_timestamp=baskets.timestamp.to_numpy(np.int64),
        is_cold=~pd.Index(item_ids).isin(seen),
        is_new=~pd.Index(user_ids).isin(before.user_id),
        own_events=own_events(before, user_ids, item_ids),
        query_times=query_times(during, user_ids, start, clock, split),
    )


def count_users(holdout: Holdout, since: int | None = None, until: int | None = None) -> np.ndarray:
    """[items] float32 distinct users of each item before the window.

    Of the events from second `since` on and before second `until`, where given.
    """
    kept = np.ones(len(holdout.event_timestamp), bool)
    if since is not None:
        kept &= holdout.event_timestamp >= since
    if until is not None:
        kept &= holdout.event_timestamp < until
    items = len(holdout.item_ids)
    pairs = pd.unique(holdout.event_user[kept] * items + holdout.event_item[kept])
    return np.bincount(pairs % max(items, 1), minlength=items).astype(np.float32)


def _check(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ConfigError(f"`{name}` is {value!r}; use one of {', '.join(allowed)}")


def _clock(before: pd.DataFrame, during: pd.DataFrame) -> Clock:
    last = max(before.timestamp.max() if len(before) else 0, during.timestamp.max() if len(during) else 0)
    return "order" if 0 < last < YEAR else "utc"


def _items(events: pd.DataFrame) -> np.ndarray:
    ids = events.item_id.unique().astype(object)
    return ids[ids != ""]


def _check_in_catalog(sold: pd.Index, catalog: np.ndarray) -> None:
    unknown = sold.difference(pd.Index(catalog))
    if len(unknown):
        raise DataError(
            f"item {unknown[0]!r} has events but is not in the catalog ({len(unknown)} such items); "
            "run `tfrec ingest` again, which adds a row for each"
        )


def _baskets(events: pd.DataFrame, kinds: tuple[str, ...]) -> pd.DataFrame:
    """One row for each distinct (user, item, second) of the kinds, events with an item only."""
    kept = events[events.kind.isin(kinds) & (events.item_id != "")]
    return kept.drop_duplicates(["user_id", "item_id", "timestamp"])


def _labels_of_kind(
    during: pd.DataFrame, kinds: tuple[str, ...], user_ids: np.ndarray, item_ids: np.ndarray
) -> dict[str, sp.csr_matrix]:
    """[users, items] labels of each kind; empty where all labels have the same kind."""
    of_kind = {kind: _counts(_baskets(during, (kind,)), user_ids, item_ids).sign() for kind in kinds}
    used = {kind: labels for kind, labels in of_kind.items() if labels.nnz}
    return used if len(used) > 1 else {}


def _counts(baskets: pd.DataFrame, user_ids: np.ndarray, item_ids: np.ndarray) -> sp.csr_matrix:
    """[users, items] float32 number of `baskets`; users that are not in `user_ids` are left out."""
    rows, columns = _indices(baskets.user_id, user_ids), _indices(baskets.item_id, item_ids)
    kept = rows >= 0
    ones = np.ones(kept.sum(), np.float32)
    return sp.csr_matrix((ones, (rows[kept], columns[kept])), (len(user_ids), len(item_ids)))


def _indices(values: pd.Series, ids: np.ndarray | pd.Index) -> np.ndarray:
    """[rows] int64 index of each value in `ids`, -1 if it is not there."""
    return pd.Index(ids).get_indexer(pd.Index(values))
