"""Regression: the output of a signature that holds the values, and its result.

The checks, their order and texts are those of TensorFlow Serving's regressor.cc. As there, a
signature's method name is checked only under a flag (method_names.py).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from serving.request.status import invalid
from serving.wire.protos import RegressionResult, SignatureDef
from serving.wire.tensors import dtype_name

INPUTS, OUTPUTS = "inputs", "outputs"


def select_outputs(definition: SignatureDef) -> list[str]:
    """Return the one output to fetch; StatusError for a signature that is not a regression."""
    if len(definition.inputs) != 1:
        raise invalid("Expected one input Tensor.")
    if len(definition.outputs) != 1:
        raise invalid("Expected one output Tensor.")
    if INPUTS not in definition.inputs:
        raise invalid(f"No regression inputs found in SignatureDef: {definition}")
    if OUTPUTS not in definition.outputs:
        raise invalid(f"No regression outputs found in SignatureDef: {definition}")
    return [OUTPUTS]


def build_result(outputs: Mapping[str, np.ndarray], num_examples: int) -> RegressionResult:
    """Build the value of each example.

    The output is `[num_examples]` or `[num_examples, 1]`; others raise StatusError.
    """
    values = np.asarray(outputs[OUTPUTS])
    if not (values.ndim == 1 or (values.ndim == 2 and values.shape[1] == 1)):
        raise invalid(
            "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] "
            f"but got [{','.join(map(str, values.shape))}]"
        )
    if len(values) != num_examples:
        raise invalid(f"Input batch size did not match output batch size: {num_examples} vs. {len(values)}")
    if (dtype := dtype_name(values)) != "DT_FLOAT":
        raise invalid(f"Expected output Tensor of DT_FLOAT.  Got: {dtype}")
    result = RegressionResult()
    for value in values.ravel().tolist():
        result.regressions.add(value=value)
    return result
