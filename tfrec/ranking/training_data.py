"""Training data of the ranker: candidates at a window's start, labeled by its positives."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfrec.examples.batches import Batch, history_only, latest, query_times_of
from tfrec.ranking.candidates import Candidates
from tfrec.ranking.second_stage import SecondStage
from tfrec.schema import EVENT_KINDS

SHORT_LENGTHS = (0, 0, 1, 2, 3, 5, 10, 20)
"""Events of a short history; without any as often again, since a blend is selected for it alone."""

COLD_NEGATIVES = 100
"""Random cold items of a user, at most, that are negatives."""


@dataclasses.dataclass(frozen=True)
class Examples:
    """Labeled candidates."""

    user: np.ndarray  # [n] int64 number of the user, rising within each part that was added
    features: np.ndarray  # [n, features] float32
    rows: np.ndarray  # [n] int64
    labels: np.ndarray  # [n, heads] float32
    profile: dict[str, np.ndarray]  # user_<column> -> [n] int64
    users: int  # of the batch, also those without a candidate

    def inputs(self, indices: np.ndarray | slice) -> dict[str, np.ndarray]:
        """Inputs of the ranker, with the labels, of the examples at `indices`."""
        arrays = {"features": self.features, "rows": self.rows, "labels": self.labels, **self.profile}
        return {name: values[indices] for name, values in arrays.items()}


class ExampleBuffer:
    """Examples of many batches, to be joined into one.

    It frees each piece as soon as it is copied: the features would not fit into memory twice.
    """

    def __init__(self) -> None:
        self.count = self.users = 0
        self._pieces: dict[str, list[np.ndarray]] = {}

    def add(self, examples: Iterable[Examples], first_user: int | None = None) -> None:
        """Append examples of a batch of users each; users are numbered by their order.

        The first one is `first_user`, by default the next number: give the same for further
        examples of the same batches.
        """
        self.users = self.users if first_user is None else first_user
        for part in examples:
            for name, values in {"user": part.user + self.users, **part.inputs(slice(None))}.items():
                self._pieces.setdefault(name, []).append(values)
            self.count += len(part.rows)
            self.users += part.users

    def join(self) -> Examples:
        """Join all examples and leave the buffer empty."""
        joined = {name: self._join_pieces(name) for name in self._pieces}
        self._pieces = {}
        users, self.users, self.count = self.users, 0, 0
        arrays = {name: joined.pop(name) for name in ("user", "features", "rows", "labels")}
        return Examples(**arrays, profile=joined, users=users)

    def _join_pieces(self, name: str) -> np.ndarray:
        pieces = self._pieces[name]
        end = sum(map(len, pieces))
        joined = np.empty((end, *pieces[0].shape[1:]), pieces[0].dtype)
        while pieces:
            piece = pieces.pop()
            joined[end - len(piece) : end] = piece
            end -= len(piece)
        return joined


class Targets(NamedTuple):
    """Target events of a batch, each [targets]."""

    user: np.ndarray  # index in the batch
    row: np.ndarray  # of the catalog
    kind: np.ndarray


def collect_candidates(stage: SecondStage, data: Iterable[Batch], start: int | None) -> Iterator[Examples]:
    """Label each user's candidates at second `start` (None: at the user's own first target)."""
    for batch in data:
        candidates, features = _generate_candidates(stage, history_only(batch), query_times_of(batch, start), True)
        yield _label(stage, batch, candidates.rows.numpy(), features.numpy())


def collect_short_histories(
    stage: SecondStage, data: Iterable[Batch], start: int | None, share: float, seed: int, *, with_towers: bool = True
) -> Iterator[Examples]:
    """Label the candidates of users as if their history held its last SHORT_LENGTHS events only.

    Each of a random `share` of the users has one random length. The others have no candidates.
    Without the towers these are items that the towers have no part in.
    """
    random = np.random.default_rng(seed)
    for batch in data:
        users = len(batch["user_id"])
        lengths, is_short = random.choice(SHORT_LENGTHS, users).astype(np.int32), random.random(users) < share
        history = latest(history_only(batch), tf.constant(lengths))
        history["user_id"] = tf.fill([users], "")  # a user without a history is new to the towers
        candidates, features = _generate_candidates(stage, history, query_times_of(batch, start), with_towers)
        rows = np.where(is_short[:, np.newaxis], candidates.rows.numpy(), 0)
        yield _label(stage, batch, rows, features.numpy())


def collect_repeats(stage: SecondStage, data: Iterable[Batch], start: int) -> Iterator[Examples]:
    """Label each user's repeat candidates at second `start`."""
    for batch in data:
        rows, features = _find_repeats(stage, history_only(batch), query_times_of(batch, start))
        yield _label(stage, batch, rows.numpy(), features.numpy())


def collect_cold_items(
    stage: SecondStage, data: Iterable[Batch], start: int | None, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Features [n, features] and bool labels [n] of cold items at second `start`.

    Where `start` is None, at each user's own first target. Each user has their positives, of the
    kinds that count, and up to COLD_NEGATIVES random negatives.
    """
    cold, random = stage.cold.rows.numpy(), np.random.default_rng(seed)
    kinds = [_kind_index(head) for head in stage.positive_heads]
    features, labels = [np.empty((0, len(stage.features.names)), np.float32)], [np.empty(0, bool)]
    for batch in data if len(cold) else ():
        targets = _targets(stage, batch)
        is_positive = np.isin(targets.row, cold) & np.isin(targets.kind, kinds)
        drawn = random.choice(cold, (len(batch["user_id"]), COLD_NEGATIVES))
        positives = [np.unique(targets.row[is_positive & (targets.user == user)]) for user in range(len(drawn))]
        negatives = [np.setdiff1d(items, own) for items, own in zip(drawn, positives, strict=True)]
        pairs = list(zip(positives, negatives, strict=True))
        rows = np.zeros((len(drawn), max(len(own) + len(others) for own, others in pairs)), np.int64)
        for user, pair in enumerate(pairs):
            rows[user, : sum(map(len, pair))] = np.concatenate(pair)
        query_times = query_times_of(batch, start)
        values = _compute_features(stage, history_only(batch), query_times, tf.constant(rows)).numpy()
        is_label = np.arange(rows.shape[1]) < np.array([len(own) for own in positives])[:, np.newaxis]
        features.append(values[rows > 0])
        labels.append(is_label[rows > 0])
    return np.concatenate(features), np.concatenate(labels)


def mask_tower_scores(names: Sequence[str], earlier: np.ndarray, window: np.ndarray) -> np.ndarray:
    """Features `earlier` [n, names] whose towers' scores are means of those in `window`.

    The towers have been trained on the positives of earlier windows, so their scores there would
    give the labels away. `window` [m, names] are features of the validation window. Repeats get the
    mean of its repeats, and new items that of its new items; where it holds none the scores stay.
    """
    columns = np.array([names.index("towers"), names.index("towers_below_best")])
    repeat = names.index("repeat")
    masked = earlier.copy()
    for of_earlier, of_window in (
        (earlier[:, repeat] > 0, window[:, repeat] > 0),
        (earlier[:, repeat] <= 0, window[:, repeat] <= 0),
    ):
        if of_earlier.any() and of_window.any():
            masked[np.ix_(of_earlier, columns)] = window[of_window][:, columns].mean(axis=0)
    return masked


@tf.function(reduce_retracing=True, autograph=False)
def _generate_candidates(
    stage: SecondStage, history: Batch, query_times: tf.Tensor, with_towers: bool
) -> tuple[Candidates, tf.Tensor]:
    queries = stage.embed_queries(history, query_times) if with_towers else None
    return stage.generate_candidates(history, query_times, queries)


@tf.function(reduce_retracing=True, autograph=False)
def _find_repeats(stage: SecondStage, history: Batch, query_times: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    rows = stage.find_repeats(history, query_times)
    return rows, stage.compute_features(history, query_times, stage.embed_queries(history, query_times), rows)


@tf.function(reduce_retracing=True, autograph=False)
def _compute_features(stage: SecondStage, history: Batch, query_times: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    return stage.compute_features(history, query_times, stage.embed_queries(history, query_times), rows)


def _label(stage: SecondStage, batch: Batch, rows: np.ndarray, features: np.ndarray) -> Examples:
    """Label `rows` [batch, candidates], 0 pads; `features` [batch, candidates, features]."""
    users, indices = np.nonzero(rows)
    rows = rows[users, indices]
    profile = {name: batch[name].numpy()[users] for name in stage.profile_names}
    labels = _labels(stage, batch, users, rows)
    return Examples(users, features[users, indices], rows, labels, profile, len(batch["user_id"]))


def _labels(stage: SecondStage, batch: Batch, users: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """[n, heads] float32: 1 where the user has a target with the row and of the head's kind."""
    targets, size = _targets(stage, batch), stage.catalog_size
    pairs = targets.user * size + targets.row
    by_head = [pairs[targets.kind == _kind_index(head)] for head in stage.ranker.heads]
    return np.stack([np.isin(users * size + rows, positives) for positives in by_head], axis=1).astype(np.float32)


def _targets(stage: SecondStage, batch: Batch) -> Targets:
    user, index = np.nonzero(batch["event_is_target"].numpy())
    rows = stage.catalog_rows(batch["event_item_id"]).numpy()
    return Targets(user, rows[user, index], batch["event_kind"].numpy()[user, index])


def _kind_index(head: str) -> int:
    return 1 + EVENT_KINDS.index(head)
