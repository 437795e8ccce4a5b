"""An exported model as a scorer of a holdout: what is judged is what would be served, raw strings in.

It reads the histories of the held-out users from the raw examples and knows nothing of how the model learnt.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from tfrec.errors import ModelError
from tfrec.evaluation.holdout import Holdout, Scorer
from tfrec.evaluation.scores import Texts
from tfrec.examples.read import read_histories

USERS_AT_ONCE = 32  # a ranker looks at each candidate beside each event

EVENTS = ("event_item_id", "event_kind", "event_timestamp", "event_price")


def exported_model(folder: str | Path, examples_dir: str | Path, holdout: Holdout) -> Scorer:
    """What the SavedModel in `folder` recommends by, asked at the window's start; -inf for items that it does not know.

    ModelError when the folder holds no model of ours.
    """
    return Exported(folder, examples_dir, holdout).stages()[-1]


class Exported:
    """A SavedModel beside the histories of a holdout's users; ModelError when the folder holds no model of ours."""

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
            raise ModelError(
                f"{folder} wants the inputs {', '.join(unknown)}, which this tfrec does not know; train again"
            )
        self._columns, self._is_known = _columns(item_ids, holdout.item_ids)
        histories = read_histories(examples_dir, holdout.window, EVENTS, profile)
        users = [user_id.decode("utf-8") for user_id in histories.pop("user_id")]
        place = pd.Index(users).get_indexer(holdout.user_ids)
        self._histories = {name: values[place] for name, values in histories.items()}
        self._user_ids = holdout.user_ids
        # An order has no moment of its own for the window: each user's comes after their own history, which is "now".
        self._query_time = holdout.window_start if holdout.clock == "utc" else 0

    def stages(self, latest: int | None = None) -> list[Scorer]:
        """The two towers alone and, where the model has a second stage, both stages.

        With `latest` they know that many of a user's last events alone, and not who it is: a shopper who has just come.
        """
        import tensorflow as tf

        histories = self._histories if latest is None else _cut(self._histories, latest)
        candidates = self._model.candidates.numpy()[self._columns]

        def ask(user_rows: np.ndarray) -> dict[str, tf.Tensor]:
            batch = {name: tf.constant(values[user_rows]) for name, values in histories.items()}
            names = self._user_ids[user_rows].tolist() if latest is None else [""] * len(user_rows)
            batch["timestamp"] = tf.constant(np.full(len(user_rows), self._query_time, np.int64))
            batch["user_id"] = tf.constant(names, tf.string)
            batch["query"] = tf.fill([len(user_rows)], "")
            return batch

        def by_towers(user_rows: np.ndarray) -> np.ndarray:
            return self._embed(**ask(user_rows))["embedding"].numpy() @ candidates.T

        def by_both(user_rows: np.ndarray) -> np.ndarray:
            return self._model.all_scores(**ask(user_rows)).numpy()[:, self._columns]

        stages = [by_towers, by_both] if hasattr(self._model, "_second_stage") else [by_towers]
        return [_in_parts(stage, self._is_known) for stage in stages]

    @property
    def history_lengths(self) -> np.ndarray:
        """[users] int64 events with an item that the model is told of."""
        return (self._histories["event_item_id"] != b"").sum(axis=1).astype(np.int64)

    @property
    def texts(self) -> Texts | None:
        """What the items say, as the model read it; None of a model that does not tell."""
        if not hasattr(self._model, "text_row"):
            return None
        rows = self._model.text_row.numpy()[self._columns]
        return Texts(self._model.text_vectors.numpy(), np.where(self._is_known, rows, 0))


def _cut(histories: dict[str, np.ndarray], latest: int) -> dict[str, np.ndarray]:
    """The histories with the last `latest` events that have an item, in a place of their own; profiles as they are."""
    is_item = histories["event_item_id"] != b""
    kept = is_item & (np.cumsum(is_item[:, ::-1], axis=1)[:, ::-1] <= latest)
    order = np.argsort(~kept, axis=1, kind="stable")[:, : max(latest, 1)]
    cut = dict(histories)
    for name in EVENTS:
        values = np.where(kept, histories[name], b"" if histories[name].dtype == object else 0)
        cut[name] = np.take_along_axis(values, order, axis=1).astype(histories[name].dtype)
    return cut


def _in_parts(score: Scorer, is_known: np.ndarray) -> Scorer:
    """The scorer, a few users at once; -inf for items that are not known [items]."""

    def score_all(user_rows: np.ndarray) -> np.ndarray:
        parts = [score(user_rows[start : start + USERS_AT_ONCE]) for start in range(0, len(user_rows), USERS_AT_ONCE)]
        scores = np.concatenate(parts) if parts else np.empty((0, len(is_known)))
        return np.where(is_known, scores, -np.inf).astype(np.float32)

    return score_all


def _columns(known: np.ndarray, wanted: Sequence[str] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The model's rows of the wanted ids, and which of them it knows [items] bool."""
    rows = pd.Index([item_id.decode("utf-8") for item_id in known]).get_indexer(pd.Index(wanted))
    return np.maximum(rows, 0), rows > 0
