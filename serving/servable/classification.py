"""Classification: the outputs of a signature that hold classes and scores, and their result.

The checks, their order and texts are those of TensorFlow Serving's classifier.cc. As there, a
signature's method name is checked only under a flag (method_names.py): in a TF2 export it is always
that of predict.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from serving.request.status import Code, StatusError, invalid
from serving.wire.protos import ClassificationResult, SignatureDef
from serving.wire.tensors import dtype_name

INPUTS, CLASSES, SCORES = "inputs", "classes", "scores"
_DTYPES = {CLASSES: "DT_STRING", SCORES: "DT_FLOAT"}


def select_outputs(definition: SignatureDef) -> list[str]:
    """Return the outputs to fetch: classes, scores or both; StatusError for another signature."""
    if len(definition.inputs) != 1:
        raise invalid("Expected one input Tensor.")
    if len(definition.outputs) not in (1, 2):
        raise invalid(f"Expected one or two output Tensors, found {len(definition.outputs)}")
    if INPUTS not in definition.inputs:
        raise invalid(f"No classification inputs found in SignatureDef: {definition}")
    aliases = [alias for alias in (CLASSES, SCORES) if alias in definition.outputs]
    if not aliases:
        raise invalid(
            'Expected classification signature outputs to contain at least one of "classes" or "scores". '
            f"Signature was: {definition}"
        )
    return aliases


def build_result(outputs: Mapping[str, np.ndarray], num_examples: int) -> ClassificationResult:
    """Build the classes of each example.

    `outputs` holds labels, scores or both, each `[num_examples, num_classes]`; others raise
    StatusError.
    """
    for alias in outputs:
        _check(alias, np.asarray(outputs[alias]), num_examples)
    shape = next(iter(outputs.values())).shape
    classes = outputs.get(CLASSES, np.full(shape, b"", object))
    scores = outputs.get(SCORES, np.zeros(shape, np.float32))
    if classes.shape != scores.shape:
        raise invalid(
            f"Tensors class and score should match in dim_size(1). Got {classes.shape[1]} vs. {scores.shape[1]}"
        )
    result = ClassificationResult()
    for labels, values in zip(classes.tolist(), scores.tolist(), strict=True):
        row = result.classifications.add()
        for label, score in zip(labels, values, strict=True):
            row.classes.add(label=_decode(label), score=score)
    return result


def _check(alias: str, array: np.ndarray, num_examples: int) -> None:
    if array.ndim != 2:
        shape = ",".join(map(str, array.shape))
        raise invalid(f"Expected Tensor shape: [batch_size num_classes] but got [{shape}]")
    if (dtype := dtype_name(array)) != _DTYPES[alias]:
        raise invalid(f"Expected {alias} Tensor of {_DTYPES[alias]}. Got: {dtype}")
    if len(array) != num_examples:
        raise invalid(f"Expected {alias} output batch size of {num_examples}. Got: {len(array)}")


def _decode(label: bytes) -> str:
    try:
        return label.decode()
    except UnicodeDecodeError as error:  # the stock server's reply to this can't be parsed by its client
        text = f"label {label[:64]!r} is not UTF-8 and does not fit into a reply; export labels in UTF-8"
        raise StatusError(Code.INTERNAL, text) from error
