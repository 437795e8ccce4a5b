"""What the ranker learns from: the candidates that retrieval proposes at the start of a window, and what was chosen.

It knows windows and labels, and nothing of how a ranker is fitted.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import numpy as np
import tensorflow as tf

from tfrec.examples.batches import Batch, earlier, history_only, query_times_of
from tfrec.ranking.second_stage import Examined, SecondStage
from tfrec.schema import EVENT_KINDS

OTHERS = 100  # new items a user that are shown to have been passed over


@dataclasses.dataclass(frozen=True)
class Examples:
    """Candidates with what became of them."""

    user: np.ndarray  # [n] int64 number of the user, rising
    features: np.ndarray  # [n, features] float32
    rows: np.ndarray  # [n] int64
    labels: np.ndarray  # [n, heads] float32
    profile: dict[str, np.ndarray]  # user_<column> -> [n] int64

    def of(self, chosen: np.ndarray | slice) -> dict[str, np.ndarray]:
        """What the ranker reads of the chosen ones."""
        arrays = {"features": self.features, "rows": self.rows, "labels": self.labels, **self.profile}
        return {name: values[chosen] for name, values in arrays.items()}

    def part(self, start: int, end: int | None) -> Examples:
        """The examples from index `start` to `end`, without a copy."""
        profile = {name: values[start:end] for name, values in self.profile.items()}
        arrays = (self.user, self.features, self.rows, self.labels)
        return Examples(*(values[start:end] for values in arrays), profile)


def collect(stage: SecondStage, data: Iterable[Batch], start: int | None) -> list[Examples]:
    """The candidates of every user of each batch, at second `start` (None: at each user's own first target)."""
    return [_examples(stage, batch, query_times_of(batch, start)) for batch in data]


def collect_repeats(stage: SecondStage, data: Iterable[Batch], start: int, end: int) -> list[Examples]:
    """What the users of each batch had chosen before second `start`, and which of it they chose again before `end`.

    Of those who chose anything between the two, which lie before the batches' own window.
    """
    parts = []
    for batch in data:
        window = earlier(batch, start, end)
        history = history_only(window)
        query_times = tf.fill([len(batch["user_id"])], tf.constant(start, tf.int64))
        rows, features = _repeats(stage, history, query_times)
        came_back = window["event_is_target"].numpy().any(axis=1)
        parts.append(_told(stage, window, np.where(came_back[:, np.newaxis], rows.numpy(), 0), features.numpy()))
    return parts


def join(parts: list[Examples]) -> Examples:
    """All in one, users numbered through; takes the parts out of the list."""
    numbers = np.cumsum([0, *(part.user[-1] + 1 if len(part.user) else 0 for part in parts)])
    columns = {
        "user": [part.user + number for part, number in zip(parts, numbers[:-1], strict=True)],
        **{name: [part.of(slice(None))[name] for part in parts] for name in parts[0].of(slice(None))},
    }
    parts.clear()  # `_joined` frees each piece once it is copied
    joined = {name: _joined(columns[name]) for name in columns}
    own = {name: joined.pop(name) for name in ("user", "features", "rows", "labels")}
    return Examples(**own, profile=joined)


def new_items(stage: SecondStage, data: Iterable[Batch], start: int | None, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Evidence [n, features] of the new items that each user of the batches chose, and of up to OTHERS other ones.

    Then [n] bool: whether each was chosen, by a kind of event that counts. At second `start` (None: at each user's own
    first target).
    """
    new, random = stage.newcomers.rows.numpy(), np.random.default_rng(seed)
    features, labels = [np.empty((0, len(stage.evidence.names)), np.float32)], [np.empty(0, bool)]
    for batch in data if len(new) else ():
        user, row, kind = _choices(stage, batch)
        counts = np.isin(row, new) & np.isin(kind, [_kind_of(head) for head in stage.counted_heads])
        drawn = random.choice(new, (len(batch["user_id"]), OTHERS))
        chosen = [np.unique(row[counts & (user == number)]) for number in range(len(drawn))]
        others = [np.setdiff1d(some, own) for some, own in zip(drawn, chosen, strict=True)]
        rows = np.zeros(
            (len(drawn), max(len(own) + len(some) for own, some in zip(chosen, others, strict=True))), np.int64
        )
        for number, (own, some) in enumerate(zip(chosen, others, strict=True)):
            rows[number, : len(own) + len(some)] = np.concatenate([own, some])
        found = _evidence(stage, history_only(batch), query_times_of(batch, start), tf.constant(rows)).numpy()
        is_chosen = np.arange(rows.shape[1]) < np.array([len(own) for own in chosen])[:, np.newaxis]
        features.append(found[rows > 0])
        labels.append(is_chosen[rows > 0])
    return np.concatenate(features), np.concatenate(labels)


def _joined(pieces: list[np.ndarray]) -> np.ndarray:
    """One array of all pieces, which it takes away one by one: the features would not fit twice."""
    end = sum(map(len, pieces))
    whole = np.empty((end, *pieces[0].shape[1:]), pieces[0].dtype)
    while pieces:
        piece = pieces.pop()
        whole[end - len(piece) : end] = piece
        end -= len(piece)
    return whole


def _examples(stage: SecondStage, batch: Batch, query_times: tf.Tensor) -> Examples:
    proposed, features = _examine(stage, history_only(batch), query_times)
    return _told(stage, batch, proposed.rows.numpy(), features.numpy())


def _told(stage: SecondStage, batch: Batch, rows: np.ndarray, features: np.ndarray) -> Examples:
    """The candidates `rows` [batch, candidates], 0 pads, and their features [batch, candidates, features]."""
    users, places = np.nonzero(rows)
    rows = rows[users, places]
    profile = {name: batch[name].numpy()[users] for name in stage.profile_names}
    return Examples(users, features[users, places], rows, _labels(stage, batch, users, rows), profile)


@tf.function(reduce_retracing=True)
def _examine(stage: SecondStage, history: Batch, query_times: tf.Tensor) -> Examined:
    return stage.examine(history, query_times, stage.queries(history, query_times))


@tf.function(reduce_retracing=True)
def _repeats(stage: SecondStage, history: Batch, query_times: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    rows = stage.repeats(history, query_times)
    return rows, stage.evidence_of(history, query_times, stage.queries(history, query_times), rows)


@tf.function(reduce_retracing=True)
def _evidence(stage: SecondStage, history: Batch, query_times: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    return stage.evidence_of(history, query_times, stage.queries(history, query_times), rows)


def _labels(stage: SecondStage, batch: Batch, users: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """[n, heads] float32: whether the user of the batch chose the catalogue row, by an event of the head's kind."""
    user, row, kind = _choices(stage, batch)
    size = stage.catalog_size
    chosen = [(user * size + row)[kind == _kind_of(head)] for head in stage.ranker.heads]
    return np.stack([np.isin(users * size + rows, pairs) for pairs in chosen], axis=1).astype(np.float32)


def _choices(stage: SecondStage, batch: Batch) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """[targets] place of the user in the batch, catalogue row and kind of each."""
    user, place = np.nonzero(batch["event_is_target"].numpy())
    rows = stage.catalog_rows(batch["event_item_id"]).numpy()
    return user, rows[user, place], batch["event_kind"].numpy()[user, place]


def _kind_of(head: str) -> int:
    return 1 + EVENT_KINDS.index(head)
