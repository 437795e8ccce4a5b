"""What an exported ranker says of its candidates of the test window, and what of it came true: rows to be measured.

Chances are measured, not ranks: whether they come true as often as they say, and where not. It computes no metric.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tfrec.errors import ModelError
from tfrec.evaluation.exported_model import EVENTS, USERS_AT_ONCE
from tfrec.examples.read import read_departments, read_histories, read_targets
from tfrec.schema import DAY_SECONDS

KEPT_MISSES = 10
"""One of so many candidates that were not chosen is kept, with that weight: they are fifty times as many."""

ACTIVITY = ((0, "none"), (1, "1 to 9"), (10, "10 to 99"), (100, "100 or more"))
"""Least number of events in the history -> what it is called."""

_SEED = 7


def ranked_candidates(folder: str | Path, examples_dir: str | Path, users: int, clock: str) -> pd.DataFrame:
    """A row for each (candidate, head): head, label (0 or 1), probability, weight, department, activity, is_repeat.

    The candidates are those of up to `users` users with a label, at the start of the window. ModelError when the
    folder holds no model of two stages.
    """
    import tensorflow as tf
    import tensorflow_text  # noqa: F401  registers ops of the model

    try:
        model = tf.saved_model.load(str(folder))
        heads = [head.decode() for head in model.heads.numpy()]
        inputs = model.signatures["embed_query"].structured_input_signature[1]
    except (OSError, KeyError, AttributeError, ValueError) as error:
        raise ModelError(f"{folder} holds no ranker ({error}); train one with ranking.epochs of 1 or more") from error
    profile = [name for name in inputs if name.startswith("user_") and name != "user_id"]
    targets = read_targets(examples_dir, "test")
    histories = read_histories(examples_dir, "test", EVENTS, profile)
    ids = histories["user_id"]
    asked = np.flatnonzero(np.isin(ids, [user.encode() for user in targets.user_id[targets.item_id != ""].unique()]))
    random = np.random.default_rng(_SEED)
    asked = np.sort(random.permutation(asked)[:users])
    query_time = int(targets.timestamp.min()) // DAY_SECONDS * DAY_SECONDS if clock == "utc" and len(targets) else 0
    items = _Items(model.item_ids.numpy(), read_departments(examples_dir))
    chosen = _chosen(targets, ids, items, heads)
    parts = [
        pd.DataFrame(
            {name: [] for name in ("head", "label", "probability", "weight", "department", "activity", "is_repeat")}
        )
    ]
    for start in range(0, len(asked), USERS_AT_ONCE):
        places = asked[start : start + USERS_AT_ONCE]
        batch: dict[str, Any] = {name: tf.constant(value[places]) for name, value in histories.items()}
        batch |= {"timestamp": tf.fill([len(places)], np.int64(query_time)), "query": tf.fill([len(places)], "")}
        answer = {name: value.numpy() for name, value in model.candidate_probabilities(**batch).items()}
        seen = items.rows(histories["event_item_id"][places])
        parts += _rows(places, answer, seen, items, chosen, heads, random)
    return pd.concat(parts[1:] or parts, ignore_index=True)


class _Items:
    """The model's catalogue rows with their departments."""

    def __init__(self, item_ids: np.ndarray, departments: dict[bytes, str]) -> None:
        self._index = pd.Index(item_ids)
        self.count = len(item_ids)
        self.department = np.array([departments.get(item_id, "") or "none" for item_id in item_ids], object)

    def rows(self, item_ids: np.ndarray) -> np.ndarray:
        """The row of each id, 0 for "" and for what the model does not know."""
        return np.maximum(self._index.get_indexer(pd.Index(item_ids.ravel())), 0).reshape(item_ids.shape)


def _chosen(targets: pd.DataFrame, ids: np.ndarray, items: _Items, heads: list[str]) -> list[np.ndarray]:
    """For each head the choices of that kind, each as user's place * items + row."""
    place = pd.Index(ids).get_indexer(pd.Index([user.encode() for user in targets.user_id]))
    row = items.rows(np.array([item.encode() for item in targets.item_id], object))
    return [(place * items.count + row)[(targets.kind == head).to_numpy() & (row > 0)] for head in heads]


def _rows(
    places: np.ndarray,
    answer: dict[str, np.ndarray],
    seen: np.ndarray,
    items: _Items,
    chosen: list[np.ndarray],
    heads: list[str],
    random: np.random.Generator,
) -> list[pd.DataFrame]:
    """The candidates of the users at `places`, a frame for each head."""
    user, place = np.nonzero(answer["row"])
    row = answer["row"][user, place]
    pair = places[user] * items.count + row
    labels = np.stack([np.isin(pair, pairs) for pairs in chosen], axis=1)
    is_hit = labels.any(axis=1)
    kept = is_hit | (random.random(len(row)) < 1 / KEPT_MISSES)
    known = np.arange(len(places))[:, None] * items.count + seen
    events = (seen > 0).sum(axis=1)[user]
    common = pd.DataFrame(
        {
            "weight": np.where(is_hit, 1.0, KEPT_MISSES),
            "department": items.department[row],
            "activity": np.array([name for _, name in ACTIVITY], object)[
                np.searchsorted([least for least, _ in ACTIVITY], events, side="right") - 1
            ],
            "is_repeat": np.where(np.isin(user * items.count + row, known), "yes", "no"),
        }
    )[kept]
    probabilities = answer["chance"][user, place]
    return [
        common.assign(head=head, label=labels[kept, index].astype(np.float32), probability=probabilities[kept, index])
        for index, head in enumerate(heads)
    ]
