"""Refusal of inputs of unequal sizes, on a signature that returns its number of rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tfrec.export.input_sizes import with_equal_sizes
from tfrec.export.supported_ops import check_ops

EVENTS = ("event_item_id", "event_kind", "event_timestamp", "event_price")
STORE = "user_store"
STORE_SPEC = tf.TensorSpec([None], tf.string, STORE)
Call = Callable[..., dict[str, tf.Tensor]]


class Model(tf.Module):
    """`recommend` has histories, `embed_item` has items; both return the number of rows."""

    def recommend(self, **inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"rows": tf.shape(inputs["query"]), "store": inputs[STORE]}

    def embed_item(self, **inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"rows": tf.shape(inputs["item_id"])}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model, folder = Model(), tmp_path_factory.mktemp("sizes") / "1"
    texts = {name: tf.TensorSpec([None], tf.string, name) for name in ("query", "user_id", "item_id", "item_title")}
    history = {name: tf.TensorSpec([None, None], tf.string, name) for name in (*EVENTS, "exclude_item_id")}
    specs = {
        "recommend": history | {name: texts[name] for name in ("query", "user_id")} | {STORE: STORE_SPEC},
        "embed_item": {name: texts[name] for name in ("item_id", "item_title")},
        "similar_items": {"item_id": texts["item_id"]},
    }
    functions = {"recommend": model.recommend, "embed_item": model.embed_item, "similar_items": model.embed_item}
    signatures = {
        name: tf.function(with_equal_sizes(function, (STORE,))).get_concrete_function(**specs[name])
        for name, function in functions.items()
    }
    tf.saved_model.save(model, str(folder), signatures)
    return folder


@pytest.fixture(scope="module")
def signatures(saved: Path) -> dict[str, Call]:
    loaded = tf.saved_model.load(str(saved))
    return {"keep the model alive": loaded} | dict(loaded.signatures)


def request(**shapes: tuple[int, ...]) -> dict[str, tf.Tensor]:
    """Inputs of `recommend` for two users with three events and no exclusion, but for `shapes`."""
    sizes = {name: (2, 3) for name in EVENTS} | {"query": (2,), "user_id": (2,), "exclude_item_id": (2, 0)}
    sizes |= {STORE: (1,)} | shapes
    return {name: tf.fill(size, "") for name, size in sizes.items()}


def test_inputs_of_equal_sizes_pass(signatures: dict[str, Call]) -> None:
    assert signatures["recommend"](**request())["rows"].numpy().tolist() == [2]
    assert signatures["recommend"](**request(exclude_item_id=(2, 7)))["rows"].numpy().tolist() == [2]
    none = {name: (0, 0) for name in (*EVENTS, "exclude_item_id")} | {"query": (0,), "user_id": (0,)}
    assert signatures["recommend"](**request(**none))["rows"].numpy().tolist() == [0]
    assert signatures["similar_items"](item_id=tf.constant(["a", "b"]))["rows"].numpy().tolist() == [2]


@pytest.mark.parametrize("rows", [0, 1, 2, 3])
def test_one_row_of_an_input_with_a_default_serves_each_row(signatures: dict[str, Call], rows: int) -> None:
    sizes = {name: (rows, 3) for name in EVENTS} | {"query": (rows,), "user_id": (rows,), "exclude_item_id": (rows, 0)}
    answer = signatures["recommend"](**request(**sizes) | {STORE: tf.constant(["north"])})
    assert answer["store"].numpy().tolist() == [b"north"] * rows
    answer = signatures["recommend"](**request(**sizes) | {STORE: tf.fill([rows], "south")})
    assert answer["store"].numpy().tolist() == [b"south"] * rows


def test_another_number_of_rows_of_an_input_with_a_default_is_refused(signatures: dict[str, Call]) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match="user_store has batch size 3 but event_item_id has 2"):
        signatures["recommend"](**request(**{STORE: (3,)}))


@pytest.mark.parametrize("length", [0, 2, 4])
@pytest.mark.parametrize("name", ["event_kind", "event_timestamp", "event_price"])
def test_a_shorter_and_a_longer_column_of_the_history_are_refused_alike(
    signatures: dict[str, Call], name: str, length: int
) -> None:
    text = f"{name} has history length {length} but event_item_id has 3; send both of one size"
    with pytest.raises(tf.errors.InvalidArgumentError, match=text):
        signatures["recommend"](**request(**{name: (2, length)}))


@pytest.mark.parametrize(
    ("shapes", "text"),
    [
        ({"user_id": (1,)}, "user_id has batch size 1 but event_item_id has 2; send both of one size"),
        ({"query": (3,)}, "query has batch size 3 but event_item_id has 2"),
        ({"exclude_item_id": (1, 4)}, "exclude_item_id has batch size 1 but event_item_id has 2"),
        ({"event_price": (1, 3)}, "event_price has batch size 1 but event_item_id has 2"),
        ({"event_item_id": (1, 3)}, "event_kind has batch size 2 but event_item_id has 1"),
        ({"event_item_id": (2, 1)}, "event_kind has history length 3 but event_item_id has 1"),
    ],
)
def test_another_number_of_rows_is_refused(
    signatures: dict[str, Call], shapes: dict[str, tuple[int, ...]], text: str
) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match=text):
        signatures["recommend"](**request(**shapes))


def test_items_need_a_value_of_each_column(signatures: dict[str, Call]) -> None:
    inputs = {"item_id": np.array(["", ""]), "item_title": np.array(["Tea"])}
    with pytest.raises(tf.errors.InvalidArgumentError, match="item_title has batch size 1 but item_id has 2"):
        signatures["embed_item"](**{name: tf.constant(value) for name, value in inputs.items()})


def test_the_check_uses_ops_of_the_stock_server(saved: Path) -> None:
    check_ops(str(saved))
