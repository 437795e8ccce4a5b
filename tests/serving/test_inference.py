"""Classify, Regress and MultiInference over gRPC, and their warm-up: they answer and refuse as the stock server."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    classification_pb2,
    inference_pb2,
    input_pb2,
    prediction_log_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from serving.embedded import Server
from serving.inference import CLASSIFY, REGRESS
from serving.status import Code, StatusError
from serving.warmup import WARMUP_FILE, load


@pytest.fixture(scope="module")
def stub(people: Server) -> Iterator[prediction_service_pb2_grpc.PredictionServiceStub]:
    with grpc.insecure_channel(f"127.0.0.1:{people.port}") as channel:
        yield prediction_service_pb2_grpc.PredictionServiceStub(channel)


def example(age: float | None = None, city: str | None = None) -> tf.train.Example:
    made = tf.train.Example()
    if age is not None:
        made.features.feature["age"].float_list.value.append(age)
    if city is not None:
        made.features.feature["city"].bytes_list.value.append(city.encode())
    return made


def examples(*people: tf.train.Example) -> input_pb2.Input:
    return input_pb2.Input(example_list=input_pb2.ExampleList(examples=people))


def in_context(context: tf.train.Example, *people: tf.train.Example) -> input_pb2.Input:
    shared = input_pb2.ExampleListWithContext(examples=people, context=context)
    return input_pb2.Input(example_list_with_context=shared)


ULM, BONN = example(25.0, "ulm"), example(50.0, "bonn")
TWO = examples(ULM, BONN)


def classify_request(signature: str = "", given: input_pb2.Input = TWO) -> classification_pb2.ClassificationRequest:
    request = classification_pb2.ClassificationRequest(input=given)
    request.model_spec.name, request.model_spec.signature_name = "people", signature
    return request


def regress_request(signature: str = "twice", given: input_pb2.Input = TWO) -> regression_pb2.RegressionRequest:
    request = regression_pb2.RegressionRequest(input=given)
    request.model_spec.name, request.model_spec.signature_name = "people", signature
    return request


def task(method: str, signature: str = "", name: str = "people") -> inference_pb2.InferenceTask:
    made = inference_pb2.InferenceTask(method_name=method)
    made.model_spec.name, made.model_spec.signature_name = name, signature
    return made


def multi_request(
    *tasks: inference_pb2.InferenceTask, given: input_pb2.Input = TWO
) -> inference_pb2.MultiInferenceRequest:
    return inference_pb2.MultiInferenceRequest(tasks=tasks, input=given)


def classes(result: Any) -> list[list[tuple[str, float]]]:
    return [[(each.label, each.score) for each in row.classes] for row in result.classifications]


def values(result: Any) -> list[float]:
    return [regression.value for regression in result.regressions]


def named(spec: Any) -> tuple[str, str, int]:
    return spec.name, spec.signature_name, spec.version.value


# The city as it is and in capitals; the age and twice the age.
CLASSES = [[("ulm", 25.0), ("ULM", 50.0)], [("bonn", 50.0), ("BONN", 100.0)]]


def test_classify_gives_each_example_its_labels_and_scores(stub: Any) -> None:
    response = stub.Classify(classify_request(), timeout=30)
    assert classes(response.result) == CLASSES
    assert named(response.model_spec) == ("people", "serving_default", 1)


def test_a_signature_may_give_labels_or_scores_alone(stub: Any) -> None:
    labels = stub.Classify(classify_request("labels"), timeout=30)
    assert classes(labels.result) == [[("ulm", 0.0), ("ULM", 0.0)], [("bonn", 0.0), ("BONN", 0.0)]]
    scores = stub.Classify(classify_request("scores"), timeout=30)
    assert classes(scores.result) == [[("", 25.0), ("", 50.0)], [("", 50.0), ("", 100.0)]]
    assert named(scores.model_spec) == ("people", "scores", 1)


@pytest.mark.parametrize("signature", ["twice", "twice_in_a_column"])
def test_regress_gives_each_example_its_value(stub: Any, signature: str) -> None:
    response = stub.Regress(regress_request(signature), timeout=30)
    assert values(response.result) == [50.0, 100.0]  # twice the age
    assert named(response.model_spec) == ("people", signature, 1)


def test_the_method_name_of_a_signature_is_not_looked_at(stub: Any) -> None:
    """In a TF2 export it is that of predict, whatever the signature is for."""
    assert classes(stub.Classify(classify_request("as_predict"), timeout=30).result) == CLASSES


def test_an_example_overrides_the_context_that_it_shares(stub: Any) -> None:
    given = in_context(example(25.0, "ulm"), example(), example(age=50.0), example(city="bonn"))
    response = stub.Regress(regress_request(given=given), timeout=30)
    assert values(response.result) == [50.0, 100.0, 50.0]
    response = stub.Classify(classify_request("labels", given), timeout=30)
    assert [row[0][0] for row in classes(response.result)] == ["ulm", "ulm", "bonn"]


def test_an_example_arrives_as_it_was_sent(stub: Any) -> None:
    sent = example(1.5, "é")
    sent.features.feature["counts"].int64_list.value.extend([-1, 2**62])
    response = stub.Classify(classify_request("mirror", examples(sent)), timeout=30)
    assert tf.train.Example.FromString(base64.urlsafe_b64decode(classes(response.result)[0][0][0])) == sent


def test_multi_inference_answers_task_by_task(stub: Any) -> None:
    request = multi_request(task(REGRESS, "twice"), task(CLASSIFY), task(CLASSIFY, "scores"))
    first, second, third = stub.MultiInference(request, timeout=30).results
    assert values(first.regression_result) == [50.0, 100.0]
    assert classes(second.classification_result) == CLASSES
    assert classes(third.classification_result)[0] == [("", 25.0), ("", 50.0)]
    assert [named(each.model_spec) for each in (first, second)] == [
        ("people", "twice", 1),
        ("people", "serving_default", 1),
    ]


def test_multi_inference_runs_the_model_once(stub: Any) -> None:
    """Two signatures that give the same random numbers give them alike."""
    request = multi_request(task(CLASSIFY, "luck_as_scores"), task(REGRESS, "luck"))
    first, second = stub.MultiInference(request, timeout=30).results
    assert [row[0][1] for row in classes(first.classification_result)] == values(second.regression_result)


ANY = "INVALID_ARGUMENT"
UNNAMED = classification_pb2.ClassificationRequest(model_spec={"signature_name": "labels"}, input=TWO)
OTHER = regression_pb2.RegressionRequest(model_spec={"name": "other"}, input=TWO)
VERSION_7 = regression_pb2.RegressionRequest(model_spec={"name": "people", "version": {"value": 7}}, input=TWO)
EMPTY = input_pb2.Input()

REFUSALS: dict[str, tuple[str, Any, str, str]] = {
    "classify without a model_spec": (
        "Classify",
        classification_pb2.ClassificationRequest(input=TWO),
        ANY,
        "Missing ModelSpec",
    ),
    "regress without a model_spec": ("Regress", regression_pb2.RegressionRequest(), ANY, "Missing ModelSpec"),
    "no model name": ("Classify", UNNAMED, ANY, "ModelSpec has no name specified."),
    "unknown model": ("Regress", OTHER, "NOT_FOUND", "Servable not found for request: Latest(other)"),
    "unknown version": ("Regress", VERSION_7, "NOT_FOUND", "Servable not found for request: Specific(people, 7)"),
    "classify by an unknown signature": (
        "Classify",
        classify_request("nope"),
        ANY,
        "No signature was found with the name: nope",
    ),
    "regress by an unknown signature": (
        "Regress",
        regress_request("nope"),
        ANY,
        "No signature was found with the name: nope",
    ),
    "the signature is looked at before the input": (
        "Classify",
        classify_request("nope", EMPTY),
        ANY,
        "No signature was found with the name: nope",
    ),
    "classify with two inputs": ("Classify", classify_request("two_inputs"), ANY, "Expected one input Tensor."),
    "regress with two inputs": ("Regress", regress_request("two_inputs"), ANY, "Expected one input Tensor."),
    "classify with three outputs": (
        "Classify",
        classify_request("three_outputs"),
        ANY,
        "Expected one or two output Tensors, found 3",
    ),
    "regress with two outputs": ("Regress", regress_request(""), ANY, "Expected one output Tensor."),
    "classify with an input of another name": (
        "Classify",
        classify_request("renamed_input"),
        ANY,
        'No classification inputs found in SignatureDef: inputs {\n  key: "people"\n',
    ),
    "regress with an input of another name": (
        "Regress",
        regress_request("renamed_input"),
        ANY,
        'No regression inputs found in SignatureDef: inputs {\n  key: "people"\n',
    ),
    "classify with an output of another name": (
        "Classify",
        classify_request("twice"),
        ANY,
        'Expected classification signature outputs to contain at least one of "classes" or "scores". '
        'Signature was: inputs {\n  key: "inputs"\n',
    ),
    "regress with an output of another name": (
        "Regress",
        regress_request("labels"),
        ANY,
        'No regression outputs found in SignatureDef: inputs {\n  key: "inputs"\n',
    ),
    "classify nothing": ("Classify", classify_request(given=EMPTY), ANY, "Input is empty."),
    "regress nothing": ("Regress", regress_request(given=EMPTY), ANY, "Input is empty."),
    "no examples in a list": ("Classify", classify_request(given=examples()), ANY, "Input is empty."),
    "no examples in a context": ("Regress", regress_request(given=in_context(ULM)), ANY, "Input is empty."),
    "a model that takes no examples": (
        "Classify",
        classify_request("numbers"),
        ANY,
        "Expects arg[0] to be float but string is provided",
    ),
    "labels in one dimension": (
        "Classify",
        classify_request("flat_labels"),
        ANY,
        "Expected Tensor shape: [batch_size num_classes] but got [2]",
    ),
    "labels that are numbers": (
        "Classify",
        classify_request("int64_labels"),
        ANY,
        "Expected classes Tensor of DT_STRING. Got: DT_INT64",
    ),
    "labels of fewer examples": (
        "Classify",
        classify_request("one_label"),
        ANY,
        "Expected classes output batch size of 2. Got: 1",
    ),
    "a label that is no UTF-8": (
        "Classify",
        classify_request("broken_label"),
        "INTERNAL",
        r"label b'\xff' is no UTF-8 and does not fit into a reply; export labels in UTF-8",
    ),
    "scores in three dimensions": (
        "Classify",
        classify_request("deep_scores"),
        ANY,
        "Expected Tensor shape: [batch_size num_classes] but got [2,2,1]",
    ),
    "scores that are doubles": (
        "Classify",
        classify_request("double_scores"),
        ANY,
        "Expected scores Tensor of DT_FLOAT. Got: DT_DOUBLE",
    ),
    "scores of fewer examples": (
        "Classify",
        classify_request("one_score"),
        ANY,
        "Expected scores output batch size of 2. Got: 1",
    ),
    "more scores than labels": (
        "Classify",
        classify_request("unequal"),
        ANY,
        "Tensors class and score should match in dim_size(1). Got 1 vs. 2",
    ),
    "two values an example": (
        "Regress",
        regress_request("wide"),
        ANY,
        "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got [2,2]",
    ),
    "one value for all": (
        "Regress",
        regress_request("total"),
        ANY,
        "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got []",
    ),
    "values of fewer examples": (
        "Regress",
        regress_request("first"),
        ANY,
        "Input batch size did not match output batch size: 2 vs. 1",
    ),
    "values that are bfloats": (
        "Regress",
        regress_request("bfloats"),
        ANY,
        "Expected output Tensor of DT_FLOAT.  Got: DT_BFLOAT16",
    ),
    "multi-inference without a task": ("MultiInference", multi_request(), ANY, "ModelSpec has no name specified."),
    "multi-inference of an unknown model": (
        "MultiInference",
        multi_request(task(CLASSIFY, name="other")),
        "NOT_FOUND",
        "Servable not found for request: Latest(other)",
    ),
    "a second task without a model name": (
        "MultiInference",
        multi_request(task(CLASSIFY), task(REGRESS, "twice", name="")),
        ANY,
        "Found ModelSpec with an empty model name.",
    ),
    "tasks of two models": (
        "MultiInference",
        multi_request(task(CLASSIFY), task(REGRESS, "twice", name="other")),
        ANY,
        "All ModelSpecs in a MultiInferenceRequest must access the same model name.",
    ),
    "a signature twice": (
        "MultiInference",
        multi_request(task(CLASSIFY), task(CLASSIFY, "serving_default")),
        ANY,
        "Duplicate evaluation of signature: serving_default",
    ),
    "a task by an unknown signature": (
        "MultiInference",
        multi_request(task(CLASSIFY, "nope")),
        ANY,
        "Requested signature not found in model graph: nope",
    ),
    "a task that predicts": (
        "MultiInference",
        multi_request(task("tensorflow/serving/predict")),
        "UNIMPLEMENTED",
        "Unsupported signature method_name: tensorflow/serving/predict",
    ),
    "a task that its signature does not fit": (
        "MultiInference",
        multi_request(task(CLASSIFY), task(REGRESS, "two_inputs")),
        ANY,
        "Expected one input Tensor.",
    ),
    "tasks with different input tensors": (
        "MultiInference",
        multi_request(task(CLASSIFY), task(CLASSIFY, "numbers")),
        ANY,
        "Input tensor must be the same for all Signatures.",
    ),
    "multi-inference on nothing": (
        "MultiInference",
        multi_request(task(CLASSIFY), given=EMPTY),
        ANY,
        "Input is empty.",
    ),
    "a task whose output does not fit": (
        "MultiInference",
        multi_request(task(CLASSIFY), task(REGRESS, "wide")),
        ANY,
        "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got [2,2]",
    ),
}


@pytest.mark.parametrize("case", REFUSALS.values(), ids=REFUSALS.keys())
def test_a_refusal_has_the_stock_code_and_text(stub: Any, case: tuple[str, Any, str, str]) -> None:
    method, request, code, text = case
    with pytest.raises(grpc.RpcError) as caught:
        getattr(stub, method)(request, timeout=30)
    assert caught.value.code().name == code
    assert caught.value.details().startswith(text)


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
