"""The embedded server over real sockets: it answers as the session does and refuses as the stock server."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from serving import protos
from serving.embedded import Server, start
from serving.loading import Loading
from serving.model_config import single
from serving.options import Options
from serving.servable import Servable
from tfrec.errors import ServingError

Eventually = Callable[[Callable[[], bool]], None]
GRPC_ALONE = Options(rest_api_port=None, loading=Loading(poll_seconds=0.05))


@pytest.fixture(scope="module")
def stub(server: Server) -> Iterator[prediction_service_pb2_grpc.PredictionServiceStub]:
    """TensorFlow's own stub, as any client of TensorFlow Serving has it."""
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield prediction_service_pb2_grpc.PredictionServiceStub(channel)


@pytest.fixture(scope="module")
def http(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://127.0.0.1:{server.rest_api_port}", trust_env=False) as client:
        yield client


def predict_request(signature: str = "", name: str = "toy", **inputs: Any) -> predict_pb2.PredictRequest:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = name
    request.model_spec.signature_name = signature
    for alias, value in inputs.items():
        request.inputs[alias].CopyFrom(tf.make_tensor_proto(value))
    return request


LINEAR: dict[str, Any] = {"x": np.array([1, 2], np.float32), "y": np.array([10, 20], np.float32)}
ROWS = [{"x": 1, "y": 10}, {"x": 2, "y": 20}]
# Version 1, scale 1: 1 * 1 + 10, 2 * 1 + 20; 1 - 10, 2 - 20.
SUM, DIFFERENCE = [11.0, 22.0], [-9.0, -18.0]


def test_grpc_and_rest_answer_as_the_session_does(stub: Any, http: httpx.Client, exported: Path) -> None:
    words = ["tee", "nothing", "茶", "ﬁ"]
    session = Servable(exported / "1").predict("lookup", {"word": np.array([w.encode() for w in words], object)})
    response = stub.Predict(predict_request("lookup", word=words), timeout=10)
    assert {name: tf.make_ndarray(proto).tolist() for name, proto in response.outputs.items()} == {
        name: array.tolist() for name, array in session.items()
    }
    body = {"signature_name": "lookup", "inputs": words}
    outputs = http.post("/v1/models/toy:predict", json=body).json()["outputs"]
    assert outputs["line"] == session["line"].tolist() == [1, -1, 2, -1]
    assert outputs["normal"] == ["tee", "nothing", "茶", "fi"]
    # Only an output whose name ends in _bytes is written as base64.
    assert [base64.b64decode(value["b64"]).decode() for value in outputs["normal_bytes"]] == outputs["normal"]


def test_a_predict_response_names_model_signature_and_version(stub: Any) -> None:
    response = stub.Predict(predict_request(**LINEAR), timeout=10)
    spec = response.model_spec
    assert (spec.name, spec.signature_name, spec.version.value) == ("toy", "serving_default", 1)
    assert list(response.outputs["sum"].float_val) == SUM
    assert list(response.outputs["difference"].float_val) == DIFFERENCE


def test_rows_and_columns_hold_the_same_answer(http: httpx.Client) -> None:
    columns = http.post("/v1/models/toy:predict", json={"inputs": {"x": [1, 2], "y": [10, 20]}})
    assert columns.json() == {"outputs": {"sum": SUM, "difference": DIFFERENCE}}
    rows = http.post("/v1/models/toy/versions/1:predict", json={"instances": ROWS})
    assert rows.json() == {"predictions": [{"sum": 11.0, "difference": -9.0}, {"sum": 22.0, "difference": -18.0}]}
    assert rows.headers["content-type"] == "application/json"


def test_the_route_ignores_case_and_the_text_after_the_json(http: httpx.Client) -> None:
    response = http.post("/V1/Models/toy:Predict", content=json.dumps({"instances": ROWS}) + " and more")
    assert response.status_code == 200


def test_rest_takes_base64_and_writes_floats_in_few_digits(http: httpx.Client) -> None:
    body = {"signature_name": "lookup", "instances": [{"b64": base64.b64encode(b"tee").decode()}, "pasta"]}
    rows = http.post("/v1/models/toy:predict", json=body).json()["predictions"]
    assert [row["line"] for row in rows] == [1, 0]
    text = http.post("/v1/models/toy:predict", content='{"inputs": {"x": [0.1, NaN], "y": [0, -Infinity]}}').text
    assert '"sum": [0.1, NaN]' in text
    assert '"difference": [0.1, NaN]' in text


def test_rest_sends_a_reply_at_once(http: httpx.Client) -> None:
    """Without TCP_NODELAY each reply of a kept connection waits 40 ms for an acknowledgement."""
    seconds = []
    for _ in range(20):
        began = time.perf_counter()
        http.post("/v1/models/toy:predict", json={"inputs": {"x": [1, 2], "y": [10, 20]}})
        seconds.append(time.perf_counter() - began)
    assert min(seconds) < 0.03


def test_each_type_is_read_and_written_as_its_own(http: httpx.Client) -> None:
    body = {"signature_name": "types", "inputs": {"flag": [True], "small": [-5], "exact": [1]}}
    text = http.post("/v1/models/toy:predict", json=body).text
    assert json.loads(text) == {"outputs": {"flag": [True], "small": [-5], "exact": [1.0], "total": 1.0}}
    assert '"exact": [1.0]' in text


GRPC_REFUSALS: dict[str, tuple[predict_pb2.PredictRequest, str, str]] = {
    "no model_spec": (predict_pb2.PredictRequest(), "INVALID_ARGUMENT", "Missing ModelSpec"),
    "no model name": (predict_request(name=""), "INVALID_ARGUMENT", "ModelSpec has no name specified."),
    "unknown model": (
        predict_request(name="other"),
        "NOT_FOUND",
        "Servable not found for request: Latest(other)",
    ),
    "unknown signature": (
        predict_request("nope"),
        "FAILED_PRECONDITION",
        'Serving signature key "nope" not found.',
    ),
    "missing input": (
        predict_request(x=[1.0]),
        "INVALID_ARGUMENT",
        "input size does not match signature: 1!=2 len({x}) != len({x,y}). Sent extra: {}. Missing but required: {y}.",
    ),
    "wrong dtype": (
        predict_request(x=["1"], y=[1.0]),
        "INVALID_ARGUMENT",
        "to be float but string is provided",
    ),
    "a long message is cut": (predict_request("n" * 2000), "FAILED_PRECONDITION", "n" * 900),
}


@pytest.mark.parametrize("case", GRPC_REFUSALS.values(), ids=GRPC_REFUSALS.keys())
def test_grpc_refuses_as_the_stock_server_does(stub: Any, case: tuple[Any, str, str]) -> None:
    request, code, text = case
    with pytest.raises(grpc.RpcError) as caught:
        stub.Predict(request, timeout=10)
    assert caught.value.code().name == code
    assert text in caught.value.details()
    assert len(caught.value.details()) <= 1024 + len("...TRUNCATED")


def test_an_unknown_version_and_an_unknown_label_are_refused(stub: Any) -> None:
    request = predict_request(**LINEAR)
    request.model_spec.version.value = 7
    with pytest.raises(grpc.RpcError, match=r"Servable not found for request: Specific\(toy, 7\)"):
        stub.Predict(request, timeout=10)
    request.model_spec.version_label = "stable"
    with pytest.raises(grpc.RpcError, match="Unrecognized servable version label: stable"):
        stub.Predict(request, timeout=10)


REST_REFUSALS: dict[str, tuple[str, str, str | None, int, str]] = {
    "outside of /v1/": ("GET", "/metrics", None, 404, "Not found: GET /metrics"),
    "no such route": ("POST", "/v1/models/toy", "{}", 400, "Malformed request: POST /v1/models/toy"),
    "no such verb": ("POST", "/v1/models/toy:ask", "{}", 400, "Malformed request: POST /v1/models/toy:ask"),
    "get predict": (
        "GET",
        "/v1/models/toy:predict",
        None,
        400,
        "Malformed request: GET /v1/models/toy:predict",
    ),
    "no model name": ("GET", "/v1/models", None, 400, "Missing model name in request."),
    "no model name before a version": ("GET", "/v1/models/versions/1", None, 400, "Missing model name in request."),
    "a query is a part of the name": (
        "GET",
        "/v1/models/toy?a=1",
        None,
        404,
        "Could not find any versions of model toy?a=1",
    ),
    "no such method": ("PATCH", "/v1/models/toy", "{}", 400, "Malformed request: PATCH /v1/models/toy"),
    "a preflight outside of /v1/": ("OPTIONS", "/metrics", None, 404, "Not found: OPTIONS /metrics"),
    "unknown model": (
        "POST",
        "/v1/models/other:predict",
        '{"inputs": [1]}',
        404,
        "Servable not found for request: Latest(other)",
    ),
    "unknown version": (
        "POST",
        "/v1/models/toy/versions/7:predict",
        '{"inputs": [1]}',
        404,
        "Servable not found for request: Specific(toy, 7)",
    ),
    "a version too long for an int64": (
        "GET",
        "/v1/models/toy/versions/9223372036854775808",
        None,
        400,
        "Failed to convert version: 9223372036854775808 to numeric.",
    ),
    "a label": ("GET", "/v1/models/toy/labels/a%20b/metadata", None, 400, "Unrecognized servable version label: a b"),
    "status of an unknown model": (
        "GET",
        "/v1/models/other",
        None,
        404,
        "Could not find any versions of model other",
    ),
    "status of an unknown version": (
        "GET",
        "/v1/models/toy/versions/7",
        None,
        404,
        "Could not find version 7 of model toy",
    ),
    "unknown signature": (
        "POST",
        "/v1/models/toy:predict",
        '{"signature_name": "nope", "inputs": [1]}',
        400,
        'Serving signature name: "nope" not found in signature def',
    ),
}


@pytest.mark.parametrize("case", REST_REFUSALS.values(), ids=REST_REFUSALS.keys())
def test_rest_refuses_as_the_stock_server_does(http: httpx.Client, case: tuple[Any, ...]) -> None:
    method, path, body, code, text = case
    response = http.request(method, path, content=body)
    assert (response.status_code, response.json()) == (code, {"error": text})
    assert response.headers["content-type"] == "application/json"


JSON_REFUSALS: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", "JSON Parse error: The document is empty"),
    "broken": ('{"inputs": }', "JSON Parse error: Invalid value. at offset: 11"),
    "too deep": ("[" * 100_000, "JSON Parse error: the values are nested too deep; send a flatter request"),
    "a number of 5000 digits": (
        '{"inputs": ' + "1" * 5000 + "}",
        "JSON Parse error: Number too big to be stored in double. at offset: 11",
    ),
    "no comma": ('{"inputs": [1 2]}', "JSON Parse error: Missing a comma or ']' after an array element. at offset: 14"),
    "an offset counts bytes": ('{"茶": }', "JSON Parse error: Invalid value. at offset: 8"),
    "an offset behind bytes that are no UTF-8": (b'{"\xff": }', "JSON Parse error: Invalid value. at offset: 6"),
    "an offset behind the mark of UTF-8": (b"\xef\xbb\xbf{]", "Missing a name for object member. at offset: 4"),
    "a control character": ('{"a": "\n"}', "JSON Parse error: Invalid escape character in string. at offset: 7"),
    "a list": ("[1]", "JSON Value: [1] Is not object"),
    "signature_name a number": (
        '{"signature_name": 1}',
        'JSON Value: {\n    "signature_name": 1\n} not formatted correctly. '
        "'signature_name' key must be a string value.",
    ),
    "neither": ("{}", "Missing 'inputs' or 'instances' key"),
    "both": (
        '{"inputs": [1], "instances": [1]}',
        'JSON Value: {\n    "inputs": [1],\n    "instances": [1]\n} Not formatted correctly expecting only one of '
        "'inputs' or 'instances' keys to exist ",
    ),
    "instances no list": (
        '{"instances": 1}',
        "JSON Value: {\n    \"instances\": 1\n} Expecting 'instances' to be an list/array",
    ),
    "no instances": ('{"instances": []}', "JSON Value: {\n    \"instances\": []\n} No values in 'instances' array"),
    "plain rows for two inputs": (
        '{"instances": [1, 2]}',
        "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
        "tensorinfo_map",
    ),
    "plain column for two inputs": (
        '{"inputs": [1, 2]}',
        "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
        "tensorinfo_map",
    ),
    "unknown name in a row": (
        '{"instances": [{"z": 1}]}',
        "Failed to process element: 0 key: z of 'instances' list. "
        "Error: INVALID_ARGUMENT: JSON object: does not have named input: z",
    ),
    "missing name in a row": (
        '{"instances": [{"x": 1}]}',
        "Failed to process element: 0 of 'instances' list. JSON object: {\n    \"x\": 1\n} keys must be equal to: x,y",
    ),
    "a list among objects": (
        '{"instances": [{"x": 1, "y": 2}, 3]}',
        "Expecting object but got list at item 1 of input list",
    ),
    "rows of different sizes": (
        '{"instances": [{"x": 1, "y": 2}, {"x": [1, 2], "y": 2}]}',
        "Failed to process element: 1 key: x of 'instances' list. "
        "Error: INVALID_ARGUMENT: Expecting tensor size: 1 but got: 2",
    ),
    "rows of different shapes": (
        '{"instances": [{"x": 1, "y": 2}, {"x": [1], "y": 2}]}',
        "Failed to process element: 1 key: x of 'instances' list. "
        "Error: INVALID_ARGUMENT: Expecting shape [] but got: [1]",
    ),
    "missing column": ('{"inputs": {"x": [1]}}', "Missing named input: y in 'inputs' object."),
    "string for a number": (
        '{"inputs": {"x": ["1"], "y": [1]}}',
        'JSON Value: "1" Type: String is not of expected type: float',
    ),
    "true for a number": (
        '{"inputs": {"x": [true], "y": [1]}}',
        "JSON Value: true Type: True is not of expected type: float",
    ),
    "what is repeated is cut": (
        '{"instances": "' + "a" * 300 + '", "z": 1}',
        f'JSON Value: {{\n    "instances": "{"a" * 300}" Expecting \'instances\' to be an list/array',
    ),
    "NaN is repeated as nothing": (
        '{"signature_name": "slow", "inputs": [NaN]}',
        "JSON Value:  Type: Number is not of expected type: int64",
    ),
    "a ragged list": (
        '{"inputs": {"x": [[1, 2, 3], [1, 2]], "y": [1]}}',
        "Encountered list at unexpected size: 2 at level: 1 expected size: 3",
    ),
    "a list among numbers": (
        '{"inputs": {"x": [1, [2]], "y": [1]}}',
        "Encountered list at unexpected level: 1 expected < 1",
    ),
    "a number among lists": (
        '{"inputs": {"x": [[1], 2], "y": [1]}}',
        "JSON Value: 2 found at incorrect level: 2 in the JSON DOM. Expected at level: 2",
    ),
    "65 levels": (
        '{"inputs": {"x": ' + "[" * 65 + "1" + "]" * 65 + ', "y": [1]}}',
        "a tensor has at most 64 levels",
    ),
    "a decimal for an int32": (
        '{"signature_name": "types", "inputs": {"flag": [true], "small": [1.5], "exact": [1]}}',
        "JSON Value: 1.5 Type: Number is not of expected type: int32",
    ),
    "not base64": ('{"signature_name": "lookup", "inputs": [{"b64": "!"}]}', "Unable to base64 decode"),
    "an object for a string": (
        '{"signature_name": "lookup", "inputs": [{"b65": "AA=="}]}',
        'JSON Value: {\n    "b65": "AA=="\n} not formatted correctly for base64 data',
    ),
    "half a surrogate pair": (
        '{"signature_name": "lookup", "inputs": ["\\ud800"]}',
        "JSON Parse error: The surrogate pair in string is invalid.",
    ),
    "rows of an output without a batch": (
        '{"signature_name": "types", "instances": [{"flag": true, "small": 1, "exact": 1}]}',
        "Tensor name: total has no shape information ",
    ),
}


@pytest.mark.parametrize("case", JSON_REFUSALS.values(), ids=JSON_REFUSALS.keys())
def test_json_that_can_not_be_fed_is_refused_as_the_stock_server_does(
    http: httpx.Client, case: tuple[str | bytes, str]
) -> None:
    body, text = case
    response = http.post("/v1/models/toy:predict", content=body)
    assert response.status_code == 400
    assert text in response.json()["error"]


def test_a_number_that_a_float_can_not_hold_is_rounded_or_infinite(http: httpx.Client) -> None:
    body = '{"inputs": {"x": [16777217, 1e300, 100000000000000000000], "y": [0, 0, 0]}}'
    sums = http.post("/v1/models/toy:predict", content=body).json()["outputs"]["sum"]
    assert sums == [16777216.0, float("inf"), 1e20]


def test_a_type_that_json_lacks_is_unimplemented(http: httpx.Client) -> None:
    response = http.post("/v1/models/toy:predict", json={"signature_name": "halves", "inputs": [1]})
    error = {"error": "Conversion of JSON Value: 1 to type: half"}
    assert (response.status_code, response.json()) == (501, error)


def test_grpc_takes_a_type_that_json_lacks(stub: Any) -> None:
    response = stub.Predict(predict_request("halves", half=np.array([1.5], np.float16)), timeout=10)
    assert tf.make_ndarray(response.outputs["double"]).tolist() == [3.0]


def test_status_and_metadata_read_the_same_over_both_protocols(stub: Any, http: httpx.Client, server: Server) -> None:
    version = {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    assert http.get("/v1/models/toy").json() == {"model_version_status": [version]}
    assert http.get("/v1/models/toy/versions/1").json() == {"model_version_status": [version]}
    metadata = http.get("/v1/models/toy/metadata").json()
    assert metadata["model_spec"] == {"name": "toy", "signature_name": "", "version": "1"}
    rest = metadata["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert rest["inputs"]["x"]["dtype"] == "DT_FLOAT"
    request = protos.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "toy"
    packed = protos.SignatureDefMap()
    stub.GetModelMetadata(request, timeout=10).metadata["signature_def"].Unpack(packed)
    assert packed.signature_def["serving_default"].inputs["x"].name == rest["inputs"]["x"]["name"]


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ([], "GetModelMetadataRequest must specify at least one metadata_field"),
        (["assets"], "Metadata field assets is not supported"),
    ],
)
def test_metadata_has_one_field(stub: Any, fields: list[str], text: str) -> None:
    request = protos.GetModelMetadataRequest(metadata_field=fields)
    request.model_spec.name = "toy"
    with pytest.raises(grpc.RpcError, match=text):
        stub.GetModelMetadata(request, timeout=10)


def test_a_request_of_more_than_4_mb_is_answered(stub: Any) -> None:
    request = predict_request("types", flag=[True], small=[1], exact=np.full(1_000_000, 0.5))  # 8 MB
    request.output_filter.append("total")
    assert list(stub.Predict(request, timeout=30).outputs["total"].double_val) == [500_000.0]


def test_a_new_version_is_taken_up_without_a_failed_request(
    exported: Path, base_path: Path, eventually: Eventually
) -> None:
    """And a corrupted one after it changes nothing. Every answer is that of the version that it names."""
    stopping, seen = threading.Event(), set()
    with start(single("toy", base_path), GRPC_ALONE) as running:

        def ask() -> None:
            with grpc.insecure_channel(f"127.0.0.1:{running.port}") as channel:
                stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
                while not stopping.is_set():
                    try:
                        response = stub.Predict(predict_request(**LINEAR), timeout=10)
                        seen.add((response.model_spec.version.value, response.outputs["sum"].float_val[1]))
                    except grpc.RpcError as error:
                        seen.add(error.details())

        askers = [threading.Thread(target=ask) for _ in range(4)]
        for asker in askers:
            asker.start()
        eventually(lambda: bool(seen))
        shutil.copytree(exported / "2", base_path / ".tmp-2")
        (base_path / ".tmp-2").rename(base_path / "2")
        eventually(lambda: len(seen) > 1)
        (base_path / "3").mkdir()
        (base_path / "3" / "saved_model.pb").write_bytes(b"not a model")
        eventually(lambda: any(s.number == 3 and s.state == "END" for s in running.models.statuses("toy")))
        stopping.set()
        for asker in askers:
            asker.join()
    assert seen == {(1, 22.0), (2, 24.0)}  # 2 * 1 + 20, 2 * 2 + 20


def test_a_base_path_without_a_version_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ServingError, match="no version of toy came into service from it within"):
        start(single("toy", tmp_path), GRPC_ALONE, timeout_seconds=0.5)
    told = (
        f"No versions of servable toy found under base path {tmp_path}. "
        "Did you forget to name your leaf directory as a number (eg. '/1/')?"
    )
    assert caplog.text.count(told) == 1  # not at each of five looks


def test_a_first_version_that_can_not_be_loaded_ends_the_start(
    base_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.version.MAX_RETRY_SECONDS", 0.0)
    (base_path / "1" / "saved_model.pb").write_bytes(b"not a model")
    with pytest.raises(
        ServingError, match=r"1 model\(s\) did not become available: .*version: 1} due to error: .*Cannot parse file"
    ):
        start(single("toy", base_path), GRPC_ALONE)


@pytest.mark.parametrize("taken", ["port", "rest_api_port"])
def test_a_taken_port_is_told_before_the_model_is_loaded(tmp_path: Path, taken: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        text = f"port is {port} but 127.0.0.1:{port} can't be listened on .*; stop what listens there or choose"
        with pytest.raises(ServingError, match=text):
            start(single("toy", tmp_path), Options(**{taken: port}))


def test_a_stopped_server_gives_its_ports_back(base_path: Path) -> None:
    with start(single("toy", base_path)) as running:
        ports = (running.port, running.rest_api_port)
    for port in ports:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port or 0), timeout=1)
    with start(single("toy", base_path), Options(port=ports[0], rest_api_port=ports[1])) as running:
        assert (running.port, running.rest_api_port) == ports


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_process_says_where_it_listens_and_ends_well_on_a_signal(base_path: Path, number: int) -> None:
    command = [sys.executable, "-m", "serving.server", "--model_name=toy", f"--model_base_path={base_path}"]
    with subprocess.Popen(
        [*command, "--port=0", "--rest_api_port=0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        cwd=Path(__file__).parents[2],
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("Running gRPC ModelServer at 127.0.0.1:")
        with grpc.insecure_channel(line.split()[4]) as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            assert list(stub.Predict(predict_request(**LINEAR), timeout=10).outputs["sum"].float_val) == SUM
        process.send_signal(number)
        out, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    assert "Stopping" in out
    assert "Traceback" not in errors
