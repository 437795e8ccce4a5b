"""Ops that a SavedModel may use: those of TensorFlow and tensorflow-text."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from tfrec.errors import ModelError
from tfrec.export.supported_ops import NEWER_OPS, PYTHON_OPS, TEXT_OPS, check_ops, foreign_ops, used_ops

REGISTERED = """
from tensorflow.core.framework.op_def_pb2 import OpList
from tensorflow.python.client.pywrap_tf_session import TF_GetAllOpList, TF_GetBuffer
def ops():
    return {op.name for op in OpList.FromString(TF_GetBuffer(TF_GetAllOpList())).op}
own = ops()
import tensorflow_text
print(*sorted(ops() - own), sep="\\n")
print("own:", *sorted(own))
"""


@pytest.fixture(scope="module")
def registered() -> tuple[set[str], set[str]]:
    """Ops of TensorFlow alone, and those that tensorflow-text adds, in a fresh process."""
    done = subprocess.run([sys.executable, "-c", REGISTERED], capture_output=True, text=True, check=True)
    *text, own = done.stdout.splitlines()
    return set(own.split()[1:]), set(text)


def saved(folder: Path, *ops: str, in_function: str = "NoOp") -> str:
    """Write a SavedModel whose graph has `ops` and calls a function with the op `in_function`."""
    model = SavedModel()
    graph = model.meta_graphs.add().graph_def
    for op in (*ops, "twice"):
        graph.node.add(name=op, op=op)
    function = graph.library.function.add()
    function.signature.name = "twice"
    function.node_def.add(name="inside", op=in_function)
    (folder / "saved_model.pb").write_bytes(model.SerializeToString())
    return str(folder)


@pytest.mark.slow
def test_text_ops_are_exactly_those_that_tensorflow_text_registers(registered):
    _, text = registered
    assert text == TEXT_OPS


@pytest.mark.slow
def test_python_ops_and_newer_ops_are_registered_by_tensorflow(registered):
    own, _ = registered
    assert own >= PYTHON_OPS | NEWER_OPS


def test_ops_of_tensorflow_and_tensorflow_text_pass(tmp_path):
    check_ops(saved(tmp_path, "MatMul", "TopKV2", "FastBertNormalize", in_function="TFText>RoundRobinTrim"))


@pytest.mark.parametrize("op", ["Scann>ScannSearch", "EagerPyFunc", "DecodeJxl"])
def test_an_unsupported_op_is_named_in_the_graph_and_in_a_function(tmp_path, op):
    assert foreign_ops(saved(tmp_path, "MatMul", op)) == [op]
    assert foreign_ops(saved(tmp_path, "MatMul", in_function=op)) == [op]


def test_all_unsupported_ops_are_named_together(tmp_path):
    with pytest.raises(ModelError, match="the model uses Mine, PyFunc, which stock TensorFlow Serving does not link; "):
        check_ops(saved(tmp_path, "PyFunc", in_function="Mine"))


def test_an_export_uses_exactly_the_text_ops_that_the_dockerfile_names(exported_shop):
    used = used_ops(str(exported_shop.folder)) & TEXT_OPS
    assert used == {"CaseFoldUTF8", "NormalizeUTF8", "RegexSplitWithOffsets", "WordpieceTokenizeWithOffsets"}
    dockerfile = (Path(__file__).parents[3] / "Dockerfile.serving").read_text(encoding="utf-8")
    assert {op for op in TEXT_OPS if op in dockerfile} == used


def test_a_folder_without_a_graph_is_refused(tmp_path):
    with pytest.raises(ModelError, match="holds no readable"):
        check_ops(str(tmp_path))
