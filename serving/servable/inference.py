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

Aliases: TypeAlias = Callable[[SignatureDef], list[str]]
_ALIASES: Mapping[str, Aliases] = {CLASSIFY: classification.output_aliases, REGRESS: regression.output_aliases}
"""By method: what checks that a signature fits it and gives the outputs to fetch."""


def classify(
    servable: Servable, request: ClassificationRequest, version: int | None = None, deadline: Deadline = NO_DEADLINE
) -> ClassificationResponse:
    """PredictionService.Classify."""
    outputs, num_examples = _outputs(servable, request, CLASSIFY, deadline, "Classify")
    return ClassificationResponse(
        result=classification.result(outputs, num_examples), model_spec=_answered(request.model_spec, version)
    )


def regress(
    servable: Servable, request: RegressionRequest, version: int | None = None, deadline: Deadline = NO_DEADLINE
) -> RegressionResponse:
    """PredictionService.Regress."""
    outputs, num_examples = _outputs(servable, request, REGRESS, deadline, "Regress")
    return RegressionResponse(
        result=regression.result(outputs, num_examples), model_spec=_answered(request.model_spec, version)
    )


def multi_inference(
    servable: Servable, request: MultiInferenceRequest, version: int | None = None, deadline: Deadline = NO_DEADLINE
) -> MultiInferenceResponse:
    """PredictionService.MultiInference: every task's result from one run."""
    aliases = _aliases(request.tasks, servable)
    examples = serialized_examples(request.input)
    outputs = servable.infer(aliases, {INPUTS: examples}, deadline)
    response = MultiInferenceResponse()
    for task in request.tasks:
        result = response.results.add(model_spec=_answered(task.model_spec, version))
        own = outputs[_signature_name(task.model_spec)]
        if task.method_name == CLASSIFY:
            result.classification_result.CopyFrom(classification.result(own, len(examples)))
        else:
            result.regression_result.CopyFrom(regression.result(own, len(examples)))
    return response


def serialized_examples(given: Input) -> np.ndarray:
    """[num_examples] Each example as bytes, behind the context that all share; StatusError when there is none.

    One message behind another parses as the two merged, so what the example says goes before the context.
    """
    if given.WhichOneof("kind") == "example_list_with_context":
        context, examples = given.example_list_with_context.context, given.example_list_with_context.examples
        shared = context.SerializeToString()
    else:
        shared, examples = b"", given.example_list.examples
    if not examples:
        raise invalid("Input is empty.")
    serialized: np.ndarray = np.empty(len(examples), object)
    serialized[:] = [shared + example.SerializeToString() for example in examples]
    return serialized


def _outputs(
    servable: Servable, request: Any, method: str, deadline: Deadline, api: str
) -> tuple[dict[str, np.ndarray], int]:
    name = _signature_name(request.model_spec)
    if name not in servable.signature_defs:
        raise invalid(f"No signature was found with the name: {name}")
    aliases = _fitting_aliases(servable, name, method)
    examples = serialized_examples(request.input)
    REQUEST_EXAMPLE_COUNTS.add((request.model_spec.name,), len(examples))
    REQUEST_EXAMPLE_COUNT_TOTAL.add((request.model_spec.name,), len(examples))
    return servable.predict(name, {INPUTS: examples}, aliases, deadline, api), len(examples)


def _aliases(tasks: Iterable[InferenceTask], servable: Servable) -> dict[str, list[str]]:
    """The outputs to fetch by signature; StatusError at the first task that can't be run beside those before."""
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
        aliases[name] = _fitting_aliases(servable, name, task.method_name)
        inputs.add(servable.signature_defs[name].inputs[INPUTS].name)
        if len(inputs) > 1:
            raise invalid("Input tensor must be the same for all Signatures.")
    return aliases


def _fitting_aliases(servable: Servable, name: str, method: str) -> list[str]:
    """The outputs of a signature to fetch for `method`; StatusError where it does not fit it."""
    if method not in _ALIASES:
        raise StatusError(Code.UNIMPLEMENTED, f"Unsupported signature method_name: {method}")
    definition = servable.signature_defs[name]
    if servable.checks_method_names:
        method_names.check(definition, method)
    return _ALIASES[method](definition)


def _answered(spec: ModelSpec, version: int | None) -> ModelSpec:
    answered = ModelSpec(name=spec.name, signature_name=_signature_name(spec))
    if version is not None:
        answered.version.value = version
    return answered


def _signature_name(spec: ModelSpec) -> str:
    return spec.signature_name or DEFAULT_SIGNATURE
