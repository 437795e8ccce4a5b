"""Classify, Regress and MultiInference on a loaded version: tf.Examples in, classes and values out.

The checks, their order and texts are those of TensorFlow Serving's classifier.cc, regressor.cc,
multi_inference.cc and util.cc.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

import numpy as np

from serving.request.deadline import NO_DEADLINE, Deadline
from serving.request.monitoring import REQUEST_EXAMPLE_COUNT_TOTAL, REQUEST_EXAMPLE_COUNTS
from serving.request.status import Code, StatusError, invalid
from serving.servable import classification, method_names, regression
from serving.servable.method_names import CLASSIFY, REGRESS
from serving.servable.servable import DEFAULT_SIGNATURE, Servable
from serving.wire.protos import (
    ClassificationRequest,
    ClassificationResponse,
    InferenceTask,
    Input,
    ModelSpec,
    MultiInferenceRequest,
    MultiInferenceResponse,
    RegressionRequest,
    RegressionResponse,
    SignatureDef,
)

INPUTS = "inputs"

SelectOutputs: TypeAlias = Callable[[SignatureDef], list[str]]
_SELECT_OUTPUTS: Mapping[str, SelectOutputs] = {
    CLASSIFY: classification.select_outputs,
    REGRESS: regression.select_outputs,
}
"""Function by method name that checks a signature and returns the outputs to fetch."""


def classify(
    servable: Servable, request: ClassificationRequest, version: int | None = None, deadline: Deadline = NO_DEADLINE
) -> ClassificationResponse:
    """Answer PredictionService.Classify."""
    outputs, num_examples = _run(servable, request, CLASSIFY, deadline)
    return ClassificationResponse(
        result=classification.build_result(outputs, num_examples),
        model_spec=_response_spec(request.model_spec, version),
    )


def regress(
    servable: Servable, request: RegressionRequest, version: int | None = None, deadline: Deadline = NO_DEADLINE
) -> RegressionResponse:
    """Answer PredictionService.Regress."""
    outputs, num_examples = _run(servable, request, REGRESS, deadline)
    return RegressionResponse(
        result=regression.build_result(outputs, num_examples), model_spec=_response_spec(request.model_spec, version)
    )


def multi_inference(
    servable: Servable, request: MultiInferenceRequest, version: int | None = None, deadline: Deadline = NO_DEADLINE
) -> MultiInferenceResponse:
    """Answer PredictionService.MultiInference: all tasks from one run of the model."""
    aliases = _select_task_outputs(request.tasks, servable)
    examples = _serialize_examples(request.input)
    outputs = servable.infer(aliases, {INPUTS: examples}, deadline)
    response = MultiInferenceResponse()
    for task in request.tasks:
        result = response.results.add(model_spec=_response_spec(task.model_spec, version))
        task_outputs = outputs[_signature_name(task.model_spec)]
        if task.method_name == CLASSIFY:
            result.classification_result.CopyFrom(classification.build_result(task_outputs, len(examples)))
        else:
            result.regression_result.CopyFrom(regression.build_result(task_outputs, len(examples)))
    return response


def _serialize_examples(examples_input: Input) -> np.ndarray:
    """Serialize each example behind the context that all share, `[num_examples]`.

    Two serialized messages in a row parse as their merge, in which the later one, the example,
    wins. Raises StatusError when there is no example.
    """
    if examples_input.WhichOneof("kind") == "example_list_with_context":
        with_context = examples_input.example_list_with_context
        shared, examples = with_context.context.SerializeToString(), with_context.examples
    else:
        shared, examples = b"", examples_input.example_list.examples
    if not examples:
        raise invalid("Input is empty.")
    serialized: np.ndarray = np.empty(len(examples), object)
    serialized[:] = [shared + example.SerializeToString() for example in examples]
    return serialized


def _run(servable: Servable, request: Any, method: str, deadline: Deadline) -> tuple[dict[str, np.ndarray], int]:
    """Run a request's signature; return its outputs by alias and the number of examples."""
    name = _signature_name(request.model_spec)
    if name not in servable.signature_defs:
        raise invalid(f"No signature was found with the name: {name}")
    aliases = _select_outputs(servable, name, method)
    examples = _serialize_examples(request.input)
    REQUEST_EXAMPLE_COUNTS.add((request.model_spec.name,), len(examples))
    REQUEST_EXAMPLE_COUNT_TOTAL.add((request.model_spec.name,), len(examples))
    api = "Classify" if method == CLASSIFY else "Regress"
    return servable.predict(name, {INPUTS: examples}, aliases, deadline=deadline, api=api), len(examples)


def _select_task_outputs(tasks: Iterable[InferenceTask], servable: Servable) -> dict[str, list[str]]:
    """Return the outputs to fetch, by signature; StatusError for tasks that can't run together."""
    aliases: dict[str, list[str]] = {}
    models, inputs = set(), set()
    for task in tasks:
        if not task.model_spec.name:
            raise invalid("Found ModelSpec with an empty model name.")
        models.add(task.model_spec.name)
        if len(models) > 1:
            raise invalid("All ModelSpecs in a MultiInferenceRequest must access the same model name.")
        name = _signature_name(task.model_spec)
        if name in aliases:
            raise invalid(f"Duplicate evaluation of signature: {name}")
        if name not in servable.signature_defs:
            raise invalid(f"Requested signature not found in model graph: {name}")
        aliases[name] = _select_outputs(servable, name, task.method_name)
        inputs.add(servable.signature_defs[name].inputs[INPUTS].name)
        if len(inputs) > 1:
            raise invalid("Input tensor must be the same for all Signatures.")
    return aliases


def _select_outputs(servable: Servable, name: str, method: str) -> list[str]:
    """Return the outputs of a signature to fetch for `method`; StatusError if it does not fit."""
    if method not in _SELECT_OUTPUTS:
        raise StatusError(Code.UNIMPLEMENTED, f"Unsupported signature method_name: {method}")
    definition = servable.signature_defs[name]
    if servable.checks_method_names:
        method_names.check_method(definition, method)
    return _SELECT_OUTPUTS[method](definition)


def _response_spec(spec: ModelSpec, version: int | None) -> ModelSpec:
    response_spec = ModelSpec(name=spec.name, signature_name=_signature_name(spec))
    if version is not None:
        response_spec.version.value = version
    return response_spec


def _signature_name(spec: ModelSpec) -> str:
    return spec.signature_name or DEFAULT_SIGNATURE
