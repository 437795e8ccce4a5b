"""Signature of a loaded model: turns a request's inputs and output names into feeds and fetches.

The checks, their order, codes and texts are TensorFlow Serving's (predict_util.cc,
saved_model/util.cc).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf

from serving.request.status import invalid
from serving.wire.protos import SignatureDef
from serving.wire.tensors import from_proto

Value: TypeAlias = Any
"""An array or a TensorProto (type checkers do not know its generated class)."""


@dataclasses.dataclass(frozen=True)
class Signature:
    """A signature and its tensors in the graph; mappings are by alias, in alphabetical order."""

    inputs: Mapping[str, Any]
    feed_names: Mapping[str, str]
    outputs: Mapping[str, Any]
    defaults: Mapping[str, np.ndarray]

    def feeds(self, inputs: Mapping[str, Value]) -> dict[Any, np.ndarray]:
        """Return the array for each input tensor; StatusError unless `inputs` fit the signature."""
        self._check_count(inputs)
        feeds = {}
        for alias, tensor in self.inputs.items():
            if alias in inputs:
                feeds[tensor] = _to_array(alias, inputs[alias])
            elif alias in self.defaults:
                feeds[tensor] = self.defaults[alias]
            else:
                raise invalid(
                    f"Signature input alias: {alias}(feed name: {self.feed_names[alias]}) not found "
                    "in request and no default value provided. Inputs expected to be in the request "
                    f"{{{_names(inputs)}}}, or default input alias set: {_names(self.defaults)}"
                )
        used = inputs.keys() & self.inputs.keys()
        if len(used) != len(inputs):
            raise invalid(
                f"Inputs contains invalid name. Used request inputs: {_names(used)}, request input: {_names(inputs)}"
            )
        return feeds

    def aliases(self, output_filter: Iterable[str]) -> list[str]:
        """Return the outputs to fetch, all for an empty filter; StatusError for a bad filter."""
        aliases: list[str] = []
        for alias in output_filter:
            if alias not in self.outputs:
                raise invalid(
                    f"output tensor alias not found in signature: {alias} "
                    f"Outputs expected to be in the set {{{_names(self.outputs)}}}."
                )
            if alias in aliases:
                raise invalid(f"duplicate output tensor alias: {alias}")
            aliases.append(alias)
        return aliases or list(self.outputs)

    def _check_count(self, inputs: Mapping[str, Value]) -> None:
        sent, expected = inputs.keys(), self.inputs.keys()
        if len(sent) == len(expected) or (len(sent) < len(expected) and self.defaults):
            return
        raise invalid(
            f"input size does not match signature: {len(sent)}!={len(expected)} "
            f"len({{{_names(sent)}}}) != len({{{_names(expected)}}}). "
            f"Sent extra: {{{_names(sent - expected)}}}. Missing but required: {{{_names(expected - sent)}}}."
        )


def resolve(definition: SignatureDef, graph: tf.Graph) -> Signature:
    """Look up the tensors of `definition` in its graph; KeyError when the graph lacks one."""

    def tensor(info: Any) -> Any:
        return graph.get_tensor_by_name(info.name)._as_tf_output()

    inputs, outputs = sorted(definition.inputs.items()), sorted(definition.outputs.items())
    return Signature(
        inputs={alias: tensor(info) for alias, info in inputs},
        feed_names={alias: info.name for alias, info in inputs},
        outputs={alias: tensor(info) for alias, info in outputs},
        defaults={alias: from_proto(proto) for alias, proto in sorted(definition.defaults.items())},
    )


def _to_array(alias: str, value: Value) -> np.ndarray:
    if isinstance(value, np.ndarray):
        return value
    try:
        return from_proto(value)
    except (ValueError, MemoryError) as error:
        raise invalid(f"tensor parsing error: {alias}") from error


def _names(names: Iterable[str]) -> str:
    return ",".join(sorted(names))
