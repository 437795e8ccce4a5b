"""Warm-up: the requests exported with a version are replayed, and a failing one fails the load."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from serving.lifecycle.options import LifecycleOptions
from serving.lifecycle.warmup import MAX_RECORDS, WARMUP_FILE, load, warm_up
from serving.request.status import Code, StatusError
from serving.servable.method_names import CLASSIFY, REGRESS
from serving.wire.protos import PredictionLog
from serving.wire.tensors import to_proto
from tests.serving.conformance.inference import classify_request, multi_request, regress_request, task


def write_warmup(version: Path, logs: Iterable[PredictionLog]) -> None:
    (version / WARMUP_FILE).parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(version / WARMUP_FILE)) as writer:
        for log in logs:
            writer.write(log.SerializeToString())


def predict_log(**inputs: float) -> PredictionLog:
    protos = {alias: to_proto(np.array([value], np.float32)) for alias, value in inputs.items()}
    return PredictionLog(predict_log={"request": {"inputs": protos}})


def multi_log(*tasks: tuple[str, str]) -> PredictionLog:
    return PredictionLog(multi_inference_log={"request": multi_request(*(task(*each) for each in tasks))})


def test_predict_requests_are_replayed(base_path: Path) -> None:
    write_warmup(base_path / "1", [predict_log(x=1.0, y=10.0)] * 3)
    servable = load(base_path / "1", "toy")
    assert warm_up(servable, base_path / "1") == 3
    servable.close()


def test_classify_regress_and_multi_inference_requests_are_replayed(people_path: Path) -> None:
    classify = PredictionLog(classify_log={"request": classify_request("scores")})
    regress = PredictionLog(regress_log={"request": regress_request("twice")})
    write_warmup(people_path / "1", [classify, regress, multi_log((REGRESS, "twice"))])
    servable = load(people_path / "1", "people")
    assert warm_up(servable, people_path / "1") == 3
    servable.close()


def test_a_version_without_requests_is_loaded(base_path: Path) -> None:
    servable = load(base_path / "1", "toy")
    assert warm_up(servable, base_path / "1") == 0
    servable.close()


def test_requests_are_not_replayed_where_warm_up_is_off(base_path: Path) -> None:
    write_warmup(base_path / "1", [predict_log(x=1.0)])  # y is missing: a replay would fail
    load(base_path / "1", "toy", LifecycleOptions(warms_up=False)).close()


TOY_REFUSALS = {
    "a request that the model refuses": ([predict_log(x=1.0)], "input size does not match signature: 1!=2"),
    "a log without a request": ([PredictionLog()], "Unsupported log_type for warmup: 0"),
    "too many": (
        [predict_log(x=1.0, y=10.0)] * (MAX_RECORDS + 1),
        "Number of warmup records exceeds the maximum (1000) at ",
    ),
}


@pytest.mark.parametrize("case", TOY_REFUSALS.values(), ids=TOY_REFUSALS.keys())
def test_a_failing_request_fails_the_load(base_path: Path, case: tuple[list[PredictionLog], str]) -> None:
    logs, text = case
    write_warmup(base_path / "1", logs)
    with pytest.raises(StatusError, match=f"^[A-Z_]+: {re.escape(text)}"):
        load(base_path / "1", "toy")


PEOPLE_REFUSALS = {
    "classify": (
        PredictionLog(classify_log={"request": classify_request("nope")}),
        Code.INVALID_ARGUMENT,
        "No signature was found with the name: nope",
    ),
    "regress": (
        PredictionLog(regress_log={"request": regress_request("wide")}),
        Code.INVALID_ARGUMENT,
        "Expected output Tensor shape to be either",
    ),
    "multi-inference": (
        multi_log((CLASSIFY, "nope")),
        Code.INVALID_ARGUMENT,
        "Requested signature not found in model graph",
    ),
    "multi-inference without a task": (
        multi_log(),
        Code.INVALID_ARGUMENT,
        "Must specify at least one target to fetch or execute.",
    ),
    "session run": (PredictionLog(session_run_log={}), Code.UNIMPLEMENTED, "Unsupported log_type for warmup: 5"),
    "streamed": (PredictionLog(predict_streamed_log={}), Code.UNIMPLEMENTED, "Unsupported log_type for warmup: 7"),
}


@pytest.mark.parametrize("case", PEOPLE_REFUSALS.values(), ids=PEOPLE_REFUSALS.keys())
def test_a_failing_request_of_another_api_fails_the_load(
    people_path: Path, case: tuple[PredictionLog, Code, str]
) -> None:
    log, code, text = case
    write_warmup(people_path / "1", [log])
    with pytest.raises(StatusError, match=f"^{code.name}: {re.escape(text)}"):
        load(people_path / "1", "people")


def test_a_file_that_is_not_a_tfrecord_fails_the_load(base_path: Path) -> None:
    (base_path / "1" / WARMUP_FILE).parent.mkdir()
    (base_path / "1" / WARMUP_FILE).write_bytes(b"these are no records at all")
    with pytest.raises(StatusError, match=r"(?s)^DATA_LOSS: .*Please verify your warmup data is in TFRecord format\.$"):
        load(base_path / "1", "toy")
