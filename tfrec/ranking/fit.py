"""Fits the second stage on what retrieval proposes at the start of the validation window, and what was chosen in it.

The two towers have seen nothing of that window but the choice of their best epoch. When the ranker has learnt, the
window becomes a part of the past. It knows nothing of schedules.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import numpy as np
import pandas as pd
import tensorflow as tf

from tfrec.config import Config
from tfrec.console import log
from tfrec.errors import ConfigError, DataError, ModelError
from tfrec.examples.batches import window_start
from tfrec.examples.dataset import read_events, sequences
from tfrec.ranking.calibration import LEAST_CHOICES, calibrate
from tfrec.ranking.second_stage import SecondStage
from tfrec.ranking.training_data import Examples, collect, collect_repeats, join, new_items
from tfrec.retrieval.two_tower import TwoTower
from tfrec.schema import DAY_SECONDS, EVENT_KINDS
from tfrec.training.learning_curve import LearningCurve, epoch_of
from tfrec.training.train import Trained, catch_up, follow_trend

USERS_AT_ONCE = 32
PREDICTED_AT_ONCE = 16_384
STEPS, SMALLEST_BATCH = 100, 32  # a small shop gets smaller batches: an epoch of one step would teach nothing


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
    data = data.take(-(-config.ranking.users // USERS_AT_ONCE))
    parts = [] if start is None else _of_earlier_windows(stage, trained.model, past, data, start, config)
    first = sum(len(part.rows) for part in parts)
    follow_trend(trained.model, past)
    stage.learn_past(past, start)
    if config.ranking.n_cold:
        features, is_chosen = new_items(stage, data, start, config.train.seed)
        if stage.newcomers.teach(features, is_chosen):
            log(f"second stage: {is_chosen.sum():,} choices of new items taught which of them to propose")
    log("second stage: looking at the candidates of the validation window")
    parts += collect(stage, data, start)
    examples = join(parts)
    shares = zip(heads, examples.labels[first:].mean(axis=0), strict=True)
    told = ", ".join(f"{head} {share:.2%}" for head, share in shares)
    log(f"second stage: {len(examples.rows) - first:,} candidates, of which chosen: {told}")
    _hide_towers(stage, examples, first)
    end = _held_out(examples, first, config.ranking.calibration_share)
    _fit(stage, examples, end, config, trained.curve)
    _calibrate(stage, examples, end)
    catch_up(trained.model, validation_files)
    everything = pd.concat([past, later], ignore_index=True)
    follow_trend(trained.model, everything)
    stage.learn_past(everything, None)
    return stage


def _of_earlier_windows(
    stage: SecondStage, model: TwoTower, past: pd.DataFrame, data: tf.data.Dataset, start: int, config: Config
) -> list[Examples]:
    """The repeats of the windows before the one that starts at `start`: what is a habit in one month may not be one."""
    parts: list[Examples] = []
    length = config.examples.split.validation_days * DAY_SECONDS
    for number in range(config.ranking.repeat_windows if config.ranking.n_repeat else 0, 0, -1):
        begin = start - number * length
        before = past[past.timestamp < begin]
        if len(before):
            follow_trend(model, before)
            stage.learn_past(before, begin)
            parts += collect_repeats(stage, data, begin, begin + length)
    if parts:
        log(f"second stage: {sum(len(part.rows) for part in parts):,} habits of earlier windows, kept up or not")
    return parts


def _hide_towers(stage: SecondStage, examples: Examples, first: int) -> None:
    """Gives the candidates before `first` the towers' mean scores of other repeats.

    The towers have been trained on what was chosen there.
    """
    names = stage.evidence.names
    columns = [names.index("towers"), names.index("towers_below_best")]
    is_repeat = examples.features[first:, names.index("habit")] > 0
    if first and is_repeat.any():
        examples.features[:first, columns] = examples.features[first:, columns][is_repeat].mean(axis=0)


def _held_out(examples: Examples, first: int, share: float) -> int:
    """The first candidate of the last `share` of the users; none where they chose too little to calibrate by.

    Of the users from candidate `first` on: those before are of earlier windows.
    """
    if not 0 <= share < 1:
        raise ConfigError(f"ranking.calibration_share is {share}; give 0 or more, below 1: the rest teaches the ranker")
    users = int(examples.user[-1]) + 1
    end = int(np.searchsorted(examples.user, users - round((users - int(examples.user[first])) * share)))
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
        batches = np.array_split(order, -(-end // batch_size))
        losses = [float(step(_batch(examples, chosen))["loss"]) for chosen in batches]
        if not math.isfinite(losses[-1]):
            raise ModelError(
                f"the ranker's loss is {losses[-1]}; lower ranking.learning_rate ({settings.learning_rate})"
            )
        curve.add(epoch_of("second stage", epoch + 1, losses, time.monotonic() - began))
        log(f"second stage epoch {epoch + 1} of {settings.epochs}: mean loss {curve.epochs[-1].loss:.4f}")
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
    log(f"second stage: calibrated on {len(logits):,} candidates of other users: {'; '.join(told)}")


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
