"""Exported model as a scorer of a holdout: it gets raw strings and is evaluated as it is served.

The histories of the held-out users come from the raw examples.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tfrec.errors import ModelError
from tfrec.evaluation.holdout import Holdout, Scorer
from tfrec.evaluation.per_user import ItemTexts
from tfrec.examples.read import read_histories

BATCH = 32  # users at once: a ranker compares each candidate with each event

EVENTS = ("event_item_id", "event_kind", "event_timestamp", "event_price")


class ExportedModel:
    """A SavedModel with the histories of a holdout's users; ModelError when there is no model."""

    def __init__(self, folder: str | Path, examples_dir: str | Path, holdout: Holdout) -> None:
        import tensorflow as tf
        import tensorflow_text  # noqa: F401  registers ops of the model

        try:
            self._model = tf.saved_model.load(str(folder))
            self._embed, item_ids = self._model.signatures["embed_query"], self._model.item_ids.numpy()
        except (OSError, KeyError, AttributeError, ValueError) as error:
            raise ModelError(f"{folder} holds no exported tfrec model ({error}); train and export it again") from error
        inputs = self._embed.structured_input_signature[1]
        profile = [name for name in inputs if name.startswith("user_") and name != "user_id"]
        unknown = sorted(set(inputs) - {*EVENTS, *profile, "timestamp", "user_id", "query"})
        if unknown:
            raise ModelError(f"{folder} needs the inputs {', '.join(unknown)}, which tfrec does not have; train again")
        self._columns, self._is_known = _columns(item_ids, holdout.item_ids)
        histories = read_histories(examples_dir, holdout.window, EVENTS, profile)
        users = [user_id.decode("utf-8") for user_id in histories.pop("user_id")]
        row = pd.Index(users).get_indexer(holdout.user_ids)
        self._histories = {name: values[row] for name, values in histories.items()}
        self._user_ids = holdout.user_ids
        self._query_times = holdout.query_times

    def stages(self, latest: int | None = None) -> list[Scorer]:
        """Scorers: the two towers alone and, if the model has a second stage, both stages.

        Items that the model does not know score -inf. With `latest`, histories are cut to that many
        last events and the user id is empty, as of a user who has just arrived.
        """
        import tensorflow as tf

        histories = self._histories if latest is None else _cut(self._histories, latest)
        candidates = self._model.candidates.numpy()[self._columns]

        def request(user_rows: np.ndarray) -> dict[str, tf.Tensor]:
            inputs = {name: tf.constant(values[user_rows]) for name, values in histories.items()}
            user_ids = self._user_ids[user_rows].tolist() if latest is None else [""] * len(user_rows)
            inputs["timestamp"] = tf.constant(self._query_times[user_rows])
            inputs["user_id"] = tf.constant(user_ids, tf.string)
            inputs["query"] = tf.fill([len(user_rows)], "")
            return inputs

        def towers(user_rows: np.ndarray) -> np.ndarray:
            return self._embed(**request(user_rows))["embedding"].numpy() @ candidates.T

        def both_stages(user_rows: np.ndarray) -> np.ndarray:
            return saved_trace(self._model.all_scores)(**request(user_rows)).numpy()[:, self._columns]

        stages = [towers, both_stages] if hasattr(self._model, "heads") else [towers]
        return [_batched(stage, self._is_known) for stage in stages]

    @property
    def history_lengths(self) -> np.ndarray:
        """[users] int64 events with an item in the histories that the model gets."""
        return (self._histories["event_item_id"] != b"").sum(axis=1).astype(np.int64)

    @property
    def last_item_ids(self) -> np.ndarray:
        """[users] str id of the last item in the history; "" without one."""
        items = self._histories["event_item_id"]
        if not items.size:
            return np.full(len(items), "", object)
        last = items.shape[1] - 1 - (items != b"")[:, ::-1].argmax(axis=1)
        return np.array([item_id.decode("utf-8") for item_id in items[np.arange(len(items)), last]], object)

    @property
    def texts(self) -> ItemTexts | None:
        """Text vectors of the items; None for a model that exports none."""
        if not hasattr(self._model, "text_row"):
            return None
        rows = self._model.text_row.numpy()[self._columns]
        return ItemTexts(self._model.text_vectors.numpy(), np.where(self._is_known, rows, 0))


def saved_trace(function: Any) -> Callable[..., Any]:
    """The trace of a function of a SavedModel, which takes batches and histories of any size.

    A call of the function itself would trace it again for each new shape of its inputs, and
    TensorFlow would optimize the whole graph again, for seconds.
    """
    (trace,) = function.concrete_functions
    return trace


def _cut(histories: dict[str, np.ndarray], latest: int) -> dict[str, np.ndarray]:
    """Histories with only the last `latest` events that have an item, as new arrays."""
    is_item = histories["event_item_id"] != b""
    kept = is_item & (np.cumsum(is_item[:, ::-1], axis=1)[:, ::-1] <= latest)
    order = np.argsort(~kept, axis=1, kind="stable")[:, : max(latest, 1)]
    cut = dict(histories)
    for name in EVENTS:
        values = np.where(kept, histories[name], b"" if histories[name].dtype == object else 0)
        cut[name] = np.take_along_axis(values, order, axis=1).astype(histories[name].dtype)
    return cut


def _batched(score: Scorer, is_known: np.ndarray) -> Scorer:
    """The scorer, called for BATCH users at once; -inf for items that are not known [items]."""

    def score_all(user_rows: np.ndarray) -> np.ndarray:
        parts = [score(user_rows[start : start + BATCH]) for start in range(0, len(user_rows), BATCH)]
        scores = np.concatenate(parts) if parts else np.empty((0, len(is_known)))
        return np.where(is_known, scores, -np.inf).astype(np.float32)

    return score_all


def _columns(model_ids: np.ndarray, item_ids: Sequence[str] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The model's row of each item id, 0 if unknown; [items] bool whether it is known."""
    rows = pd.Index([item_id.decode("utf-8") for item_id in model_ids]).get_indexer(pd.Index(item_ids))
    return np.maximum(rows, 0), rows > 0
