"""Fit the second stage on the validation window: candidates at its start, positives in it.

The two towers have not been trained on that window: it only decided which of their epochs is the
best. After the ranker's fit the window joins the known events.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import tensorflow as tf

from tfrec.config import Config
from tfrec.console import log
from tfrec.errors import DataError
from tfrec.examples.batches import earlier, window_start, without_context
from tfrec.examples.dataset import read_events, sequences
from tfrec.ranking.cross_fit import fit_with_held_out_users
from tfrec.ranking.kind_features import kind_index
from tfrec.ranking.second_stage import Heads, SecondStage
from tfrec.ranking.training_data import (
    ExampleBuffer,
    Examples,
    collect_candidates,
    collect_cold_items,
    collect_repeats,
    collect_short_histories,
    mask_tower_scores,
)
from tfrec.retrieval.two_tower import TwoTower
from tfrec.schema import DAY_SECONDS, EVENT_KINDS, NEGATIVE_KINDS
from tfrec.training.train import Trained, catch_up, follow_trend

USERS_AT_ONCE = 32


def fit_second_stage(
    trained: Trained, train_files: Sequence[str], validation_files: Sequence[str], config: Config, checkpoint_dir: str
) -> SecondStage:
    """Fit a second stage on the validation window, then set the known events to both splits.

    An interrupted call with the same arguments resumes: it collects the candidates again, then the
    ranker's fit goes on from its last checkpoint in `checkpoint_dir`. Raises DataError when the
    window holds no positive.
    """
    stage = SecondStage(trained.model, trained.catalog, _heads(validation_files, config), config)
    context, profile = config.examples.context_columns, config.features.profile_columns
    data = sequences(validation_files, profile, USERS_AT_ONCE, context_columns=context)
    train_events, validation_events = (
        read_events(files, trained.catalog, context) for files in (train_files, validation_files)
    )
    start = window_start(data) if config.has_windows else None
    data = data.take(-(-config.ranking.users // USERS_AT_ONCE))
    buffer = ExampleBuffer()
    if start is not None:
        buffer.add(
            _collect_earlier_windows(
                stage, model=trained.model, train_events=train_events, data=data, start=start, config=config
            )
        )
    earlier_count, first_user = buffer.count, buffer.users
    if earlier_count:
        log(f"second stage: {earlier_count:,} candidates of earlier windows")
    follow_trend(trained.model, train_events)
    stage.set_known_events(train_events, start)
    if config.ranking.n_cold:
        _fit_cold_candidates(stage, data, start, config.train.seed)
    log("second stage: collecting the candidates of the validation window")
    if config.ranking.short_histories:
        short = _hide_contexts(data, config, "short")
        buffer.add(collect_short_histories(stage, short, start, config.ranking.short_histories, config.train.seed))
        log(f"second stage: {buffer.count - earlier_count:,} candidates after short histories")
    first = buffer.count
    buffer.add(collect_candidates(stage, _hide_contexts(data, config, "whole"), start), first_user)
    examples = buffer.join()
    shares = zip(stage.ranker.heads, examples.labels[first:].mean(axis=0), strict=True)
    by_head = ", ".join(f"{head} {share:.2%}" for head, share in shares)
    log(f"second stage: {len(examples.rows) - first:,} candidates, positives: {by_head}")
    if earlier_count:
        names, features = stage.features.names, examples.features
        features[:earlier_count] = mask_tower_scores(names, features[:earlier_count], features[first:])
    for epoch in fit_with_held_out_users(stage, examples, first, config, checkpoint_dir).epochs:
        trained.curve.add(epoch)
    catch_up(trained.model, validation_files)
    everything = pd.concat([train_events, validation_events], ignore_index=True)
    follow_trend(trained.model, everything)
    stage.set_known_events(everything, None)
    if config.has_windows:  # without them, held-out users have query times of their own
        stage.features.drop_states_before(int(everything.timestamp.max()))
    return stage


def _hide_contexts(data: tf.data.Dataset, config: Config, salt: str) -> tf.data.Dataset:
    columns, share = config.examples.context_columns, config.ranking.context_dropout
    return data.map(lambda batch: without_context(batch, columns, share, salt)) if columns else data


def _heads(files: Sequence[str], config: Config) -> Heads:
    """A head for each event kind of the window's targets; the negative kinds of the histories."""
    kinds: set[int] = set()
    negative: set[int] = set()
    for batch in sequences(files, (), 1024).as_numpy_iterator():
        kinds |= set(np.unique(batch["event_kind"][batch["event_is_target"] > 0]).tolist())
        negative |= set(np.unique(batch["event_kind"]).tolist())
    heads = tuple(kind for index, kind in enumerate(EVENT_KINDS) if index + 1 in kinds)
    positive = tuple(kind for kind in heads if kind in (config.evaluation.label_kinds or EVENT_KINDS))
    if not positive:
        raise DataError(
            "the validation window holds no positive, so the ranker can't be fitted; lower test_days, or set "
            "ranking.epochs to 0"
        )
    return Heads(
        tuple(kind for kind in heads if kind not in positive),
        positive,
        tuple(kind for kind in NEGATIVE_KINDS if kind_index(kind) in negative),
    )


def _collect_earlier_windows(
    stage: SecondStage,
    *,
    model: TwoTower,
    train_events: pd.DataFrame,
    data: tf.data.Dataset,
    start: int,
    config: Config,
) -> Iterator[Examples]:
    """Collect repeats, and candidates after short histories, of the windows before second `start`.

    What users buy again, and what is popular, differs from month to month.
    """
    length = config.examples.split.validation_days * DAY_SECONDS
    share, seed = config.ranking.short_histories, config.train.seed
    for number in range(config.ranking.earlier_windows, 0, -1):
        begin = start - number * length
        before = train_events[train_events.timestamp < begin]
        if not len(before):
            continue
        follow_trend(model, before)
        stage.set_known_events(before, begin)
        window = functools.partial(
            earlier, start=begin, end=begin + length, context_columns=config.examples.context_columns
        )
        batches = data.map(window).filter(lambda batch: tf.shape(batch["user_id"])[0] > 0)
        if config.ranking.n_repeat:
            yield from collect_repeats(stage, batches, begin)
        if share:
            short = _hide_contexts(batches, config, f"earlier {number}")
            yield from collect_short_histories(stage, short, begin, share, seed + number, with_towers=False)


def _fit_cold_candidates(stage: SecondStage, data: tf.data.Dataset, start: int | None, seed: int) -> None:
    features, labels = collect_cold_items(stage, data, start, seed)
    if stage.cold.fit(features, labels):
        log(f"second stage: cold candidates fitted on {labels.sum():,} positives")
