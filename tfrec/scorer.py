"""An exported model as a scorer of a holdout: what is judged is what would be served, raw strings in.

It reads the histories of the held-out users from the raw examples and knows nothing of how the model learnt.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from tfrec.errors import ModelError
from tfrec.holdout import Holdout, Scorer
from tfrec.records import read_histories

USERS_AT_ONCE = 32  # a ranker looks at each candidate beside each event

EVENTS = ("event_item_id", "event_kind", "event_timestamp", "event_price")


def exported_model(folder: str | Path, examples_dir: str | Path, holdout: Holdout) -> Scorer:
    """Scores of the SavedModel in `folder`, asked at the window's start; -inf for items that it does not know.

    ModelError when the folder holds no model of ours.
    """
    import tensorflow as tf
    import tensorflow_text  # noqa: F401  registers ops of the model

    try:
        model = tf.saved_model.load(str(folder))
        embed, item_ids = model.signatures["embed_query"], model.item_ids.numpy()
    except (OSError, KeyError, AttributeError, ValueError) as error:
        raise ModelError(f"{folder} holds no exported tfrec model ({error}); train and export it again") from error
    inputs = embed.structured_input_signature[1]
    columns, is_known = _columns(item_ids, holdout.item_ids)
    candidates = model.candidates.numpy()[columns]
    profile = [name for name in inputs if name.startswith("user_") and name != "user_id"]
    unknown = sorted(set(inputs) - {*EVENTS, *profile, "timestamp", "user_id", "query"})
    if unknown:
        raise ModelError(f"{folder} wants the inputs {', '.join(unknown)}, which this tfrec does not know; train again")
    histories = read_histories(examples_dir, holdout.window, EVENTS, profile)
    users = [user_id.decode("utf-8") for user_id in histories.pop("user_id")]
    place = pd.Index(users).get_indexer(holdout.user_ids)
    # An order has no moment of its own for the window: each user's comes after their own history, which is "now".
    moment = holdout.window_start if holdout.clock == "utc" else 0

    def score(user_rows: np.ndarray) -> np.ndarray:
        parts = [
            score_part(user_rows[start : start + USERS_AT_ONCE]) for start in range(0, len(user_rows), USERS_AT_ONCE)
        ]
        return np.concatenate(parts) if parts else np.empty((0, len(is_known)), np.float32)

    def score_part(user_rows: np.ndarray) -> np.ndarray:
        batch = {name: tf.constant(value[place[user_rows]]) for name, value in histories.items()}
        users = len(user_rows)
        batch["timestamp"] = tf.constant(np.full(users, moment, np.int64))
        batch["user_id"] = tf.constant(holdout.user_ids[user_rows].tolist(), tf.string)
        batch["query"] = tf.fill([users], "")
        if hasattr(model, "all_scores"):
            scores = model.all_scores(**batch).numpy()[:, columns]
        else:  # a model in production from before there was a second stage
            scores = embed(**batch)["embedding"].numpy() @ candidates.T
        return np.where(is_known, scores, -np.inf).astype(np.float32)

    return score


def _columns(known: np.ndarray, wanted: Sequence[str] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The model's rows of the wanted ids, and which of them it knows [items] bool."""
    rows = pd.Index([item_id.decode("utf-8") for item_id in known]).get_indexer(pd.Index(wanted))
    return np.maximum(rows, 0), rows > 0
