"""Table of an exported ranker's candidates in the test window, with probabilities and labels.

TFX's Evaluator computes metrics from these rows. They are about probabilities, not about ranks.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tfrec.config import Clock, SplitMethod
from tfrec.errors import ModelError
from tfrec.evaluation.exported_model import BATCH, EVENTS, saved_trace
from tfrec.evaluation.query_times import query_times
from tfrec.examples.read import read_departments, read_histories, read_targets
from tfrec.schema import DAY_SECONDS

NEGATIVES_PER_KEPT = 10
"""One in so many candidates without a label is kept, with that weight: 50 to 1 have none."""

ACTIVITY = ((0, "none"), (1, "1 to 9"), (10, "10 to 99"), (100, "100 or more"))
"""Least number of events in the history -> name of the group."""

COLUMNS = ("head", "label", "probability", "weight", "department", "activity", "is_repeat")

_SEED = 7


def ranked_candidates(
    folder: str | Path, examples_dir: str | Path, users: int, clock: Clock, split: SplitMethod = "time"
) -> pd.DataFrame:
    """A row with COLUMNS for each (candidate, head).

    The candidates are those of up to `users` users with a label, at their query times.
    ModelError when the folder holds no model of two stages.
    """
    import tensorflow as tf

    model, heads, profile = _load_ranker(folder)
    targets = read_targets(examples_dir, "test")
    histories = read_histories(examples_dir, "test", EVENTS, profile)
    user_ids = histories["user_id"]
    random = np.random.default_rng(_SEED)
    sample = _sample(targets, user_ids, users, random)
    start = int(targets.timestamp.min()) // DAY_SECONDS * DAY_SECONDS if len(targets) else 0
    times = query_times(targets, np.array([user.decode() for user in user_ids[sample]]), start, clock, split)
    items = _Items(model.item_ids.numpy(), read_departments(examples_dir))
    positives = _positives(targets, user_ids, items, heads)
    parts: list[pd.DataFrame] = []
    for at in range(0, len(sample), BATCH):
        rows = sample[at : at + BATCH]
        request: dict[str, Any] = {name: tf.constant(value[rows]) for name, value in histories.items()}
        request |= {"timestamp": tf.constant(times[at : at + BATCH]), "query": tf.fill([len(rows)], "")}
        answer = {name: value.numpy() for name, value in saved_trace(model.candidate_probabilities)(**request).items()}
        batch = _Batch(rows, answer["row"], answer["probability"], items.rows(histories["event_item_id"][rows]))
        parts += _table_rows(batch, items, positives, random)
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame({name: [] for name in COLUMNS})


@dataclasses.dataclass(frozen=True)
class _Batch:
    """Candidates of a batch of users."""

    users: np.ndarray  # [batch] index of the user among the histories
    rows: np.ndarray  # [batch, candidates] row of the item, 0 pads
    probabilities: np.ndarray  # [batch, candidates, heads]
    history: np.ndarray  # [batch, events] row of the item, 0 pads


class _Items:
    """Rows of the model's catalog with their departments."""

    def __init__(self, item_ids: np.ndarray, departments: dict[bytes, str]) -> None:
        self._index = pd.Index(item_ids)
        self.count = len(item_ids)
        self.department = np.array([departments.get(item_id, "") or "none" for item_id in item_ids], object)

    def rows(self, item_ids: np.ndarray) -> np.ndarray:
        """Row of each id, 0 for "" and for ids that the model does not know."""
        return np.maximum(self._index.get_indexer(pd.Index(item_ids.ravel())), 0).reshape(item_ids.shape)


def _load_ranker(folder: str | Path) -> tuple[Any, list[str], list[str]]:
    """The SavedModel, its heads, and the profile inputs of its signatures."""
    import tensorflow as tf
    import tensorflow_text  # noqa: F401  registers ops of the model

    try:
        model = tf.saved_model.load(str(folder))
        heads = [head.decode() for head in model.heads.numpy()]
        inputs = model.signatures["embed_query"].structured_input_signature[1]
    except (OSError, KeyError, AttributeError, ValueError) as error:
        raise ModelError(f"{folder} holds no ranker ({error}); train one with ranking.epochs of 1 or more") from error
    return model, heads, [name for name in inputs if name.startswith("user_") and name != "user_id"]


def _sample(targets: pd.DataFrame, user_ids: np.ndarray, users: int, random: np.random.Generator) -> np.ndarray:
    """Sorted indices of up to `users` random users with a label."""
    with_label = [user.encode() for user in targets.user_id[targets.item_id != ""].unique()]
    return np.sort(random.permutation(np.flatnonzero(np.isin(user_ids, with_label)))[:users])


def _positives(targets: pd.DataFrame, user_ids: np.ndarray, items: _Items, heads: list[str]) -> dict[str, np.ndarray]:
    """Head -> the labels of that kind, each as index of the user * items + row of the item."""
    user = pd.Index(user_ids).get_indexer(pd.Index([user.encode() for user in targets.user_id]))
    row = items.rows(np.array([item.encode() for item in targets.item_id], object))
    return {head: (user * items.count + row)[(targets.kind == head).to_numpy() & (row > 0)] for head in heads}


def _table_rows(
    batch: _Batch, items: _Items, positives: dict[str, np.ndarray], random: np.random.Generator
) -> list[pd.DataFrame]:
    """Rows of the candidates of a batch, a table for each head."""
    user, position = np.nonzero(batch.rows)
    row = batch.rows[user, position]
    pair = batch.users[user] * items.count + row
    labels = np.stack([np.isin(pair, pairs) for pairs in positives.values()], axis=1)
    has_label = labels.any(axis=1)
    kept = has_label | (random.random(len(row)) < 1 / NEGATIVES_PER_KEPT)
    history = np.arange(len(batch.users))[:, None] * items.count + batch.history
    events = (batch.history > 0).sum(axis=1)[user]
    names = np.array([name for _, name in ACTIVITY], object)
    common = pd.DataFrame(
        {
            "weight": np.where(has_label, 1.0, NEGATIVES_PER_KEPT),
            "department": items.department[row],
            "activity": names[np.searchsorted([least for least, _ in ACTIVITY], events, side="right") - 1],
            "is_repeat": np.where(np.isin(user * items.count + row, history), "yes", "no"),
        }
    )[kept]
    probabilities = batch.probabilities[user, position]
    return [
        common.assign(head=head, label=labels[kept, index].astype(np.float32), probability=probabilities[kept, index])
        for index, head in enumerate(positives)
    ]
