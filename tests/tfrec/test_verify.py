"""Which SavedModels may be served: the shop's own, and copies of it with one thing wrong."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tfrec.errors import ModelError
from tfrec.probes import PROBES
from tfrec.verify import foreign_ops, verify, verify_in_fresh_process


@pytest.fixture
def model(exported_shop, tmp_path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(exported_shop.folder, tmp_path / "model"))


def refused(model: Path, reason: str) -> None:
    with pytest.raises(ModelError, match=reason):
        verify(str(model))


def rewrite_graph(model: Path, change: Callable[[list], None]) -> None:
    """Applies a change to the nodes of every function, and of the graph."""
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    saved = SavedModel.FromString((model / "saved_model.pb").read_bytes())
    graph = saved.meta_graphs[0].graph_def
    change([*graph.node, *(node for function in graph.library.function for node in function.node_def)])
    (model / "saved_model.pb").write_bytes(saved.SerializeToString())


def rewrite_probes(model: Path, change: Callable[[dict[str, np.ndarray]], None]) -> None:
    with np.load(model / PROBES) as stored:
        arrays = dict(stored)
    change(arrays)
    np.savez(model / PROBES, **arrays)


def flip(path: Path, place: float) -> None:
    content = bytearray(path.read_bytes())
    content[int(place * (len(content) - 1))] ^= 0xFF
    path.write_bytes(content)


def test_a_fresh_process_finds_the_export_good(exported_shop):
    assert verify_in_fresh_process(str(exported_shop.folder)) is None


def test_it_is_good_after_it_was_moved_and_everything_it_was_made_of_is_gone(model):
    verify(str(model))


def test_a_process_that_dies_is_a_reason_too(tmp_path):
    (tmp_path / "saved_model.pb").mkdir()
    assert "holds no readable saved_model.pb" in str(verify_in_fresh_process(str(tmp_path)))


@pytest.mark.parametrize("place", [0.0, 0.3, 0.7, 1.0])
def test_a_flipped_byte_anywhere_in_the_weights_is_noticed(model, place):
    (data,) = (model / "variables").glob("variables.data*")
    flip(data, place)
    refused(model, "does not load")


def test_weights_that_are_whole_but_others_are_noticed(model, exported_shop):
    import tensorflow as tf

    loaded = tf.saved_model.load(str(model))
    loaded.candidates.assign(loaded.candidates[:, ::-1])
    other = model.with_name("other")
    tf.saved_model.save(loaded, str(other), loaded.signatures)
    shutil.copytree(model / "assets.extra", other / "assets.extra")
    refused(other, "is not what the trained model gave: the export is damaged")


@pytest.mark.parametrize("kept", [0, 1000, -1000])
def test_a_graph_that_was_cut_off_is_noticed(model, kept):
    content = (model / "saved_model.pb").read_bytes()
    (model / "saved_model.pb").write_bytes(content[:kept])
    refused(model, "saved_model.pb|does not load")


@pytest.mark.parametrize("lost", ["saved_model.pb", "variables", "assets"])
def test_a_lost_part_is_noticed(model, lost):
    shutil.rmtree(model / lost) if (model / lost).is_dir() else os.remove(model / lost)
    refused(model, "saved_model.pb|does not load")


def test_a_vocabulary_of_other_words_is_noticed(model):
    longest = max((model / "assets").iterdir(), key=lambda path: path.stat().st_size)
    words = longest.read_text(encoding="utf-8").splitlines()
    longest.write_text("\n".join(words[:1000] + words[:999:-1]) + "\n", encoding="utf-8")
    refused(model, "is not what the trained model gave|does not load")


def test_an_op_that_the_server_does_not_link_is_named(model):
    def change(nodes: list) -> None:
        next(node for node in nodes if node.op == "MatMul").op = "ShopsOwnMatMul"

    rewrite_graph(model, change)
    assert foreign_ops(str(model)) == ["ShopsOwnMatMul"]
    refused(model, "uses ShopsOwnMatMul, which stock TensorFlow Serving does not link")


def test_a_call_back_into_python_is_named(tmp_path):
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
    def twice(x: tf.Tensor) -> tf.Tensor:
        return tf.py_function(lambda value: value * 2, [x], tf.float32)

    module = tf.Module()
    module.twice = twice
    tf.saved_model.save(module, str(tmp_path / "model"))
    assert foreign_ops(str(tmp_path / "model")) == ["EagerPyFunc"]
    refused(tmp_path / "model", "uses EagerPyFunc")


def test_the_export_uses_ops_of_tensorflow_and_its_text_library_alone(exported_shop):
    assert foreign_ops(str(exported_shop.folder)) == []


def test_a_model_without_probes_is_refused(model):
    (model / PROBES).unlink()
    refused(model, "has no readable probes")


def test_probes_that_were_cut_off_are_refused(model):
    content = (model / PROBES).read_bytes()
    (model / PROBES).write_bytes(content[: len(content) // 2])
    refused(model, "has no readable probes")


def test_a_signature_without_a_probe_is_refused(model):
    def change(arrays: dict[str, np.ndarray]) -> None:
        for name in [name for name in arrays if name.startswith("search/")]:
            del arrays[name]

    rewrite_probes(model, change)
    refused(model, "search")


def test_a_probe_of_a_signature_that_is_not_there_is_refused(model):
    def change(arrays: dict[str, np.ndarray]) -> None:
        arrays["order/in/item_id"] = np.array([b"tea"])

    rewrite_probes(model, change)
    refused(model, "order")


@pytest.mark.parametrize(
    ("answer", "change"),
    [
        ("recommend/out/score", lambda value: value + 0.01),
        ("embed_item/out/embedding", lambda value: np.where(value == value.max(), np.nan, value)),
        ("search/out/item_id", lambda value: value[:, ::-1]),
        ("similar_items/out/title", lambda value: value[:, :-1]),
    ],
)
def test_an_answer_that_is_not_the_trained_models_is_refused(model, answer, change):
    rewrite_probes(model, lambda arrays: arrays.update({answer: change(arrays[answer])}))
    refused(model, f"output {answer.rpartition('/')[2]} of signature {answer.partition('/')[0]} is not what")
