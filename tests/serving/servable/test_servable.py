"""One loaded version: its outputs and its refusals."""

from __future__ import annotations

import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving.request.status import Code, StatusError
from serving.servable.servable import Servable, Threads
from serving.wire.protos import TensorProto

X = np.array([1.0, 2.0], np.float32)
Y = np.array([10.0, 20.0], np.float32)


def strings(*values: str) -> np.ndarray:
    return np.array([value.encode() for value in values], object)


@pytest.fixture(scope="module")
def servable(exported: Path) -> Servable:
    return Servable(exported / "3", Threads(intra_op=1, inter_op=1))


def test_a_signature_returns_every_output(servable: Servable) -> None:
    outputs = servable.predict("serving_default", {"x": X, "y": Y})
    # scale 3: 1 * 3 + 10, 2 * 3 + 20; 1 - 10, 2 - 20
    assert {name: array.tolist() for name, array in outputs.items()} == {
        "sum": [13.0, 26.0],
        "difference": [-9.0, -18.0],
    }


def test_an_empty_signature_name_is_serving_default(servable: Servable) -> None:
    assert servable.predict("", {"x": X, "y": Y})["sum"].tolist() == [13.0, 26.0]


def test_the_output_filter_selects_and_orders_outputs(servable: Servable) -> None:
    assert list(servable.predict("", {"x": X, "y": Y}, ["sum"])) == ["sum"]
    assert list(servable.predict("", {"x": X, "y": Y}, ["sum", "difference"])) == ["sum", "difference"]


def test_tables_and_text_ops_work_in_the_session(servable: Servable) -> None:
    outputs = servable.predict("lookup", {"word": strings("tee", "TEE", "茶", "ﬁve")})
    # Lines from 0: pasta, tee, 茶. Case folding and NFKC: the ligature ﬁ becomes f and i.
    assert outputs["line"].tolist() == [1, -1, 2, -1]
    assert [value.decode() for value in outputs["normal"]] == ["tee", "tee", "茶", "five"]


def test_many_threads_get_their_own_outputs(servable: Servable) -> None:
    def predict(number: int) -> float:
        return servable.predict("", {"x": np.array([number], np.float32), "y": Y[:1]})["sum"][0]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(predict, range(200))) == [3.0 * number + 10.0 for number in range(200)]


def test_a_shape_that_the_ops_take_is_not_refused(servable: Servable) -> None:
    """As in TensorFlow Serving: [2, 1] is not checked against the signature's [None]."""
    outputs = servable.predict("", {"x": X.reshape(2, 1), "y": Y.reshape(2, 1)})
    assert outputs["sum"].tolist() == [[13.0], [26.0]]


BROKEN = TensorProto(dtype=1, float_val=[1.0])
BROKEN.tensor_shape.dim.add(size=-1)
REFUSALS: dict[str, tuple[str, dict[str, Any], list[str], Code, str]] = {
    "unknown signature": (
        "nope",
        {},
        [],
        Code.FAILED_PRECONDITION,
        'Serving signature key "nope" not found.',
    ),
    "initialization is not a signature": (
        "__saved_model_init_op",
        {},
        [],
        Code.FAILED_PRECONDITION,
        'Serving signature key "__saved_model_init_op" not found.',
    ),
    "missing input": (
        "",
        {"x": X},
        [],
        Code.INVALID_ARGUMENT,
        "input size does not match signature: 1!=2 len({x}) != len({x,y}). Sent extra: {}. Missing but required: {y}.",
    ),
    "extra input": (
        "",
        {"x": X, "y": Y, "z": Y},
        [],
        Code.INVALID_ARGUMENT,
        "input size does not match signature: 3!=2 len({x,y,z}) != len({x,y}). "
        "Sent extra: {z}. Missing but required: {}.",
    ),
    "wrong name": (
        "",
        {"x": X, "z": Y},
        [],
        Code.INVALID_ARGUMENT,
        "Signature input alias: y(feed name: serving_default_y:0) not found in request and no default value "
        "provided. Inputs expected to be in the request {x,z}, or default input alias set: ",
    ),
    "unparsable tensor": (
        "",
        {"x": BROKEN, "y": Y},
        [],
        Code.INVALID_ARGUMENT,
        "tensor parsing error: x",
    ),
    "unknown output": (
        "",
        {"x": X, "y": Y},
        ["product"],
        Code.INVALID_ARGUMENT,
        "output tensor alias not found in signature: product Outputs expected to be in the set {difference,sum}.",
    ),
    "output twice": (
        "",
        {"x": X, "y": Y},
        ["sum", "sum"],
        Code.INVALID_ARGUMENT,
        "duplicate output tensor alias: sum",
    ),
}


@pytest.mark.parametrize("case", REFUSALS.values(), ids=REFUSALS.keys())
def test_a_refusal_has_the_stock_code_and_text(servable: Servable, case: tuple[Any, ...]) -> None:
    signature, inputs, output_filter, code, text = case
    with pytest.raises(StatusError, match=f"^{code.name}: {re.escape(text)}$"):
        servable.predict(signature, inputs, output_filter)


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (X.astype(np.float64), r"Expects arg\[\d\] to be float but double is provided"),
        (strings("1", "2"), r"Expects arg\[\d\] to be float but string is provided"),
        (np.ones(3, np.float32), r"Incompatible shapes: \[3\] vs. \[2\]"),
    ],
    ids=["double for float", "string for float", "three and two values"],
)
def test_a_refusal_of_the_runtime_is_an_invalid_argument(servable: Servable, x: np.ndarray, text: str) -> None:
    with pytest.raises(StatusError, match=text) as caught:
        servable.predict("", {"x": x, "y": Y})
    assert caught.value.code == Code.INVALID_ARGUMENT


def test_a_missing_input_takes_its_default(servable: Servable) -> None:
    """The default of y is 100."""
    assert servable.predict("with_default", {"x": X[:1]}, ["sum"])["sum"].tolist() == [103.0]
    assert servable.predict("with_default", {"x": X[:1], "y": Y[:1]}, ["sum"])["sum"].tolist() == [13.0]


def test_a_wrong_name_beside_defaults_is_refused(servable: Servable) -> None:
    text = "Inputs contains invalid name. Used request inputs: x, request input: x,z"
    with pytest.raises(StatusError, match=text):
        servable.predict("with_default", {"x": X, "z": Y})


def test_a_folder_without_a_model_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(StatusError, match="SavedModel file does not exist at: ") as caught:
        Servable(tmp_path)
    assert caught.value.code == Code.NOT_FOUND


@pytest.mark.parametrize(
    ("victim", "text"),
    [
        ("saved_model.pb", "Cannot parse file .*saved_model.pb"),
        ("variables/variables.data-00000-of-00001", "Read less bytes than requested"),
    ],
)
def test_a_truncated_file_does_not_load(exported: Path, tmp_path: Path, victim: str, text: str) -> None:
    shutil.copytree(exported / "1", tmp_path / "1")
    file = tmp_path / "1" / victim
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(StatusError, match=text):
        Servable(tmp_path / "1")
