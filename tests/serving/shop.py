"""Model of a toy shop: a recommender whose every output is worked out by hand.

It has the signatures of conformance/toy.py and those of a recommender. The catalog is a (Apple),
b (Brot), c (茶); a is of the category Fruit, b and c of Food.

- `recommend`: an item's score is its count in the history, + 100 where the query is its title,
  + 0.5 for c where user_city is north. A diversity of 0.5 or more reverses the order;
  a list calibration of 0 or more is added to the score of a.
- `search`: the same scores, as in older models: `exclude_seen` is its only constraint.
- `rank`, `ctr`: the same scores for given candidates.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf

from tests.serving.conformance import toy

IDS = ["a", "b", "c"]
TITLES = ["Apple", "Brot", "茶"]
CATEGORIES = ["Fruit", "Food", "Food"]
STRING, INT64, FLOAT = tf.string, tf.int64, tf.float32


def _spec(name: str, dtype: tf.DType, *shape: int | None) -> tf.TensorSpec:
    return tf.TensorSpec((None, *shape), dtype, name=name)


USER = [
    _spec("event_item_id", STRING, None),
    _spec("event_kind", STRING, None),
    _spec("event_timestamp", INT64, None),
    _spec("event_price", FLOAT, None),
    _spec("timestamp", INT64),
    _spec("query", STRING),
    _spec("user_id", STRING),
    _spec("user_city", STRING),
]
ITEM = [
    *(_spec(name, STRING) for name in ("item_id", "item_title", "item_description")),
    *(_spec(name, STRING) for name in ("item_category", "item_brand")),
    _spec("item_price", FLOAT),
]
EXCLUDE_SEEN = _spec("exclude_seen", tf.bool)
CONSTRAINTS = [
    EXCLUDE_SEEN,
    _spec("diversity", FLOAT),
    _spec("list_calibration", FLOAT),
    *(_spec(name, STRING, None) for name in ("exclude_item_id", "allow_category", "deny_category")),
]
CANDIDATES = _spec("candidate_item_id", STRING, None)


class ShopModel(toy.Toy):
    """The model of this file's docstring."""

    def __init__(self, scale: float, words: Path) -> None:
        super().__init__(scale, words)
        self.ids, self.titles = tf.constant(IDS), tf.constant(TITLES)

    def signatures(self) -> dict[str, Any]:
        return super().signatures() | {
            "recommend": _concrete(self.recommend, [*USER, *CONSTRAINTS]),
            "search": _concrete(self.search, [*USER, EXCLUDE_SEEN]),
            "rank": _concrete(self.rank, [*USER, CANDIDATES]),
            "ctr": _concrete(self.ctr, [spec for spec in [*USER, CANDIDATES] if spec.name != "query"]),
            "similar_items": self.similar,
            "embed_query": _concrete(self.embed_query, USER),
            "embed_item": _concrete(self.embed_item, ITEM),
        }

    def recommend(self, **inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        def matches(names: tf.Tensor, of_items: tf.Tensor) -> tf.Tensor:
            return tf.reduce_any(tf.equal(names[:, :, None], of_items), axis=1)

        allow = inputs["allow_category"]
        allowed = tf.logical_or(matches(allow, tf.constant(CATEGORIES)), tf.reduce_all(allow == "", axis=1)[:, None])
        denied = matches(inputs["deny_category"], tf.constant(CATEGORIES))
        excluded = matches(inputs["exclude_item_id"], self.ids)
        hidden = tf.logical_or(tf.logical_or(denied, excluded), tf.logical_not(allowed))
        calibration = tf.maximum(inputs["list_calibration"], 0.0)[:, None] * tf.constant([1.0, 0.0, 0.0])
        scores = self._scores(inputs) + calibration
        scores = tf.where(tf.logical_or(hidden, self._seen(inputs)), -float("inf"), scores)
        reversed_scores = tf.where(hidden, scores, -scores)
        return self._top_items(tf.where(inputs["diversity"][:, None] >= 0.5, reversed_scores, scores))

    def search(self, **inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return self._top_items(tf.where(self._seen(inputs), -float("inf"), self._scores(inputs)))

    def rank(self, **inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        scores, is_known = self._candidate_scores(inputs)
        top, order = tf.math.top_k(tf.where(is_known, scores, scores.dtype.min), tf.shape(scores)[1])
        ids = tf.gather(inputs["candidate_item_id"], order, batch_dims=1)
        ids = tf.where(tf.gather(is_known, order, batch_dims=1), ids, "")
        return {"item_id": ids, "title": tf.strings.upper(ids), "score": top}

    def ctr(self, **inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        """The probability of a purchase is a hundredth of the score, that of a click a tenth."""
        scores, is_known = self._candidate_scores(inputs | {"query": tf.fill(tf.shape(inputs["timestamp"]), "")})
        return {
            "item_id": tf.where(is_known, inputs["candidate_item_id"], ""),
            "purchase": scores / 100.0,
            "click": scores / 10.0,
        }

    @tf.function(input_signature=[_spec("item_id", STRING)])
    def similar(self, item_id: tf.Tensor) -> dict[str, tf.Tensor]:
        """The score is minus the distance in the alphabet: a is closest to a, then b, then c."""
        index = tf.argmax(tf.equal(item_id[:, None], self.ids), axis=1)
        return self._top_items(-tf.abs(tf.cast(index[:, None] - tf.range(3, dtype=INT64), tf.float32)))

    def embed_query(self, **inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        """[count of a, count of b, last timestamp, the request's timestamp]"""
        counts = self._counts(inputs["event_item_id"])[:, :2]
        times = tf.stack([inputs["event_timestamp"][:, -1], inputs["timestamp"]], axis=1)
        return {"embedding": tf.concat([counts, tf.cast(times, tf.float32)], axis=1)}

    def embed_item(self, **inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        """[length of the title, length of the brand, price]"""
        lengths = [tf.cast(tf.strings.length(inputs[name]), tf.float32) for name in ("item_title", "item_brand")]
        return {"embedding": tf.stack([*lengths, inputs["item_price"]], axis=1)}

    def _candidate_scores(self, inputs: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        """Scores of the candidates, 0 for an unknown one, and whether they are known."""
        is_item = tf.equal(inputs["candidate_item_id"][:, :, None], self.ids)
        scores = tf.reduce_sum(tf.cast(is_item, tf.float32) * self._scores(inputs)[:, None], axis=2)
        return scores, tf.reduce_any(is_item, axis=2)

    def _scores(self, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        is_title = tf.cast(tf.equal(inputs["query"][:, None], self.titles), tf.float32)
        is_north = tf.cast(tf.equal(inputs["user_city"], "north"), tf.float32)
        bonus = 100.0 * is_title + is_north[:, None] * tf.constant([0.0, 0.0, 0.5])
        return self._counts(inputs["event_item_id"]) + bonus

    def _seen(self, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        return tf.logical_and(inputs["exclude_seen"][:, None], self._counts(inputs["event_item_id"]) > 0)

    def _counts(self, item_ids: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(tf.cast(tf.equal(item_ids[:, :, None], self.ids), tf.float32), axis=1)

    def _top_items(self, scores: tf.Tensor) -> dict[str, tf.Tensor]:
        top, rows = tf.math.top_k(scores, 3)
        is_hidden = tf.math.is_inf(top)
        ids, titles = (tf.where(is_hidden, "", tf.gather(column, rows)) for column in (self.ids, self.titles))
        return {"item_id": ids, "title": titles, "score": top}


def _concrete(function: Callable[..., Any], specs: list[tf.TensorSpec]) -> Any:
    return tf.function(function).get_concrete_function(**{spec.name: spec for spec in specs})
