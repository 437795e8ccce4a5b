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
    """What the SavedModel in `folder` recommends by, asked at the window's start; -inf for items that it does not know.

    ModelError when the folder holds no model of ours.
    """
    return exported_stages(folder, examples_dir, holdout)[-1]


def exported_stages(folder: str | Path, examples_dir: str | Path, holdout: Holdout) -> list[Scorer]:
    """As `exported_model`: the two towers alone and, where the model has a second stage, both stages."""
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

    def ask(user_rows: np.ndarray) -> dict[str, tf.Tensor]:
        batch = {name: tf.constant(value[place[user_rows]]) for name, value in histories.items()}
        users = len(user_rows)
        batch["timestamp"] = tf.constant(np.full(users, moment, np.int64))
        batch["user_id"] = tf.constant(holdout.user_ids[user_rows].tolist(), tf.string)
        batch["query"] = tf.fill([users], "")
        return batch

    def by_towers(user_rows: np.ndarray) -> np.ndarray:
        return embed(**ask(user_rows))["embedding"].numpy() @ candidates.T

    def by_both(user_rows: np.ndarray) -> np.ndarray:
        return model.all_scores(**ask(user_rows)).numpy()[:, columns]

    stages = [by_towers, by_both] if hasattr(model, "_second_stage") else [by_towers]
    return [_in_parts(stage, is_known) for stage in stages]


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
