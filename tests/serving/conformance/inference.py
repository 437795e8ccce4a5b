"""Classify, Regress and MultiInference over gRPC: classes, values and every refusal."""

from __future__ import annotations

import re
from typing import Any

import tensorflow as tf
from tensorflow_serving.apis import classification_pb2, inference_pb2, input_pb2, regression_pb2

from tests.serving.conformance.row import Grpc, Like, Row

CLASSIFY, REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"


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


def classify_request(signature: str = "", examples_: input_pb2.Input = TWO) -> classification_pb2.ClassificationRequest:
    request = classification_pb2.ClassificationRequest(input=examples_)
    request.model_spec.name, request.model_spec.signature_name = "people", signature
    return request


def regress_request(signature: str = "twice", examples_: input_pb2.Input = TWO) -> regression_pb2.RegressionRequest:
    request = regression_pb2.RegressionRequest(input=examples_)
    request.model_spec.name, request.model_spec.signature_name = "people", signature
    return request


def task(method: str, signature: str = "", name: str = "people") -> inference_pb2.InferenceTask:
    made = inference_pb2.InferenceTask(method_name=method)
    made.model_spec.name, made.model_spec.signature_name = name, signature
    return made


def multi_request(
    *tasks: inference_pb2.InferenceTask, examples_: input_pb2.Input = TWO
) -> inference_pb2.MultiInferenceRequest:
    return inference_pb2.MultiInferenceRequest(tasks=tasks, input=examples_)


def answered(method: str, request: Any, answer: Any) -> Grpc:
    return Grpc(method=method, request=request, answer=answer)


def refused(method: str, request: Any, text: Any, code: str = "INVALID_ARGUMENT") -> Grpc:
    return Grpc(method=method, request=request, code=code, text=text)


def starting(text: str) -> Like:
    """A text that begins like this and goes on with the signature as text."""
    return Like(re.escape(text) + ".*")


# Labels are the city and the city in capitals; scores are the age and twice the age.
CLASSES = [[("ulm", 25.0), ("ULM", 50.0)], [("bonn", 50.0), ("BONN", 100.0)]]
LABELS = [[("ulm", 0.0), ("ULM", 0.0)], [("bonn", 0.0), ("BONN", 0.0)]]
SCORES = [[("", 25.0), ("", 50.0)], [("", 50.0), ("", 100.0)]]
IN_CONTEXT = in_context(ULM, example(), example(age=50.0), example(city="bonn"))

ANSWERS: dict[str, Row] = {
    "classify gives each example its labels and scores": answered(
        "Classify", classify_request(), ("people:serving_default:1", CLASSES)
    ),
    "labels alone": answered("Classify", classify_request("labels"), ("people:labels:1", LABELS)),
    "scores alone": answered("Classify", classify_request("scores"), ("people:scores:1", SCORES)),
    "regress gives each example its value": answered(
        "Regress", regress_request("twice"), ("people:twice:1", [50.0, 100.0])
    ),
    "values may be a column": answered(
        "Regress", regress_request("twice_in_a_column"), ("people:twice_in_a_column:1", [50.0, 100.0])
    ),
    "the method name of a signature is not checked": answered(
        "Classify", classify_request("as_predict"), ("people:as_predict:1", CLASSES)
    ),
    "an example overrides the context that it shares": answered(
        "Regress", regress_request("twice", IN_CONTEXT), ("people:twice:1", [50.0, 100.0, 50.0])
    ),
    "a text of an example overrides that of the context": answered(
        "Classify",
        classify_request("labels", IN_CONTEXT),
        ("people:labels:1", [LABELS[0], LABELS[0], LABELS[1]]),
    ),
    "multi-inference answers task by task": answered(
        "MultiInference",
        multi_request(task(REGRESS, "twice"), task(CLASSIFY), task(CLASSIFY, "scores")),
        [
            ("people:twice:1", [50.0, 100.0]),
            ("people:serving_default:1", CLASSES),
            ("people:scores:1", SCORES),
        ],
    ),
}

UNNAMED = classification_pb2.ClassificationRequest(model_spec={"signature_name": "labels"}, input=TWO)
OTHER = regression_pb2.RegressionRequest(model_spec={"name": "other"}, input=TWO)
VERSION_7 = regression_pb2.RegressionRequest(model_spec={"name": "people", "version": {"value": 7}}, input=TWO)
EMPTY = input_pb2.Input()

REFUSALS: dict[str, Row] = {
    "classify without a model_spec": refused(
        "Classify", classification_pb2.ClassificationRequest(input=TWO), "Missing ModelSpec"
    ),
    "regress without a model_spec": refused("Regress", regression_pb2.RegressionRequest(), "Missing ModelSpec"),
    "no model name": refused("Classify", UNNAMED, "ModelSpec has no name specified."),
    "unknown model": refused("Regress", OTHER, "Servable not found for request: Latest(other)", "NOT_FOUND"),
    "unknown version": refused(
        "Regress", VERSION_7, "Servable not found for request: Specific(people, 7)", "NOT_FOUND"
    ),
    "classify by an unknown signature": refused(
        "Classify", classify_request("nope"), "No signature was found with the name: nope"
    ),
    "regress by an unknown signature": refused(
        "Regress", regress_request("nope"), "No signature was found with the name: nope"
    ),
    "the signature is checked before the input": refused(
        "Classify", classify_request("nope", EMPTY), "No signature was found with the name: nope"
    ),
    "classify with two inputs": refused("Classify", classify_request("two_inputs"), "Expected one input Tensor."),
    "regress with two inputs": refused("Regress", regress_request("two_inputs"), "Expected one input Tensor."),
    "classify with three outputs": refused(
        "Classify", classify_request("three_outputs"), "Expected one or two output Tensors, found 3"
    ),
    "regress with two outputs": refused("Regress", regress_request(""), "Expected one output Tensor."),
    "classify with an input of another name": refused(
        "Classify",
        classify_request("renamed_input"),
        starting('No classification inputs found in SignatureDef: inputs {\n  key: "people"\n'),
    ),
    "regress with an input of another name": refused(
        "Regress",
        regress_request("renamed_input"),
        starting('No regression inputs found in SignatureDef: inputs {\n  key: "people"\n'),
    ),
    "classify with an output of another name": refused(
        "Classify",
        classify_request("twice"),
        starting(
            'Expected classification signature outputs to contain at least one of "classes" or "scores". '
            'Signature was: inputs {\n  key: "inputs"\n'
        ),
    ),
    "regress with an output of another name": refused(
        "Regress",
        regress_request("labels"),
        starting('No regression outputs found in SignatureDef: inputs {\n  key: "inputs"\n'),
    ),
    "classify without input": refused("Classify", classify_request(examples_=EMPTY), "Input is empty."),
    "regress without input": refused("Regress", regress_request(examples_=EMPTY), "Input is empty."),
    "no examples in a list": refused("Classify", classify_request(examples_=examples()), "Input is empty."),
    "no examples in a context": refused("Regress", regress_request(examples_=in_context(ULM)), "Input is empty."),
    "a model that takes no examples": refused(
        "Classify", classify_request("numbers"), starting("Expects arg[0] to be float but string is provided")
    ),
    "labels in one dimension": refused(
        "Classify", classify_request("flat_labels"), "Expected Tensor shape: [batch_size num_classes] but got [2]"
    ),
    "labels that are numbers": refused(
        "Classify", classify_request("int64_labels"), "Expected classes Tensor of DT_STRING. Got: DT_INT64"
    ),
    "labels of fewer examples": refused(
        "Classify", classify_request("one_label"), "Expected classes output batch size of 2. Got: 1"
    ),
    "scores in three dimensions": refused(
        "Classify", classify_request("deep_scores"), "Expected Tensor shape: [batch_size num_classes] but got [2,2,1]"
    ),
    "scores that are doubles": refused(
        "Classify", classify_request("double_scores"), "Expected scores Tensor of DT_FLOAT. Got: DT_DOUBLE"
    ),
    "scores of fewer examples": refused(
        "Classify", classify_request("one_score"), "Expected scores output batch size of 2. Got: 1"
    ),
    "more scores than labels": refused(
        "Classify", classify_request("unequal"), "Tensors class and score should match in dim_size(1). Got 1 vs. 2"
    ),
    "two values an example": refused(
        "Regress",
        regress_request("wide"),
        "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got [2,2]",
    ),
    "one value for all": refused(
        "Regress",
        regress_request("total"),
        "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got []",
    ),
    "values of fewer examples": refused(
        "Regress", regress_request("first"), "Input batch size did not match output batch size: 2 vs. 1"
    ),
    "values that are bfloats": refused(
        "Regress", regress_request("bfloats"), "Expected output Tensor of DT_FLOAT.  Got: DT_BFLOAT16"
    ),
    "multi-inference without a task": refused("MultiInference", multi_request(), "ModelSpec has no name specified."),
    "multi-inference of an unknown model": refused(
        "MultiInference",
        multi_request(task(CLASSIFY, name="other")),
        "Servable not found for request: Latest(other)",
        "NOT_FOUND",
    ),
    "a second task without a model name": refused(
        "MultiInference",
        multi_request(task(CLASSIFY), task(REGRESS, "twice", name="")),
        "Found ModelSpec with an empty model name.",
    ),
    "tasks of two models": refused(
        "MultiInference",
        multi_request(task(CLASSIFY), task(REGRESS, "twice", name="other")),
        "All ModelSpecs in a MultiInferenceRequest must access the same model name.",
    ),
    "a signature twice": refused(
        "MultiInference",
        multi_request(task(CLASSIFY), task(CLASSIFY, "serving_default")),
        "Duplicate evaluation of signature: serving_default",
    ),
    "a task by an unknown signature": refused(
        "MultiInference", multi_request(task(CLASSIFY, "nope")), "Requested signature not found in model graph: nope"
    ),
    "a task that predicts": refused(
        "MultiInference",
        multi_request(task("tensorflow/serving/predict")),
        "Unsupported signature method_name: tensorflow/serving/predict",
        "UNIMPLEMENTED",
    ),
    "a task that its signature does not fit": refused(
        "MultiInference", multi_request(task(CLASSIFY), task(REGRESS, "two_inputs")), "Expected one input Tensor."
    ),
    "tasks with different input tensors": refused(
        "MultiInference",
        multi_request(task(CLASSIFY), task(CLASSIFY, "numbers")),
        "Input tensor must be the same for all Signatures.",
    ),
    "multi-inference without input": refused(
        "MultiInference", multi_request(task(CLASSIFY), examples_=EMPTY), "Input is empty."
    ),
    "a task whose output does not fit": refused(
        "MultiInference",
        multi_request(task(CLASSIFY), task(REGRESS, "wide")),
        "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got [2,2]",
    ),
}

ROWS = ANSWERS | {f"refused: {name}": row for name, row in REFUSALS.items()}
