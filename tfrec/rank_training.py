"""Fits the second stage on what retrieval proposes at the start of the validation window, and what was chosen in it.

The two towers have seen nothing of that window but the choice of their best epoch. When the ranker has learnt, the
window becomes a part of the past. It knows nothing of schedules.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Sequence

import numpy as np
import pandas as pd
import tensorflow as tf

from tfrec.config import Config
from tfrec.dataset import read_events, sequences
from tfrec.errors import DataError, ModelError
from tfrec.learning import Epoch, LearningCurve
from tfrec.retrieval import Batch
from tfrec.schema import EVENT_KINDS
from tfrec.second_stage import Examined, SecondStage
from tfrec.train import Trained, catch_up, follow_trend, say
from tfrec.validation import history_only, moments_of, window_start

USERS_AT_ONCE = 32
STEPS, SMALLEST_BATCH = 100, 32  # a small shop gets smaller batches: an epoch of one step would teach nothing


@dataclasses.dataclass(frozen=True)
class Examples:
    """Candidates of the validation window."""

    features: np.ndarray  # [n, features] float32
    rows: np.ndarray  # [n] int64
    labels: np.ndarray  # [n, heads] float32
    profile: dict[str, np.ndarray]  # user_<column> -> [n] int64


def fit_second_stage(
    trained: Trained, train_files: Sequence[str], validation_files: Sequence[str], config: Config
) -> SecondStage:
    """A second stage that learnt from the validation window and then knows the events of both splits.

    DataError when nobody chose anything in the window.
    """
    heads, counted = _heads(validation_files, config)
    stage = SecondStage(trained.model, trained.catalog, heads, counted, config)
    data = sequences(validation_files, config.features.profile_columns, USERS_AT_ONCE)
    past, later = (read_events(files, trained.catalog) for files in (train_files, validation_files))
    start = window_start(data) if config.clock == "utc" else None
    follow_trend(trained.model, past)
    stage.learn_past(past, start)
    say("second stage: looking at the candidates of the validation window")
    examples = collect(stage, data.take(-(-config.ranking.users // USERS_AT_ONCE)), start)
    shares = ", ".join(f"{head} {share:.2%}" for head, share in zip(heads, examples.labels.mean(axis=0), strict=True))
    say(f"second stage: {len(examples.rows):,} candidates, of which chosen: {shares}")
    _fit(stage, examples, config, trained.curve)
    catch_up(trained.model, validation_files)
    everything = pd.concat([past, later], ignore_index=True)
    follow_trend(trained.model, everything)
    stage.learn_past(everything, None)
    return stage


def collect(stage: SecondStage, data: tf.data.Dataset, start: int | None) -> Examples:
    """The candidates of every user of the batches, at second `start` (None: at each user's own first target)."""
    parts = [_examples(stage, batch, start) for batch in data]
    return Examples(
        np.concatenate([part.features for part in parts]),
        np.concatenate([part.rows for part in parts]),
        np.concatenate([part.labels for part in parts]),
        {name: np.concatenate([part.profile[name] for part in parts]) for name in parts[0].profile},
    )


def _examples(stage: SecondStage, batch: Batch, start: int | None) -> Examples:
    history = history_only(batch)
    proposed, features = _examine(stage, history, moments_of(batch, start))
    rows = proposed.rows.numpy()
    users, places = np.nonzero(rows)
    rows = rows[users, places]
    profile = {name: batch[name].numpy()[users] for name in stage.profile_names}
    return Examples(features.numpy()[users, places], rows, _labels(stage, batch, users, rows), profile)


@tf.function(reduce_retracing=True)
def _examine(stage: SecondStage, history: Batch, moments: tf.Tensor) -> Examined:
    return stage.examine(history, moments, stage.queries(history, moments))


def _labels(stage: SecondStage, batch: Batch, users: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """[n, heads] float32: whether the user of the batch chose the catalogue row, by an event of the head's kind."""
    user, place = np.nonzero(batch["event_is_target"].numpy())
    row = stage.catalog_rows(batch["event_item_id"]).numpy()[user, place]
    kind = batch["event_kind"].numpy()[user, place]
    size = stage.catalog_size
    chosen = [(user * size + row)[kind == 1 + EVENT_KINDS.index(head)] for head in stage.ranker.heads]
    return np.stack([np.isin(users * size + rows, pairs) for pairs in chosen], axis=1).astype(np.float32)


def _fit(stage: SecondStage, examples: Examples, config: Config, curve: LearningCurve) -> None:
    settings = config.ranking
    batch_size = min(max(len(examples.rows) // STEPS, SMALLEST_BATCH), settings.batch_size)
    tf.keras.utils.set_random_seed(config.train.seed)
    stage.ranker.fit_scale(examples.features)
    arrays = {"features": examples.features, "rows": examples.rows, "labels": examples.labels, **examples.profile}
    # Numbers are shuffled, not the features: a million elements of sixty numbers would take most of the time.
    numbers = tf.data.Dataset.range(len(examples.rows)).shuffle(len(examples.rows), config.train.seed)
    constants = {name: tf.constant(values) for name, values in arrays.items()}
    data = numbers.batch(batch_size).map(lambda chosen: _gathered(constants, chosen)).prefetch(2)
    steps = settings.epochs * -(-len(examples.rows) // batch_size)
    rate = tf.keras.optimizers.schedules.CosineDecay(settings.learning_rate, steps)
    stage.ranker.compile(optimizer=tf.keras.optimizers.Adam(rate, jit_compile=False))
    for epoch in range(settings.epochs):
        began = time.monotonic()
        loss = stage.ranker.fit(data, verbose=0).history["loss"][-1]
        if not math.isfinite(loss):
            raise ModelError(f"the ranker's loss is {loss}; lower ranking.learning_rate ({settings.learning_rate})")
        curve.add(Epoch("second stage", epoch + 1, float(loss), time.monotonic() - began))
        say(f"second stage epoch {epoch + 1} of {settings.epochs}: loss of the last step {loss:.4f}")
    stage.ranker.optimizer = None


def _gathered(arrays: dict[str, tf.Tensor], chosen: tf.Tensor) -> dict[str, tf.Tensor]:
    return {name: tf.gather(values, chosen) for name, values in arrays.items()}


def _heads(files: Sequence[str], config: Config) -> tuple[tuple[str, ...], int]:
    """The kinds of events in the window, those that count as a choice last, and how many these are."""
    found: set[int] = set()
    for batch in sequences(files, (), 1024).as_numpy_iterator():
        found |= set(np.unique(batch["event_kind"][batch["event_is_target"] > 0]).tolist())
    kinds = [kind for index, kind in enumerate(EVENT_KINDS) if index + 1 in found]
    counted = [kind for kind in kinds if kind in (config.evaluation.label_kinds or EVENT_KINDS)]
    if not counted:
        raise DataError(
            "nobody chose anything in the validation window, so the ranker can't learn; lower test_days, "
            "or set ranking.epochs to 0"
        )
    return (*[kind for kind in kinds if kind not in counted], *counted), len(counted)
