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

from tfrec.calibration import LEAST_CHOICES, calibrate
from tfrec.config import Config
from tfrec.dataset import read_events, sequences
from tfrec.errors import ConfigError, DataError, ModelError
from tfrec.learning import Epoch, LearningCurve
from tfrec.retrieval import Batch
from tfrec.schema import EVENT_KINDS
from tfrec.second_stage import Examined, SecondStage
from tfrec.train import Trained, catch_up, follow_trend, say
from tfrec.validation import history_only, moments_of, window_start

USERS_AT_ONCE = 32
PREDICTED_AT_ONCE = 16_384
OTHERS = 100  # new items a user that are shown to have been passed over
STEPS, SMALLEST_BATCH = 100, 32  # a small shop gets smaller batches: an epoch of one step would teach nothing


@dataclasses.dataclass(frozen=True)
class Examples:
    """Candidates of the validation window."""

    user: np.ndarray  # [n] int64 number of the user, rising
    features: np.ndarray  # [n, features] float32
    rows: np.ndarray  # [n] int64
    labels: np.ndarray  # [n, heads] float32
    profile: dict[str, np.ndarray]  # user_<column> -> [n] int64

    def of(self, chosen: np.ndarray | slice) -> dict[str, np.ndarray]:
        """What the ranker reads of the chosen ones."""
        arrays = {"features": self.features, "rows": self.rows, "labels": self.labels, **self.profile}
        return {name: values[chosen] for name, values in arrays.items()}


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
    data = data.take(-(-config.ranking.users // USERS_AT_ONCE))
    if config.ranking.fresh:
        _teach_newcomers(stage, data, start, config.train.seed)
    say("second stage: looking at the candidates of the validation window")
    examples = collect(stage, data, start)
    shares = ", ".join(f"{head} {share:.2%}" for head, share in zip(heads, examples.labels.mean(axis=0), strict=True))
    say(f"second stage: {len(examples.rows):,} candidates, of which chosen: {shares}")
    end = _held_out(examples, config.ranking.calibration_share)
    _fit(stage, examples, end, config, trained.curve)
    _calibrate(stage, examples, end)
    catch_up(trained.model, validation_files)
    everything = pd.concat([past, later], ignore_index=True)
    follow_trend(trained.model, everything)
    stage.learn_past(everything, None)
    return stage


def _teach_newcomers(stage: SecondStage, data: tf.data.Dataset, start: int | None, seed: int) -> None:
    """By the new items that each user of the batches chose, and OTHERS drawn from all of them."""
    new, random = stage.newcomers.rows.numpy(), np.random.default_rng(seed)
    features, labels = [np.empty((0, len(stage.evidence.names)), np.float32)], [np.empty(0, bool)]
    for batch in data if len(new) else ():
        user, place = np.nonzero(batch["event_is_target"].numpy())
        row = stage.catalog_rows(batch["event_item_id"]).numpy()[user, place]
        user, row = user[np.isin(row, new)], row[np.isin(row, new)]
        rows = random.choice(new, (len(batch["user_id"]), OTHERS)).astype(np.int64)
        chosen = np.zeros((len(rows), np.bincount(user).max(initial=0)), np.int64)
        chosen[user, pd.Series(user).groupby(user).cumcount()] = row
        rows = np.concatenate([rows, chosen], axis=1)
        history = history_only(batch)
        moments = moments_of(batch, start)
        found = _evidence(stage, history, moments, tf.constant(rows)).numpy()
        pairs = np.arange(len(rows))[:, np.newaxis] * stage.catalog_size + rows
        features.append(found[rows > 0])
        labels.append(np.isin(pairs, user * stage.catalog_size + row)[rows > 0])
    is_chosen = np.concatenate(labels)
    if stage.newcomers.teach(np.concatenate(features), is_chosen):
        say(f"second stage: {is_chosen.sum():,} choices of items that were new taught which of them to propose")


@tf.function(reduce_retracing=True)
def _evidence(stage: SecondStage, history: Batch, moments: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    return stage.evidence_of(history, moments, stage.queries(history, moments), rows)


def collect(stage: SecondStage, data: tf.data.Dataset, start: int | None) -> Examples:
    """The candidates of every user of the batches, at second `start` (None: at each user's own first target)."""
    parts = [_examples(stage, batch, start) for batch in data]
    numbers = np.cumsum([0, *(part.user[-1] + 1 if len(part.user) else 0 for part in parts)])
    columns = {
        "user": [part.user + number for part, number in zip(parts, numbers[:-1], strict=True)],
        **{name: [part.of(slice(None))[name] for part in parts] for name in parts[0].of(slice(None))},
    }
    del parts  # `_joined` frees each piece once it is copied
    joined = {name: _joined(columns[name]) for name in columns}
    own = {name: joined.pop(name) for name in ("user", "features", "rows", "labels")}
    return Examples(**own, profile=joined)


def _joined(pieces: list[np.ndarray]) -> np.ndarray:
    """One array of all pieces, which it takes away one by one: the features would not fit twice."""
    end = sum(map(len, pieces))
    whole = np.empty((end, *pieces[0].shape[1:]), pieces[0].dtype)
    while pieces:
        piece = pieces.pop()
        whole[end - len(piece) : end] = piece
        end -= len(piece)
    return whole


def _examples(stage: SecondStage, batch: Batch, start: int | None) -> Examples:
    history = history_only(batch)
    proposed, features = _examine(stage, history, moments_of(batch, start))
    rows = proposed.rows.numpy()
    users, places = np.nonzero(rows)
    rows = rows[users, places]
    profile = {name: batch[name].numpy()[users] for name in stage.profile_names}
    return Examples(users, features.numpy()[users, places], rows, _labels(stage, batch, users, rows), profile)


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


def _held_out(examples: Examples, share: float) -> int:
    """The first candidate of the last `share` of the users; none where they chose too little to calibrate by."""
    if not 0 <= share < 1:
        raise ConfigError(f"ranking.calibration_share is {share}; give 0 or more, below 1: the rest teaches the ranker")
    users = int(examples.user[-1]) + 1
    end = int(np.searchsorted(examples.user, users - round(users * share)))
    chosen = examples.labels[end:].sum(axis=0)
    return end if chosen.max(initial=0) >= LEAST_CHOICES else len(examples.rows)


def _fit(stage: SecondStage, examples: Examples, end: int, config: Config, curve: LearningCurve) -> None:
    """Trains the ranker on the candidates before `end`."""
    settings = config.ranking
    batch_size = min(max(end // STEPS, SMALLEST_BATCH), settings.batch_size)
    tf.keras.utils.set_random_seed(config.train.seed)
    stage.ranker.fit_scale(examples.features[:end])
    rate = tf.keras.optimizers.schedules.CosineDecay(settings.learning_rate, settings.epochs * -(-end // batch_size))
    stage.ranker.compile(optimizer=tf.keras.optimizers.Adam(rate, jit_compile=False))
    step = tf.function(stage.ranker.train_step, reduce_retracing=True)
    for epoch in range(settings.epochs):
        began = time.monotonic()
        order = np.random.default_rng([config.train.seed, epoch]).permutation(end)
        for chosen in np.array_split(order, -(-end // batch_size)):
            loss = float(step(_batch(examples, chosen))["loss"])
        if not math.isfinite(loss):
            raise ModelError(f"the ranker's loss is {loss}; lower ranking.learning_rate ({settings.learning_rate})")
        curve.add(Epoch("second stage", epoch + 1, float(loss), time.monotonic() - began))
        say(f"second stage epoch {epoch + 1} of {settings.epochs}: loss of the last step {loss:.4f}")
    stage.ranker.optimizer = None


def _calibrate(stage: SecondStage, examples: Examples, start: int) -> None:
    """Slope and bias of each head by the candidates from `start` on."""
    if start == len(examples.rows):
        return
    pieces = [slice(at, at + PREDICTED_AT_ONCE) for at in range(start, len(examples.rows), PREDICTED_AT_ONCE)]
    logits = np.concatenate([stage.ranker(_batch(examples, piece)).numpy() for piece in pieces])
    found = [calibrate(*columns) for columns in zip(logits.T, examples.labels[start:].T, strict=True)]
    stage.ranker.slope.assign([one.slope for one in found])
    stage.ranker.bias.assign([one.bias for one in found])
    told = (
        f"{head} slope {one.slope:.3f}, bias {one.bias:.3f}"
        for head, one in zip(stage.ranker.heads, found, strict=True)
    )
    say(f"second stage: calibrated on {len(logits):,} candidates of other users: {'; '.join(told)}")


def _batch(examples: Examples, chosen: np.ndarray | slice) -> dict[str, tf.Tensor]:
    """Gathered by NumPy, batch by batch: as a tensor of TensorFlow's all features would be there twice."""
    return {name: tf.constant(values) for name, values in examples.of(chosen).items()}


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
