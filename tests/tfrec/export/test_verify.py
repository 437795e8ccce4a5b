"""Verification of sound SavedModels and of copies with one defect."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tfrec.errors import ModelError
from tfrec.export.golden_requests import GOLDEN_REQUESTS
from tfrec.export.supported_ops import compiled_functions, foreign_ops
from tfrec.export.verify import verify, verify_in_fresh_process


@pytest.fixture
def model(toys, tmp_path) -> Path:
    """Copy of a toy model of tests/conftest.py, which has the one signature embed_query."""
    return Path(shutil.copytree(toys["wise"], tmp_path / "model"))


@pytest.fixture
def real(exported_shop, tmp_path) -> Path:
    """Copy of the shop's own model in another folder than that of its export."""
    return Path(shutil.copytree(exported_shop.folder, tmp_path / "real"))


def refused(model: Path, reason: str) -> None:
    with pytest.raises(ModelError, match=reason):
        verify(str(model))


def rewrite_graph(model: Path, change: Callable[[list], None]) -> None:
    """Apply `change` to the nodes of the graph and of every function."""
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    saved = SavedModel.FromString((model / "saved_model.pb").read_bytes())
    graph = saved.meta_graphs[0].graph_def
    change([*graph.node, *(node for function in graph.library.function for node in function.node_def)])
    (model / "saved_model.pb").write_bytes(saved.SerializeToString())


def rewrite_golden_requests(model: Path, change: Callable[[dict[str, np.ndarray]], None]) -> None:
    with np.load(model / GOLDEN_REQUESTS) as stored:
        arrays = dict(stored)
    change(arrays)
    np.savez(model / GOLDEN_REQUESTS, **arrays)


def flip(path: Path, position: float) -> None:
    content = bytearray(path.read_bytes())
    content[int(position * (len(content) - 1))] ^= 0xFF
    path.write_bytes(content)


@pytest.mark.slow
def test_a_sound_export_passes_in_a_fresh_process(real):
    assert verify_in_fresh_process(str(real)) is None


def test_a_sound_toy_passes(model):
    verify(str(model))


@pytest.mark.parametrize("position", [0.0, 0.3, 0.7, 1.0])
def test_a_flipped_byte_in_the_weights_is_refused(model, position):
    (data,) = (model / "variables").glob("variables.data*")
    flip(data, position)
    refused(model, "does not load")


def test_weights_of_another_model_are_refused(model):
    import tensorflow as tf

    loaded = tf.saved_model.load(str(model))
    loaded.likes.assign(loaded.likes[:, ::-1])
    other = model.with_name("other")
    tf.saved_model.save(loaded, str(other), loaded.signatures)
    shutil.copytree(model / "assets.extra", other / "assets.extra")
    refused(other, "differs from that of the trained model: the export is damaged")


@pytest.mark.parametrize("size", [0, 1000, -1000])
def test_a_truncated_graph_is_refused(model, size):
    content = (model / "saved_model.pb").read_bytes()
    (model / "saved_model.pb").write_bytes(content[:size])
    refused(model, "saved_model.pb|does not load")


@pytest.mark.parametrize("missing", ["saved_model.pb", "variables"])
def test_a_missing_part_is_refused(model, missing):
    shutil.rmtree(model / missing) if (model / missing).is_dir() else os.remove(model / missing)
    refused(model, "saved_model.pb|does not load")


def test_a_missing_vocabulary_is_refused(real):
    shutil.rmtree(real / "assets")
    refused(real, "does not load")


@pytest.mark.slow
def test_a_vocabulary_in_another_order_is_refused(real):
    longest = max((real / "assets").iterdir(), key=lambda path: path.stat().st_size)
    words = longest.read_text(encoding="utf-8").splitlines()
    longest.write_text("\n".join(words[:1000] + words[:999:-1]) + "\n", encoding="utf-8")
    refused(real, "differs from that of the trained model")


def test_an_op_that_the_server_does_not_link_is_refused_by_name(model):
    def change(nodes: list) -> None:
        next(node for node in nodes if node.op == "MatMul").op = "ShopsOwnMatMul"

    rewrite_graph(model, change)
    assert foreign_ops(str(model)) == ["ShopsOwnMatMul"]
    refused(model, "uses ShopsOwnMatMul, which stock TensorFlow Serving does not link")


def test_a_function_that_xla_must_compile_is_refused(tmp_path):
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)], jit_compile=True)
    def twice(x: tf.Tensor) -> tf.Tensor:
        return x * 2.0

    module = tf.Module()
    module.twice = twice
    tf.saved_model.save(module, str(tmp_path / "model"))
    refused(tmp_path / "model", "needs XLA to compile __inference_twice_")


def test_a_call_back_into_python_is_refused_by_name(tmp_path):
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
    def twice(x: tf.Tensor) -> tf.Tensor:
        return tf.py_function(lambda value: value * 2, [x], tf.float32)

    module = tf.Module()
    module.twice = twice
    tf.saved_model.save(module, str(tmp_path / "model"))
    assert foreign_ops(str(tmp_path / "model")) == ["EagerPyFunc"]
    refused(tmp_path / "model", "uses EagerPyFunc")


def test_an_export_has_no_foreign_op_and_no_compiled_function(exported_shop):
    assert foreign_ops(str(exported_shop.folder)) == []
    assert compiled_functions(str(exported_shop.folder)) == []


def test_a_model_without_golden_requests_is_refused(model):
    (model / GOLDEN_REQUESTS).unlink()
    refused(model, "has no readable golden requests")


def test_truncated_golden_requests_are_refused(model):
    content = (model / GOLDEN_REQUESTS).read_bytes()
    (model / GOLDEN_REQUESTS).write_bytes(content[: len(content) // 2])
    refused(model, "has no readable golden requests")


def test_a_signature_without_a_golden_request_is_refused(model):
    rewrite_golden_requests(model, lambda arrays: arrays.clear())
    refused(model, "signature embed_query has no golden request")


def test_a_golden_request_of_a_missing_signature_is_refused(model):
    rewrite_golden_requests(model, lambda arrays: arrays.update({"order/in/item_id": np.array([b"tea"])}))
    refused(model, "signature order fails after a reload")


@pytest.mark.parametrize(
    "change",
    [
        lambda value: value + 0.001,
        lambda value: np.where(value == value.max(), np.nan, value),
        lambda value: value[:, :-1],
        lambda value: value[:1],
    ],
    ids=["a little more", "not a number", "a column less", "a row less"],
)
def test_an_answer_that_differs_from_the_stored_one_is_refused(model, change):
    name = "embed_query/out/embedding"
    rewrite_golden_requests(model, lambda arrays: arrays.update({name: change(arrays[name])}))
    refused(model, "output embedding of signature embed_query differs from that of the trained model")
