"""Predict over gRPC: signatures, versions, labels, types, filters, and every refusal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework.tensor_pb2 import TensorProto
from tensorflow_serving.apis import predict_pb2

from tests.serving.conformance.row import ANY, Grpc, Like, Row

MINUTES = 10**9  # steps
X, Y = np.array([1, 2], np.float32), np.array([10, 20], np.float32)
ONE = np.array([1], np.float32)


def request(
    signature: str = "",
    inputs: Mapping[str, Any] | None = None,
    name: str = "toy",
    filter_: Iterable[str] = (),
    **spec: Any,
) -> predict_pb2.PredictRequest:
    """A request of NumPy arrays or TensorProtos; `inputs` defaults to x and y."""
    made = predict_pb2.PredictRequest(model_spec={"name": name, "signature_name": signature, **spec})
    for alias, value in ({"x": X, "y": Y} if inputs is None else inputs).items():
        proto = value if isinstance(value, TensorProto) else tf.make_tensor_proto(value)
        made.inputs[alias].CopyFrom(proto)
    made.output_filter.extend(filter_)
    return made


def answered(
    request_: predict_pb2.PredictRequest, outputs: Mapping[str, Any], signature: str, version: int = 2
) -> Grpc:
    return Grpc(method="Predict", request=request_, answer=(f"toy:{signature}:{version}", outputs))


def refused(request_: predict_pb2.PredictRequest, text: Any, code: str = "INVALID_ARGUMENT", **more: Any) -> Grpc:
    return Grpc(method="Predict", request=request_, code=code, text=text, **more)


def floats(*values: float, shape: Iterable[int]) -> Any:
    """A TensorProto whose values may not fit its shape."""
    dims = [{"size": size} for size in shape]
    return TensorProto(dtype=tf.float32.as_datatype_enum, tensor_shape={"dim": dims}, float_val=values)


def packed(content: bytes, size: int) -> Any:
    proto = floats(shape=[size])
    proto.tensor_content = content
    return proto


DIFFERENCE = {"difference": [-9.0, -18.0]}  # 1 - 10, 2 - 20
BOTH = DIFFERENCE | {"sum": [12.0, 24.0]}  # 2 * 1 + 10, 2 * 2 + 20 by version 2
BY_1 = DIFFERENCE | {"sum": [11.0, 22.0]}  # 1 * 1 + 10, 1 * 2 + 20
TYPED = {
    "flag": np.array([True]),
    "tiny": np.array([-5], np.int8),
    "short": np.array([-300], np.int16),
    "small": np.array([-70_000], np.int32),
    "big": np.array([2**53 + 1], np.int64),
    "byte": np.array([200], np.uint8),
    "count": np.array([2**32 - 1], np.uint32),
    "hash": np.array([2**64 - 1], np.uint64),
    "exact": np.array([0.1], np.float64),
}
WORDS = np.array(["tee", "nothing", "ﬁ", "茶"])

ANSWERS: dict[str, Row] = {
    "the latest version answers, and names model, signature and version": answered(request(), BOTH, "serving_default"),
    "a version is selected by number": answered(request(version={"value": 1}), BY_1, "serving_default", 1),
    "a version is selected by label": answered(request(version_label="stable"), BY_1, "serving_default", 1),
    "a label may hold a slash and a space": answered(request(version_label="canary/2 b"), BOTH, "serving_default"),
    "a filter picks outputs": answered(request(filter_=["difference"]), DIFFERENCE, "serving_default"),
    "a filter may name every output": answered(request(filter_=["sum", "difference"]), BOTH, "serving_default"),
    "a signature is selected by name": answered(request("number", {"x": X}), {"x": [1.0, 2.0]}, "number"),
    "tables, assets and TF Text work": answered(
        request("lookup", {"word": WORDS}),
        {
            "line": [1, -1, -1, 2],  # in pasta, tee, 茶
            "normal": [b"tee", b"nothing", b"fi", "茶".encode()],
            "normal_bytes": [b"tee", b"nothing", b"fi", "茶".encode()],
        },
        "lookup",
    ),
    "each type comes back as itself": answered(
        request("types", TYPED), {name: array.tolist() for name, array in TYPED.items()}, "types"
    ),
    "a large integer beside a small one keeps its bits": answered(
        request(
            "types",
            TYPED
            | {
                "hash": TensorProto(
                    dtype=tf.uint64.as_datatype_enum, tensor_shape={"dim": [{"size": 2}]}, uint64_val=[1, 2**63 + 1]
                )
            },
        ),
        {name: array.tolist() for name, array in TYPED.items()} | {"hash": [1, 2**63 + 1]},
        "types",
    ),
    "half, which JSON lacks, works over gRPC": answered(
        request("halves", {"half": np.array([1.5], np.float16)}), {"double": [3.0]}, "halves"
    ),
    "strings may hold any bytes": answered(
        request("mirror", {"x": np.array([b"\xff\x00", b""], object)}), {"x": [b"\xff\x00", b""]}, "mirror"
    ),
    "an output may be a scalar": answered(request("total", {"x": X}), {"total": 3.0}, "total"),
    "a string output may be a scalar": answered(
        request("joined", {"x": np.array([b"a", b"b\x00"], object)}), {"text": b"ab\x00"}, "joined"
    ),
    "outputs need no common batch": answered(
        request("uneven", {"x": X}), {"once": [1.0, 2.0], "twice": [1.0, 2.0, 1.0, 2.0]}, "uneven"
    ),
    "a signature may take nothing": answered(request("constant", {}), {"scale": [2.0]}, "constant"),
    "a batch may be empty": answered(
        request(inputs={"x": X[:0], "y": Y[:0]}), {"sum": [], "difference": []}, "serving_default"
    ),
    "the rank of a placeholder is not checked": answered(
        request("number", {"x": np.array([[1, 2], [3, 4]], np.float32)}), {"x": [[1.0, 2.0], [3.0, 4.0]]}, "number"
    ),
    "a tensor may be packed": answered(request("number", {"x": packed(X.tobytes(), 2)}), {"x": [1.0, 2.0]}, "number"),
    "the last value fills what is missing": answered(
        request("number", {"x": floats(1, 5, shape=[4])}), {"x": [1.0, 5.0, 5.0, 5.0]}, "number"
    ),
    "no value means zeros": answered(request("number", {"x": floats(shape=[2])}), {"x": [0.0, 0.0]}, "number"),
    "an input may have a default": answered(
        request("with_default", {"x": ONE}, filter_=["sum"]),
        {"sum": [102.0]},
        "with_default",  # 2 * 1 + 100
    ),
    "a sent value overrides the default": answered(
        request("with_default", {"x": ONE, "y": ONE}, filter_=["sum"]),
        {"sum": [3.0]},
        "with_default",  # 2 * 1 + 1
    ),
    "a request may be larger than 4 MB": answered(
        request("total", {"x": np.full(2_000_000, 0.5, np.float32)}), {"total": 1_000_000.0}, "total"
    ),
}

REFUSALS: dict[str, Row] = {
    "no model_spec": refused(predict_pb2.PredictRequest(), "Missing ModelSpec"),
    "no model name": refused(request(name=""), "ModelSpec has no name specified."),
    "unknown model": refused(request(name="other"), "Servable not found for request: Latest(other)", "NOT_FOUND"),
    "unknown version": refused(
        request(version={"value": 7}), "Servable not found for request: Specific(toy, 7)", "NOT_FOUND"
    ),
    "a version in the folder that is not configured": refused(
        request(version={"value": 3}), "Servable not found for request: Specific(toy, 3)", "NOT_FOUND"
    ),
    "a negative version": refused(
        request(version={"value": -1}), "Servable not found for request: Specific(toy, -1)", "NOT_FOUND"
    ),
    "version 0 is a version": refused(
        request(version={"value": 0}), "Servable not found for request: Specific(toy, 0)", "NOT_FOUND"
    ),
    "a version of an unknown model": refused(
        request(name="other", version={"value": 1}), "Servable not found for request: Specific(other, 1)", "NOT_FOUND"
    ),
    "unknown label": refused(request(version_label="nope"), "Unrecognized servable version label: nope"),
    "a label of an unknown model": refused(
        request(name="other", version_label="stable"), "Unrecognized servable version label: stable"
    ),
    "unknown signature": refused(request("nope"), 'Serving signature key "nope" not found.', "FAILED_PRECONDITION"),
    "a long text is cut": refused(
        request("n" * 2000),
        f'Serving signature key "{"n" * (1024 - 23)}...TRUNCATED',  # 23 characters stand before the name
        "FAILED_PRECONDITION",
    ),
    "missing input": refused(
        request(inputs={"x": X}),
        "input size does not match signature: 1!=2 len({x}) != len({x,y}). Sent extra: {}. Missing but required: {y}.",
    ),
    "extra input": refused(
        request(inputs={"x": X, "y": Y, "z": X}),
        "input size does not match signature: 3!=2 len({x,y,z}) != len({x,y}). "
        "Sent extra: {z}. Missing but required: {}.",
    ),
    "inputs for a signature that takes none": refused(
        request("constant", {"x": X}),
        "input size does not match signature: 1!=0 len({x}) != len({}). Sent extra: {x}. Missing but required: {}.",
    ),
    "as many inputs but another name": refused(
        request(inputs={"x": X, "z": Y}),
        Like(
            r"Signature input alias: y\(feed name: serving_default_y:0\) not found in request and no default value "
            r"provided. Inputs expected to be in the request \{x,z\}, or default input alias set: "
        ),
    ),
    "only what has a default may be missing": refused(
        request("with_default", {"y": Y}),
        Like(
            r"Signature input alias: x\(feed name: serving_default_x:0\) not found in request and no default value "
            r"provided. Inputs expected to be in the request \{y\}, or default input alias set: y"
        ),
    ),
    "another name beside a default": refused(
        request("with_default", {"x": X, "z": Y}),
        "Inputs contains invalid name. Used request inputs: x, request input: x,z",
    ),
    "more inputs than a signature with a default takes": refused(
        request("with_default", {"x": X, "y": Y, "z": X}),
        "input size does not match signature: 3!=2 len({x,y,z}) != len({x,y}). "
        "Sent extra: {z}. Missing but required: {}.",
    ),
    "a packed tensor of the wrong length": refused(
        request("number", {"x": packed(b"\x00" * 7, 2)}), "tensor parsing error: x"
    ),
    "a tensor of unknown size": refused(request("number", {"x": floats(1, shape=[-1])}), "tensor parsing error: x"),
    "a tensor without a type": refused(request("number", {"x": TensorProto()}), "tensor parsing error: x"),
    "a tensor is parsed before the output filter is checked": refused(
        request("number", {"x": floats(1, shape=[-1])}, filter_=["nope"]), "tensor parsing error: x"
    ),
    "another type": refused(
        request(inputs={"x": np.array(["1"]), "y": Y}), Like(r"Expects arg\[\d\] to be float but string is provided")
    ),
    "incompatible shapes": refused(
        request(inputs={"x": X, "y": np.zeros(3, np.float32)}), Like(r"Incompatible shapes: \[2\] vs. \[3\].*")
    ),
    "unknown output": refused(
        request(filter_=["sum", "nope"]),
        "output tensor alias not found in signature: nope Outputs expected to be in the set {difference,sum}.",
    ),
    "an output twice": refused(request(filter_=["sum", "sum"]), "duplicate output tensor alias: sum"),
    "a deadline that passes": refused(
        request("slow", {"steps": np.array([MINUTES])}), ANY, "DEADLINE_EXCEEDED", seconds=0.5
    ),
    "bytes that are not a message": Grpc(method="Predict", request=b"\xff\xff", code="INTERNAL", text=ANY),
    "an unknown method": Grpc(method="Nope", request=b"", code="UNIMPLEMENTED", text=ANY),
    "the session service is not served": Grpc(
        service="tensorflow.serving.SessionService",
        method="SessionRun",
        request=b"",
        code="UNIMPLEMENTED",
        text=ANY,
    ),
    "reflection is not served": Grpc(
        service="grpc.reflection.v1alpha.ServerReflection",
        method="ServerReflectionInfo",
        request=b"",
        code="UNIMPLEMENTED",
        text=ANY,
    ),
}

ROWS = ANSWERS | {f"refused: {name}": row for name, row in REFUSALS.items()}
