"""Random broken requests over gRPC and REST: each gets a status of the contract.

TFREC_FUZZ_REQUESTS=50000 sends that many (the default is fewer); `-s` prints the number of each
status. Afterwards the server still answers correctly and holds no more memory than before.
"""

from __future__ import annotations

import collections
import json
import os
from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serving.wire.protos import DataType, PredictRequest, TensorProto
from tests.serving.processes import Running, running

pytestmark = pytest.mark.slow

REQUESTS = int(os.environ.get("TFREC_FUZZ_REQUESTS", "1500"))
MAX_GROWTH_BYTES = 64 * 2**20  # of resident memory
TIMEOUT_SECONDS = 30.0
# The codes of the contract, and INTERNAL for bytes that are not a message, as gRPC refuses them.
CODES = {"INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION", "UNIMPLEMENTED", "INTERNAL", "RESOURCE_EXHAUSTED"}
HTTP_CODES = {200, 400, 404, 405, 429, 501}

Codes = collections.Counter[str | int]
"""Number of answers of each gRPC code or HTTP status."""

SERVICES = {
    "/tensorflow.serving.PredictionService/": ("Predict", "Classify", "Regress", "MultiInference", "GetModelMetadata"),
    "/tensorflow.serving.ModelService/": ("GetModelStatus",),
}
METHODS = [service + method for service, methods in SERVICES.items() for method in methods]
NAMES = st.one_of(
    st.sampled_from(["toy", "", "serving_default", "lookup", "types", "halves", "x", "y", "word", "recommend"]),
    st.text(max_size=50),
)
FUZZ = settings(
    max_examples=max(1, REQUESTS // 4),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
    database=None,
)


@pytest.fixture(scope="module")
def server(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    base = tmp_path_factory.mktemp("fuzzed")
    (base / "1").symlink_to(exported / "1")
    with running(base_path=base) as started:
        yield started


@pytest.fixture(scope="module")
def channel(server: Running) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(server.target, options=[("grpc.max_receive_message_length", -1)]) as channel:
        yield channel


@pytest.fixture(scope="module")
def http(server: Running) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.rest, trust_env=False, timeout=TIMEOUT_SECONDS) as client:
        yield client


@pytest.fixture(scope="module")
def seen(server: Running, channel: grpc.Channel, http: httpx.Client) -> Iterator[Codes]:
    """The codes of the fuzzing; checks that memory stays and valid requests are still answered."""
    for _ in range(200):
        check_valid_request(channel, http)
    process = psutil.Process(server.process.pid)
    before = process.memory_info().rss
    codes: Codes = collections.Counter()
    yield codes
    check_valid_request(channel, http)
    after = process.memory_info().rss
    print(f"\n{codes.total()} answers, {dict(codes)}; resident memory {before / 1e6:.0f} MB, then {after / 1e6:.0f} MB")
    assert after - before < MAX_GROWTH_BYTES


def check_valid_request(channel: grpc.Channel, http: httpx.Client) -> None:
    request = PredictRequest(model_spec={"name": "toy"})
    for name, value in (("x", 1.0), ("y", 10.0)):
        request.inputs[name].CopyFrom(TensorProto(dtype=1, tensor_shape={"dim": [{"size": 1}]}, float_val=[value]))
    assert call(channel, METHODS[0], request.SerializeToString()) == "OK"
    assert http.post("/v1/models/toy:predict", json={"instances": [{"x": 1, "y": 10}]}).status_code == 200


def call(channel: grpc.Channel, method: str, body: bytes) -> str:
    try:
        channel.unary_unary(method)(body, timeout=TIMEOUT_SECONDS)
    except grpc.RpcError as error:
        return str(error.code().name)
    return "OK"


def check(seen: Codes, channel: grpc.Channel, method: str, body: bytes) -> None:
    code = call(channel, method, body)
    assert code in CODES | {"OK"}
    seen[code] += 1


def check_rest(seen: Codes, http: httpx.Client, method: str, path: str, body: bytes, encoding: str = "") -> None:
    try:
        request = http.build_request(
            method, path, content=body, headers={"Content-Encoding": encoding} if encoding else {}
        )
    except (httpx.InvalidURL, UnicodeEncodeError):
        return  # no client can send it
    response = http.send(request)
    assert response.status_code in HTTP_CODES, (response.status_code, response.text)
    if response.status_code != 200 and response.content:
        assert set(response.json()) == {"error"}
    seen[response.status_code] += 1


@st.composite
def tensors(draw: st.DrawFn) -> TensorProto:
    """A tensor of any type and shape with any number of values of other types, packed or not."""
    proto = TensorProto(dtype=draw(st.sampled_from(DataType.values()[:24])))
    sizes = st.one_of(st.integers(0, 5), st.sampled_from([-1, 2**31, 2**62, -(2**63)]))
    for size in draw(st.lists(sizes, max_size=4)):
        proto.tensor_shape.dim.add(size=size)
    proto.tensor_shape.unknown_rank = draw(st.sampled_from([False] * 9 + [True]))
    proto.float_val.extend(draw(st.lists(st.floats(width=32), max_size=5)))
    proto.int64_val.extend(draw(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=5)))
    proto.string_val.extend(draw(st.lists(st.binary(max_size=20), max_size=5)))
    if draw(st.booleans()):
        proto.tensor_content = draw(st.binary(max_size=40))
    return proto


@st.composite
def predict_requests(draw: st.DrawFn) -> bytes:
    request = PredictRequest()
    if draw(st.sampled_from([True] * 9 + [False])):
        request.model_spec.name = draw(st.sampled_from(["toy"] * 9 + ["nosuch"]))
        request.model_spec.signature_name = draw(st.one_of(st.just(""), NAMES))
    valid = st.fixed_dictionaries({"x": tensors(), "y": tensors()})
    for name, proto in draw(st.one_of(valid, st.dictionaries(NAMES, tensors(), max_size=4))).items():
        request.inputs[name].CopyFrom(proto)
    request.output_filter.extend(draw(st.lists(NAMES, max_size=2)))
    return bytes(request.SerializeToString())


@FUZZ
@given(st.sampled_from(METHODS), st.binary(max_size=300))
def test_random_bytes_get_a_code_of_the_contract(seen: Codes, channel: grpc.Channel, method: str, body: bytes) -> None:
    check(seen, channel, method, body)


def test_refused_bytes_do_not_stay_in_memory(server: Running, channel: grpc.Channel) -> None:
    process = psutil.Process(server.process.pid)
    resident = []
    for count in (500, 2000):
        codes = {call(channel, METHODS[0], b"\xff\xff\xff") for _ in range(count)}
        assert codes == {"INTERNAL"}
        resident.append(process.memory_info().rss)
    assert resident[1] - resident[0] < 2000 * 8_000  # gRPC's own refusal leaks 16 kB each time


@FUZZ
@given(predict_requests(), st.data())
def test_messages_with_wrong_types_shapes_and_names_get_a_code_of_the_contract(
    seen: Codes, channel: grpc.Channel, body: bytes, data: st.DataObject
) -> None:
    check(seen, channel, METHODS[0], body)
    if body:  # and with one byte changed: invalid UTF-8, wrong lengths
        position = data.draw(st.integers(0, len(body) - 1))
        changed = body[:position] + bytes([data.draw(st.integers(0, 255))]) + body[position + 1 :]
        check(seen, channel, data.draw(st.sampled_from(METHODS)), changed)


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=10)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(NAMES, inner, max_size=4)),
    max_leaves=12,
)
NUMBERS = st.lists(st.floats(width=32), max_size=3)
NEARLY_VALID = st.one_of(
    st.fixed_dictionaries({"inputs": st.fixed_dictionaries({"x": NUMBERS, "y": NUMBERS})}),
    st.fixed_dictionaries(
        {"signature_name": st.just("lookup"), "instances": st.lists(st.text(max_size=20), min_size=1, max_size=3)}
    ),
)
BODIES = st.one_of(
    NEARLY_VALID.map(lambda value: json.dumps(value).encode()),
    st.binary(max_size=200),
    JSON.map(lambda value: json.dumps(value).encode()),
    st.fixed_dictionaries(
        {}, optional={"instances": JSON, "inputs": JSON, "examples": JSON, "context": JSON, "signature_name": NAMES}
    ).map(lambda value: json.dumps(value).encode("utf-8", "surrogatepass")),
    st.integers(1, 3000).map(lambda depth: b'{"instances": ' + b"[" * depth),
    st.sampled_from(
        [b'{"instances": [1], "instances": [2]}', b'{"inputs": {"x": 1e400}}', b'{"inputs": {"x": "\xff"}}']
    ),
)
PATHS = st.one_of(
    st.tuples(st.sampled_from(["predict", "classify", "regress", "nosuch"]), st.sampled_from(["", "/versions/1"])).map(
        lambda parts: f"/v1/models/toy{parts[1]}:{parts[0]}"
    ),
    st.sampled_from(["/v1/models/other", "/v1/models/other:predict", "/v1/models/toy/versions/7:predict", "/other"]),
    st.text(max_size=20).map(lambda text: "/v1/models/" + text),
)


@FUZZ
@given(st.sampled_from(["POST"] * 9 + ["GET", "PUT", "OPTIONS"]), PATHS, BODIES, st.sampled_from(["", "gzip"]))
def test_random_bodies_and_paths_get_a_status_of_the_contract(
    seen: Codes, http: httpx.Client, method: str, path: str, body: bytes, encoding: str
) -> None:
    check_rest(seen, http, method, path, body, encoding)


def test_the_strategies_reach_answers_and_refusals(channel: grpc.Channel, http: httpx.Client) -> None:
    """Without it the strategies could send requests that never reach the model."""
    codes: Codes = collections.Counter()
    few = settings(FUZZ, max_examples=150)
    few(given(st.sampled_from(METHODS), predict_requests())(lambda method, body: check(codes, channel, method, body)))()
    few(given(PATHS, BODIES)(lambda path, body: check_rest(codes, http, "POST", path, body)))()
    assert codes.keys() >= {"INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION", "OK", 200, 400, 404}
