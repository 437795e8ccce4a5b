"""Classify, Regress and MultiInference: facts that no row of conformance/inference.py holds."""

from __future__ import annotations

import base64
from typing import Any

import grpc
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_service_pb2_grpc

from serving.servable.method_names import CLASSIFY, REGRESS
from serving.server.embedded import Server
from tests.serving.conformance.inference import (
    classify_request,
    example,
    examples,
    multi_request,
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
    """Two signatures of one random tensor return the same numbers."""
    request = multi_request(task(CLASSIFY, "luck_as_scores"), task(REGRESS, "luck"))
    first, second = stub.MultiInference(request, timeout=30).results
    assert [row[0][1] for row in classes(first.classification_result)] == values(second.regression_result)


def test_a_label_that_is_not_utf8_is_an_internal_error(stub: Any) -> None:
    with pytest.raises(grpc.RpcError, match="is not UTF-8 and does not fit into a reply; export") as caught:
        stub.Classify(classify_request("broken_label"), timeout=30)
    assert caught.value.code() == grpc.StatusCode.INTERNAL
