"""Classify, Regress and MultiInference, what the contract's rows (conformance/inference.py) leave over; warm-up."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import grpc
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2, prediction_service_pb2_grpc

from serving.lifecycle.warmup import WARMUP_FILE, load
from serving.request.status import Code, StatusError
from serving.servable.inference import CLASSIFY, REGRESS
from serving.server.embedded import Server
from tests.serving.conformance.inference import (
    classify_request,
    example,
    examples,
    multi_request,
    regress_request,
    task,
)


@pytest.fixture(scope="module")
def server(people: Server) -> Server:
    return people


@pytest.fixture
def stub(channel: grpc.Channel) -> Any:
    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


def classes(result: Any) -> list[list[tuple[str, float]]]:
    return [[(each.label, each.score) for each in row.classes] for row in result.classifications]


def values(result: Any) -> list[float]:
    return [regression.value for regression in result.regressions]


def test_an_example_arrives_as_it_was_sent(stub: Any) -> None:
    sent = example(1.5, "é")
    sent.features.feature["counts"].int64_list.value.extend([-1, 2**62])
    response = stub.Classify(classify_request("mirror", examples(sent)), timeout=30)
    assert tf.train.Example.FromString(base64.urlsafe_b64decode(classes(response.result)[0][0][0])) == sent


def test_multi_inference_runs_the_model_once(stub: Any) -> None:
    """Two signatures that give the same random numbers give them alike."""
    request = multi_request(task(CLASSIFY, "luck_as_scores"), task(REGRESS, "luck"))
    first, second = stub.MultiInference(request, timeout=30).results
    assert [row[0][1] for row in classes(first.classification_result)] == values(second.regression_result)


def test_a_label_that_is_no_utf8_is_an_internal_error(stub: Any) -> None:
    with pytest.raises(grpc.RpcError, match="is no UTF-8 and does not fit into a reply; export") as caught:
        stub.Classify(classify_request("broken_label"), timeout=30)
    assert caught.value.code() == grpc.StatusCode.INTERNAL


def write_warmup(version: Path, *logs: prediction_log_pb2.PredictionLog) -> None:
    (version / WARMUP_FILE).parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(version / WARMUP_FILE)) as writer:
        for log in logs:
            writer.write(log.SerializeToString())


def logs(signature: str, method: str = CLASSIFY) -> Iterable[prediction_log_pb2.PredictionLog]:
    yield prediction_log_pb2.PredictionLog(classify_log={"request": classify_request(signature)})
    yield prediction_log_pb2.PredictionLog(regress_log={"request": regress_request(signature)})
    yield prediction_log_pb2.PredictionLog(multi_inference_log={"request": multi_request(task(method, signature))})


def test_logs_of_all_three_methods_warm_a_version_up(people_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    (classified, _, _), (_, regressed, both) = logs("scores"), logs("twice", REGRESS)
    write_warmup(people_path / "1", classified, regressed, both)
    load(people_path / "1", "people").close()
    assert "Number of warmup records read: 3" in caplog.text


BAD_WARMUPS = {
    "classify": (next(iter(logs("nope"))), Code.INVALID_ARGUMENT, "No signature was found with the name: nope"),
    "regress": (list(logs("wide"))[1], Code.INVALID_ARGUMENT, "Expected output Tensor shape to be either"),
    "multi-inference": (list(logs("nope"))[2], Code.INVALID_ARGUMENT, "Requested signature not found in model graph"),
    "multi-inference without a task": (
        prediction_log_pb2.PredictionLog(multi_inference_log={"request": multi_request()}),
        Code.INVALID_ARGUMENT,
        "Must specify at least one target to fetch or execute.",
    ),
    "session run": (
        prediction_log_pb2.PredictionLog(session_run_log={}),
        Code.UNIMPLEMENTED,
        "Unsupported log_type for warmup: 5",
    ),
    "streamed": (
        prediction_log_pb2.PredictionLog(predict_streamed_log={}),
        Code.UNIMPLEMENTED,
        "Unsupported log_type for warmup: 7",
    ),
}


@pytest.mark.parametrize("case", BAD_WARMUPS.values(), ids=BAD_WARMUPS.keys())
def test_a_log_that_can_not_be_replayed_fails_the_version(people_path: Path, case: tuple[Any, Code, str]) -> None:
    log, code, text = case
    write_warmup(people_path / "1", log)
    with pytest.raises(StatusError) as caught:
        load(people_path / "1", "people")
    assert caught.value.code == code
    assert caught.value.message.startswith(text)
