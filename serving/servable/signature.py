"""A signature of a loaded model: turns a request's aliases into feeds and fetches, or refuses it.

The checks, their order, codes and texts are TensorFlow Serving's (predict_util.cc, saved_model/util.cc).
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
"""An array or a TensorProto (whose generated class is no type to a checker)."""


@dataclasses.dataclass(frozen=True)
class Signature:
    """A signature with its tensors looked up; every mapping is by alias, in alphabetical order."""

    inputs: Mapping[str, Any]
    feed_names: Mapping[str, str]
    outputs: Mapping[str, Any]
    defaults: Mapping[str, np.ndarray]

    def feeds(self, inputs: Mapping[str, Value]) -> dict[Any, np.ndarray]:
        """The array to feed to each input tensor; StatusError where `inputs` are not the signature's."""
        self._check_count(inputs)
        feeds = {}
        for alias, tensor in self.inputs.items():
            if alias in inputs:
                feeds[tensor] = _array(alias, inputs[alias])
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
        """The outputs to fetch, all when the filter is empty; StatusError where it can't name them."""
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
    """The Signature of `definition` in the graph saved with it; KeyError when a tensor is not there."""

    def tensor(info: Any) -> Any:
        return graph.get_tensor_by_name(info.name)._as_tf_output()

    inputs, outputs = sorted(definition.inputs.items()), sorted(definition.outputs.items())
    return Signature(
        inputs={alias: tensor(info) for alias, info in inputs},
        feed_names={alias: info.name for alias, info in inputs},
        outputs={alias: tensor(info) for alias, info in outputs},
        defaults={alias: from_proto(proto) for alias, proto in sorted(definition.defaults.items())},
    )


def _array(alias: str, value: Value) -> np.ndarray:
    if isinstance(value, np.ndarray):
        return value
    try:
        return from_proto(value)
    except (ValueError, MemoryError) as error:
        raise invalid(f"tensor parsing error: {alias}") from error


def _names(names: Iterable[str]) -> str:
    return ",".join(sorted(names))
