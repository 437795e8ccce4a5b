"""A REST predict request: its JSON object to named arrays.

Row format has "instances", one element an example; columnar format has "inputs", one tensor a name.
Texts and rules are those of TensorFlow Serving's json_tensor.cc.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from serving.api.rest.json_text import echo
from serving.api.rest.json_values import is_base64, to_array
from serving.request.status import StatusError, invalid

Dtypes = Mapping[str, int]
"""DataType number of each input of a signature, by alias."""


def signature_name(request: dict[str, Any]) -> str:
    """The signature asked for, "" for the default one."""
    name = request.get("signature_name", "")
    if not isinstance(name, str):
        raise invalid(
            f"JSON Value: {echo(request)} not formatted correctly. 'signature_name' key must be a string value."
        )
    return name


def inputs(request: dict[str, Any], dtypes: Dtypes) -> dict[str, np.ndarray]:
    """The arrays to feed; StatusError when the request's form, names, types or shapes do not fit."""
    if "instances" in request and "inputs" in request:
        raise invalid(
            f"JSON Value: {echo(request)} Not formatted correctly expecting only one of "
            "'inputs' or 'instances' keys to exist "
        )
    if "instances" in request:
        instances = request["instances"]
        if not isinstance(instances, list):
            raise invalid(f"JSON Value: {echo(request)} Expecting 'instances' to be an list/array")
        if not instances:
            raise invalid(f"JSON Value: {echo(request)} No values in 'instances' array")
        return _rows(instances, dtypes)
    if "inputs" in request:
        return _columns(request["inputs"], dtypes)
    raise invalid("Missing 'inputs' or 'instances' key")


def _columns(value: Any, dtypes: Dtypes) -> dict[str, np.ndarray]:
    if isinstance(value, dict) and not is_base64(value):
        for name in dtypes:
            if name not in value:
                raise invalid(f"Missing named input: {name} in 'inputs' object.")
        return {name: to_array(value[name], dtype) for name, dtype in dtypes.items()}
    if len(dtypes) > 1:
        raise invalid(
            "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
            "tensorinfo_map"
        )
    return {name: to_array(value, dtype) for name, dtype in dtypes.items()}


def _rows(instances: list[Any], dtypes: Dtypes) -> dict[str, np.ndarray]:
    if len(dtypes) > 1 and not isinstance(instances[0], dict):
        raise invalid(
            "instances is a plain list, but expecting list of objects as multiple input tensors "
            "required as per tensorinfo_map"
        )
    named = _is_object(instances[0])
    rows: dict[str, list[np.ndarray]] = {name: [] for name in dtypes}
    for index, instance in enumerate(instances):
        if named != _is_object(instance):
            kinds = "object but got list" if named else "value/list but got object"
            raise invalid(f"Expecting {kinds} at item {index} of input list")
        if named:
            _add_object(rows, instance, dtypes, index)
        else:
            _add(rows, next(iter(dtypes)), instance, dtypes, f"element: {index}")
    return {name: np.stack(arrays) for name, arrays in rows.items() if arrays}


def _add_object(rows: dict[str, list[np.ndarray]], instance: dict[str, Any], dtypes: Dtypes, index: int) -> None:
    for name, value in instance.items():
        _add(rows, name, value, dtypes, f"element: {index} key: {name}")
    if instance.keys() != dtypes.keys():
        raise invalid(
            f"Failed to process element: {index} of 'instances' list. JSON object: {echo(instance)} "
            f"keys must be equal to: {','.join(sorted(dtypes))}"
        )


def _add(rows: dict[str, list[np.ndarray]], name: str, value: Any, dtypes: Dtypes, place: str) -> None:
    try:
        if name not in dtypes:
            raise invalid(f"JSON object: does not have named input: {name}")
        array = to_array(value, dtypes[name])
        if rows[name]:
            _check_shape(rows[name][0], array)
    except StatusError as error:
        raise invalid(f"Failed to process {place} of 'instances' list. Error: {error}") from error
    rows[name].append(array)


def _check_shape(first: np.ndarray, array: np.ndarray) -> None:
    if first.size != array.size:
        raise invalid(f"Expecting tensor size: {first.size} but got: {array.size}")
    if first.shape != array.shape:
        expected, got = (f"[{','.join(map(str, shape))}]" for shape in (first.shape, array.shape))
        raise invalid(f"Expecting shape {expected} but got: {got}")


def _is_object(value: Any) -> bool:
    return isinstance(value, dict) and not is_base64(value)
