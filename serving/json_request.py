"""The body of a REST predict request: JSON to named arrays.

Row format has "instances", one element an example; columnar format has "inputs", one tensor a name.
Texts and rules are those of TensorFlow Serving's json_tensor.cc.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from serving.json_values import echo, is_base64, to_array
from serving.status import StatusError, invalid

Dtypes = Mapping[str, int]
"""DataType number of each input of a signature, by alias."""

_PARSE_ERRORS = {
    "Expecting property name": "Missing a name for object member.",
    "Expecting ':'": "Missing a colon after a name of object member.",
    "Unterminated string": "Missing a closing quotation mark in string.",
    "Invalid \\escape": "Invalid escape character in string.",
    "Invalid \\uXXXX": "Incorrect hex digit after \\u escape in string.",
}
"""Python's words to RapidJSON's; the rest is "Invalid value."."""


def parse(body: bytes) -> dict[str, Any]:
    """The request object. NaN and Infinity are numbers; what follows the object is ignored."""
    if not body:
        raise invalid("JSON Parse error: The document is empty")
    text = body.decode("utf-8", "surrogateescape")
    start = len(text) - len(text.lstrip(" \t\r\n"))
    try:
        value, _ = json.JSONDecoder().raw_decode(text, start)
    except json.JSONDecodeError as error:
        words = next((words for ours, words in _PARSE_ERRORS.items() if error.msg.startswith(ours)), "Invalid value.")
        raise invalid(f"JSON Parse error: {words} at offset: {error.pos}") from error
    except (ValueError, RecursionError) as error:  # an integer of 5,000 digits, lists 1,000 deep
        raise invalid("JSON Parse error: Invalid value. at offset: 0") from error
    if not isinstance(value, dict):
        raise invalid(f"JSON Value: {echo(value)} Is not object")
    return value


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
