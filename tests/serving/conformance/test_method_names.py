"""A server with --enable_signature_method_name_check: signatures serve their method's calls."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import numpy as np
import pytest

from tests.serving import processes
from tests.serving.conformance import inference, predict
from tests.serving.conformance.inference import (
    CLASSIFY,
    REGRESS,
    classify_request,
    multi_request,
    regress_request,
    task,
)
from tests.serving.conformance.row import Grpc, Rest, Row
from tests.serving.conformance.target import Target

pytestmark = pytest.mark.slow  # the server is a process of TensorFlow

PREDICT = "tensorflow/serving/predict"
NO_CLASSIFICATION = f"Expected classification signature method_name to be {CLASSIFY}. Was: "
NO_REGRESSION = f"Expected regression signature method_name to be {REGRESS}. Was: "
NO_PREDICTION = (
    f"Expected prediction signature method_name to be one of {{{PREDICT}, {CLASSIFY}, {REGRESS}}}. "
    "Was: tensorflow/serving/training"
)
ULM = {"inputs": np.array([inference.ULM.SerializeToString()], object)}


def predict_request(signature: str) -> object:
    return predict.request(signature, ULM, name="people")


ROWS: dict[str, Row] = {
    "a classification classifies": inference.ANSWERS["labels alone"],
    "a regression regresses": inference.ANSWERS["regress gives each example its value"],
    "multi-inference of two methods": inference.ANSWERS["multi-inference answers task by task"],
    "a classification may predict": inference.answered(
        "Predict", predict_request("labels"), ("people:labels:1", {"classes": [[b"ulm", b"ULM"]]})
    ),
    "a regression may predict": inference.answered(
        "Predict", predict_request("twice"), ("people:twice:1", {"outputs": [50.0]})
    ),
    "classify by a regression": inference.refused("Classify", classify_request("twice"), NO_CLASSIFICATION + REGRESS),
    "classify by a prediction": inference.refused(
        "Classify", classify_request("as_predict"), NO_CLASSIFICATION + PREDICT
    ),
    "regress by a classification": inference.refused("Regress", regress_request("labels"), NO_REGRESSION + CLASSIFY),
    "the method name is checked before the inputs": inference.refused(
        "Classify", classify_request("two_inputs"), NO_CLASSIFICATION + REGRESS
    ),
    "the name of the signature is checked first": inference.refused(
        "Classify", classify_request("nope"), "No signature was found with the name: nope"
    ),
    "a task by a signature of another method": inference.refused(
        "MultiInference", multi_request(task(REGRESS, "labels")), NO_REGRESSION + CLASSIFY
    ),
    "predict by a signature of an unknown method": predict.refused(
        predict_request("as_training"), NO_PREDICTION, "INTERNAL"
    ),
    "the method name is checked before the number of inputs": predict.refused(
        predict.request("as_training", {}, name="people"), NO_PREDICTION, "INTERNAL"
    ),
    "REST: classify by a prediction": Rest(
        path="/v1/models/people:classify",
        body={"signature_name": "as_predict", "examples": [{"city": "ulm"}]},
        status=400,
        error=NO_CLASSIFICATION + PREDICT,
    ),
    "REST: predict by a signature of an unknown method": Rest(
        path="/v1/models/people:predict",
        body={"signature_name": "as_training", "instances": ["ulm"]},
        status=500,
        error=NO_PREDICTION,
    ),
}


@pytest.fixture(scope="module")
def served(own: None, folder: Path) -> Iterator[Target]:
    base_path = folder / "people"
    with processes.running("--enable_signature_method_name_check", name="people", base_path=base_path) as running:
        yield Target(running.target, running.rest)


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())
def test_a_signature_serves_the_calls_that_it_was_exported_for(
    channel: grpc.Channel, http: httpx.Client, row: Row
) -> None:
    if isinstance(row, Grpc):
        row.check(channel)
    else:
        row.check(http)
