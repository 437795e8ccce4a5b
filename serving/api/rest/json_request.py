"""The JSON object of a REST predict request, converted to named arrays.

The row format has "instances", one element per example; the columnar format has "inputs", one
tensor per name. The rules are those of TensorFlow Serving's json_tensor.cc.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from serving.api.rest import errors
from serving.api.rest.json_values import is_base64, to_array
from serving.request.status import StatusError

Dtypes = Mapping[str, int]
"""Alias of each input of a signature to its DataType number."""


def signature_name(request: dict[str, Any]) -> str:
    """The requested signature, "" for the default one; StatusError when it is not a string."""
    name = request.get("signature_name", "")
    if not isinstance(name, str):
        raise errors.signature_name_not_string(request)
    return name


def inputs(request: dict[str, Any], dtypes: Dtypes) -> dict[str, np.ndarray]:
    """The array of each input; StatusError when format, names, types or shapes do not fit."""
    if "instances" in request and "inputs" in request:
        raise errors.both_formats(request)
    if "instances" in request:
        instances = request["instances"]
        if not isinstance(instances, list):
            raise errors.instances_not_list(request)
        if not instances:
            raise errors.instances_empty(request)
        return _rows(instances, dtypes)
    if "inputs" in request:
        return _columns(request["inputs"], dtypes)
    raise errors.neither_format()


def _columns(value: Any, dtypes: Dtypes) -> dict[str, np.ndarray]:
    if isinstance(value, dict) and not is_base64(value):
        for name in dtypes:
            if name not in value:
                raise errors.missing_input(name)
        return {name: to_array(value[name], dtype) for name, dtype in dtypes.items()}
    if len(dtypes) > 1:
        raise errors.inputs_not_object()
    return {name: to_array(value, dtype) for name, dtype in dtypes.items()}


def _rows(instances: list[Any], dtypes: Dtypes) -> dict[str, np.ndarray]:
    if len(dtypes) > 1 and not isinstance(instances[0], dict):
        raise errors.instances_not_objects()
    are_objects = _is_object(instances[0])
    columns: dict[str, list[np.ndarray]] = {name: [] for name in dtypes}
    for index, instance in enumerate(instances):
        if are_objects != _is_object(instance):
            raise errors.mixed_instances(index, expects_object=are_objects)
        # A plain value, or {"b64": ...}, is the value of the first input, as in the stock server.
        row = instance if are_objects else dict.fromkeys([*dtypes][:1], instance)
        for name, value in row.items():
            try:
                if name not in dtypes:
                    raise errors.unknown_input(name)
                columns[name].append(_like_first(columns[name], to_array(value, dtypes[name])))
            except StatusError as error:
                position = f"element: {index} key: {name}" if are_objects else f"element: {index}"
                raise errors.wrong_instance(position, error) from error
        if are_objects and row.keys() != dtypes.keys():
            raise errors.wrong_keys(index, instance, dtypes)
    return {name: np.stack(arrays) for name, arrays in columns.items() if arrays}


def _like_first(arrays: list[np.ndarray], array: np.ndarray) -> np.ndarray:
    """`array`; StatusError when the first of `arrays` has another size or shape."""
    first = arrays[0] if arrays else array
    if first.size != array.size:
        raise errors.unequal_size(first.size, array.size)
    if first.shape != array.shape:
        raise errors.unequal_shape(first.shape, array.shape)
    return array


def _is_object(value: Any) -> bool:
    return isinstance(value, dict) and not is_base64(value)
