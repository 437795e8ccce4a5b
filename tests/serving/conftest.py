"""A toy model whose every answer is worked out by hand, exported as a real SavedModel, and a server of it.

The catalogue is a (Apple), b (Brot), c (茶). `recommend` scores an item by how often it is in the history,
+ 100 where the query is its title, + 0.5 for c where user_city is north. `x * scale + y` tells versions
apart: a version's scale is its number.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
import tensorflow_text as text

from serving.embedded import Server, start

IDS = ["a", "b", "c"]
TITLES = ["Apple", "Brot", "茶"]
STRING, INT64, FLOAT = tf.string, tf.int64, tf.float32


def _spec(name: str, dtype: tf.DType, *shape: int | None) -> tf.TensorSpec:
    return tf.TensorSpec((None, *shape), dtype, name=name)


SHOPPER = [
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


class Toy(tf.Module):
    """The model of this file's docstring."""

    def __init__(self, scale: float, words: Path) -> None:
        super().__init__()
        self.scale = tf.Variable(scale)
        self.ids, self.titles = tf.constant(IDS), tf.constant(TITLES)
        lines = tf.lookup.TextFileInitializer(
            str(words),
            tf.string,
            tf.lookup.TextFileIndex.WHOLE_LINE,
            tf.int64,
            tf.lookup.TextFileIndex.LINE_NUMBER,
        )
        self.words = tf.lookup.StaticHashTable(lines, -1)

    @tf.function(input_signature=[_spec("x", FLOAT), _spec("y", FLOAT)])
    def linear(self, x: tf.Tensor, y: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"sum": x * self.scale + y, "difference": x - y}

    @tf.function(input_signature=[_spec("word", STRING)])
    def lookup(self, word: tf.Tensor) -> dict[str, tf.Tensor]:
        normal = text.normalize_utf8(text.case_fold_utf8(word), "NFKC")
        return {"line": self.words.lookup(word), "normal": normal, "normal_bytes": normal}

    @tf.function(input_signature=[_spec("flag", tf.bool), _spec("small", tf.int32), _spec("exact", tf.float64)])
    def types(self, flag: tf.Tensor, small: tf.Tensor, exact: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"flag": flag, "small": small, "exact": exact, "total": tf.reduce_sum(exact)}

    @tf.function(input_signature=[_spec("half", tf.float16)])
    def halves(self, half: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"double": half + half}

    def recommend(self, **inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        counts = self._counts(inputs["event_item_id"])
        found = tf.cast(tf.equal(inputs["query"][:, None], self.titles), tf.float32)
        north = tf.cast(tf.equal(inputs["user_city"], "north"), tf.float32)
        scores = counts + 100.0 * found + north[:, None] * tf.constant([0.0, 0.0, 0.5])
        hidden = tf.logical_and(inputs["exclude_seen"][:, None], counts > 0)
        return self._best(tf.where(hidden, -float("inf"), scores))

    @tf.function(input_signature=[_spec("item_id", STRING)])
    def similar(self, item_id: tf.Tensor) -> dict[str, tf.Tensor]:
        """a is closest to a, then b, then c: minus the distance in the alphabet."""
        place = tf.argmax(tf.equal(item_id[:, None], self.ids), axis=1)
        return self._best(-tf.abs(tf.cast(place[:, None] - tf.range(3, dtype=INT64), tf.float32)))

    def embed_query(self, **inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        """[count of a, count of b, last timestamp, the request's timestamp]"""
        counts = self._counts(inputs["event_item_id"])[:, :2]
        times = tf.stack([inputs["event_timestamp"][:, -1], inputs["timestamp"]], axis=1)
        return {"embedding": tf.concat([counts, tf.cast(times, tf.float32)], axis=1)}

    def embed_item(self, **inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        """[length of the title, length of the brand, price]"""
        lengths = [tf.cast(tf.strings.length(inputs[name]), tf.float32) for name in ("item_title", "item_brand")]
        return {"embedding": tf.stack([*lengths, inputs["item_price"]], axis=1)}

    def _counts(self, item_ids: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(tf.cast(tf.equal(item_ids[:, :, None], self.ids), tf.float32), axis=1)

    def _best(self, scores: tf.Tensor) -> dict[str, tf.Tensor]:
        best, rows = tf.math.top_k(scores, 3)
        gone = tf.math.is_inf(best)
        ids, titles = (tf.where(gone, "", tf.gather(column, rows)) for column in (self.ids, self.titles))
        return {"item_id": ids, "title": titles, "score": best}


def _named(function: Callable[..., Any], specs: list[tf.TensorSpec]) -> Any:
    return tf.function(function).get_concrete_function(**{spec.name: spec for spec in specs})


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders 1, 2 and 3, each the toy model with that scale; never written to."""
    root = tmp_path_factory.mktemp("exported")
    words = root / "words.txt"
    words.write_text("pasta\ntee\n茶\n", encoding="utf-8")
    for number in (1, 2, 3):
        toy = Toy(float(number), words)
        signatures = {
            "serving_default": toy.linear,
            "lookup": toy.lookup,
            "types": toy.types,
            "halves": toy.halves,
            "recommend": _named(toy.recommend, [*SHOPPER, _spec("exclude_seen", tf.bool)]),
            "search": _named(toy.recommend, [*SHOPPER, _spec("exclude_seen", tf.bool)]),
            "similar_items": toy.similar,
            "embed_query": _named(toy.embed_query, SHOPPER),
            "embed_item": _named(toy.embed_item, ITEM),
        }
        tf.saved_model.save(toy, str(root / str(number)), signatures=signatures)
    words.unlink()  # the asset was copied: serving must not need the original
    return root


@pytest.fixture
def base_path(exported: Path, tmp_path: Path) -> Path:
    """A model_base_path that holds version 1."""
    shutil.copytree(exported / "1", tmp_path / "toy" / "1")
    return tmp_path / "toy"


@pytest.fixture(scope="module")
def server(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of version 1 for tests that do not change it."""
    base = tmp_path_factory.mktemp("served")
    shutil.copytree(exported / "1", base / "1")
    with start("toy", base) as running:
        yield running


@pytest.fixture(scope="session")
def eventually() -> Callable[[Callable[[], bool]], None]:
    """Waits until a claim holds; fails when it does not within 15 seconds."""

    def wait(claim: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 15
        while not claim():
            assert time.monotonic() < deadline, "it did not come true within 15 seconds"
            time.sleep(0.02)

    return wait
