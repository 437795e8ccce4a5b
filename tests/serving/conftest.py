"""A toy shop whose every answer is worked out by hand, exported as a real SavedModel, and a server of it.

It is the model of conformance/toy.py with the signatures that a shop asks. The catalogue is a (Apple), b (Brot),
c (茶). `recommend` scores an item by how often it is in the history, + 100 where the query is its title, + 0.5 for c
where user_city is north; a is of the category Fruit, b and c of Food. Variety of 0.5 or more turns the order around.
`search` is as older models have it, without wishes but `exclude_seen`; `rank` and `ctr` score given items.

The second model, people, takes tf.Examples (conformance/people.py).
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from serving.lifecycle.model_config import single
from serving.server.embedded import Server, start
from tests.serving.conformance import people as people_model
from tests.serving.conformance import toy

IDS = ["a", "b", "c"]
TITLES = ["Apple", "Brot", "茶"]
CATEGORIES = ["Fruit", "Food", "Food"]
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
SEEN = _spec("exclude_seen", tf.bool)
WISHES = [
    SEEN,
    _spec("diversity", FLOAT),
    *(_spec(name, STRING, None) for name in ("exclude_item_id", "allow_category", "deny_category")),
]
CANDIDATES = _spec("candidate_item_id", STRING, None)


class Shop(toy.Toy):
    """The model of this file's docstring."""

    def __init__(self, scale: float, words: Path) -> None:
        super().__init__(scale, words)
        self.ids, self.titles = tf.constant(IDS), tf.constant(TITLES)

    def signatures(self) -> dict[str, Any]:
        return super().signatures() | {
            "recommend": _named(self.recommend, [*SHOPPER, *WISHES]),
            "search": _named(self.search, [*SHOPPER, SEEN]),
            "rank": _named(self.rank, [*SHOPPER, CANDIDATES]),
            "ctr": _named(self.ctr, [spec for spec in [*SHOPPER, CANDIDATES] if spec.name != "query"]),
            "similar_items": self.similar,
            "embed_query": _named(self.embed_query, SHOPPER),
            "embed_item": _named(self.embed_item, ITEM),
        }

    def recommend(self, **inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        def named(names: tf.Tensor, of_items: tf.Tensor) -> tf.Tensor:
            return tf.reduce_any(tf.equal(names[:, :, None], of_items), axis=1)

        allow = inputs["allow_category"]
        allowed = tf.logical_or(named(allow, tf.constant(CATEGORIES)), tf.reduce_all(allow == "", axis=1)[:, None])
        denied = named(inputs["deny_category"], tf.constant(CATEGORIES))
        excluded = named(inputs["exclude_item_id"], self.ids)
        hidden = tf.logical_or(tf.logical_or(denied, excluded), tf.logical_not(allowed))
        scores = tf.where(tf.logical_or(hidden, self._seen(inputs)), -float("inf"), self._scores(inputs))
        return self._best(tf.where(inputs["diversity"][:, None] >= 0.5, tf.where(hidden, scores, -scores), scores))

    def search(self, **inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return self._best(tf.where(self._seen(inputs), -float("inf"), self._scores(inputs)))

    def rank(self, **inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        scores, is_known = self._of(inputs)
        best, order = tf.math.top_k(tf.where(is_known, scores, scores.dtype.min), tf.shape(scores)[1])
        given = tf.gather(inputs["candidate_item_id"], order, batch_dims=1)
        given = tf.where(tf.gather(is_known, order, batch_dims=1), given, "")
        return {"item_id": given, "title": tf.strings.upper(given), "score": best}

    def ctr(self, **inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        """A purchase is a hundredth of the score likely, a click a tenth."""
        scores, is_known = self._of(inputs | {"query": tf.fill(tf.shape(inputs["timestamp"]), "")})
        return {
            "item_id": tf.where(is_known, inputs["candidate_item_id"], ""),
            "purchase": scores / 100.0,
            "click": scores / 10.0,
        }

    def _of(self, inputs: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        """Scores of the candidates, 0 for an unknown one, and whether they are known."""
        is_item = tf.equal(inputs["candidate_item_id"][:, :, None], self.ids)
        scores = tf.reduce_sum(tf.cast(is_item, tf.float32) * self._scores(inputs)[:, None], axis=2)
        return scores, tf.reduce_any(is_item, axis=2)

    def _scores(self, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        found = tf.cast(tf.equal(inputs["query"][:, None], self.titles), tf.float32)
        north = tf.cast(tf.equal(inputs["user_city"], "north"), tf.float32)
        return self._counts(inputs["event_item_id"]) + 100.0 * found + north[:, None] * tf.constant([0.0, 0.0, 0.5])

    def _seen(self, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        return tf.logical_and(inputs["exclude_seen"][:, None], self._counts(inputs["event_item_id"]) > 0)

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
    for number in (1, 2, 3):
        toy.export(root / str(number), number, Shop)
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
    with start(single("toy", base)) as running:
        yield running


@pytest.fixture
def channel(server: Server) -> Iterator[grpc.Channel]:
    """To the server of a module, which may have its own fixture of that name."""
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as opened:
        yield opened


@pytest.fixture
def http(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://127.0.0.1:{server.rest_api_port}", trust_env=False, timeout=30) as client:
        yield client


@pytest.fixture(scope="session")
def eventually() -> Callable[[Callable[[], bool]], None]:
    """Waits until a claim holds; fails when it does not within 15 seconds."""

    def wait(claim: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 15
        while not claim():
            assert time.monotonic() < deadline, "it did not come true within 15 seconds"
            time.sleep(0.02)

    return wait


@pytest.fixture(scope="session")
def exported_people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model_base_path that holds version 1 of the second model; never written to."""
    root = tmp_path_factory.mktemp("people")
    people_model.export(root / "1")
    return root


@pytest.fixture
def people_path(exported_people: Path, tmp_path: Path) -> Path:
    """A model_base_path that holds version 1 of the second model."""
    shutil.copytree(exported_people, tmp_path / "people")
    return tmp_path / "people"


@pytest.fixture(scope="session")
def people(exported_people: Path) -> Iterator[Server]:
    """A server of the second model."""
    with start(single("people", exported_people)) as running:
        yield running


@pytest.fixture(scope="session")
def rename_input() -> Callable[[Path, str, str], None]:
    """Gives an input of a version, in all its signatures, another name."""

    def rename(path: Path, old: str, new: str) -> None:
        file = path / "saved_model.pb"
        saved = saved_model_pb2.SavedModel.FromString(file.read_bytes())
        for signature in saved.meta_graphs[0].signature_def.values():
            if old in signature.inputs:
                signature.inputs[new].CopyFrom(signature.inputs.pop(old))
        file.write_bytes(saved.SerializeToString())

    return rename
