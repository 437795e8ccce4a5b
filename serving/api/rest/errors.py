"""Refusals of the REST API: every error text that REST alone sends, as a StatusError.

The texts are TensorFlow Serving's, letter by letter (util/json_tensor.cc and
model_servers/http_rest_api_*.cc); tests/serving/conformance compares them. Only the last section
is the embedded server's own. Refusals that REST shares with gRPC are in serving/api/handlers.py,
serving/lifecycle and serving/servable.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from serving.api.rest.json_echo import echo, json_type
from serving.request.status import Code, StatusError, invalid
from serving.wire.protos import DataType

# Paths and signatures


def unknown_path(method: str, path: str) -> StatusError:
    return StatusError(Code.NOT_FOUND, f"Not found: {method} {path}")


def malformed_request(method: str, path: str) -> StatusError:
    return invalid(f"Malformed request: {method} {path}")


def missing_origin() -> StatusError:
    return invalid("Origin header is missing in CORS preflight")


def missing_model_name() -> StatusError:
    return invalid("Missing model name in request.")


def version_not_numeric(version: str) -> StatusError:
    return invalid(f"Failed to convert version: {version} to numeric.")


def unknown_signature(name: str) -> StatusError:
    return invalid(f'Serving signature name: "{name}" not found in signature def')


def signature_without_inputs(name: str) -> StatusError:
    return invalid(f"Failed to get input map for signature: {name or 'DEFAULT'}")


# JSON text


def empty_document() -> StatusError:
    return invalid("JSON Parse error: The document is empty")


def parse_error(text: str, offset: int) -> StatusError:
    return invalid(f"JSON Parse error: {text} at offset: {offset}")


def invalid_surrogate() -> StatusError:
    return invalid("JSON Parse error: The surrogate pair in string is invalid.")


def document_not_object(document: Any) -> StatusError:
    return invalid(f"JSON Value: {echo(document)} Is not object")


def signature_name_not_string(document: Any) -> StatusError:
    return invalid(
        f"JSON Value: {echo(document)} not formatted correctly. 'signature_name' key must be a string value."
    )


# Predict


def both_formats(document: Any) -> StatusError:
    return invalid(
        f"JSON Value: {echo(document)} Not formatted correctly expecting only one of "
        "'inputs' or 'instances' keys to exist "
    )


def neither_format() -> StatusError:
    return invalid("Missing 'inputs' or 'instances' key")


def instances_not_list(document: Any) -> StatusError:
    return invalid(f"JSON Value: {echo(document)} Expecting 'instances' to be an list/array")


def instances_empty(document: Any) -> StatusError:
    return invalid(f"JSON Value: {echo(document)} No values in 'instances' array")


def missing_input(name: str) -> StatusError:
    return invalid(f"Missing named input: {name} in 'inputs' object.")


def inputs_not_object() -> StatusError:
    return invalid(
        "inputs is a plain value/list, but expecting an object as multiple input tensors required as per tensorinfo_map"
    )


def instances_not_objects() -> StatusError:
    return invalid(
        "instances is a plain list, but expecting list of objects as multiple input tensors "
        "required as per tensorinfo_map"
    )


def mixed_instances(index: int, expects_object: bool) -> StatusError:
    kinds = "object but got list" if expects_object else "value/list but got object"
    return invalid(f"Expecting {kinds} at item {index} of input list")


def wrong_keys(index: int, instance: Any, names: Iterable[str]) -> StatusError:
    return invalid(
        f"Failed to process element: {index} of 'instances' list. JSON object: {echo(instance)} "
        f"keys must be equal to: {','.join(sorted(names))}"
    )


def unknown_input(name: str) -> StatusError:
    return invalid(f"JSON object: does not have named input: {name}")


def wrong_instance(position: str, error: StatusError) -> StatusError:
    return invalid(f"Failed to process {position} of 'instances' list. Error: {error}")


def unequal_size(expected: int, actual: int) -> StatusError:
    return invalid(f"Expecting tensor size: {expected} but got: {actual}")


def unequal_shape(expected: tuple[int, ...], actual: tuple[int, ...]) -> StatusError:
    return invalid(f"Expecting shape {_shape(expected)} but got: {_shape(actual)}")


def _shape(shape: tuple[int, ...]) -> str:
    return f"[{','.join(map(str, shape))}]"


# Values


def wrong_type(value: Any, dtype: int) -> StatusError:
    return invalid(f"JSON Value: {echo(value)} Type: {json_type(value)} is not of expected type: {_dtype(dtype)}")


def unsupported_type(value: Any, dtype: int) -> StatusError:
    return StatusError(Code.UNIMPLEMENTED, f"Conversion of JSON Value: {echo(value)} to type: {_dtype(dtype)}")


def _dtype(dtype: int) -> str:
    return DataType.Name(dtype).removeprefix("DT_").lower()


def value_at_wrong_level(value: Any, level: int, expected: int) -> StatusError:
    return invalid(
        f"JSON Value: {echo(value)} found at incorrect level: {level} in the JSON DOM. Expected at level: {expected}"
    )


def list_at_wrong_level(level: int, n_levels: int) -> StatusError:
    return invalid(f"Encountered list at unexpected level: {level} expected < {n_levels}")


def list_of_wrong_size(size: int, level: int, expected: int) -> StatusError:
    return invalid(f"Encountered list at unexpected size: {size} at level: {level} expected size: {expected}")


def base64_not_object(value: Any) -> StatusError:
    return invalid(f"JSON Value: {echo(value)} not formatted correctly for base64 data")


def invalid_base64() -> StatusError:
    return invalid("Unable to base64 decode")


# Classify and regress: the stock server says "classify" for regress too


def missing_examples(document: Any) -> StatusError:
    return invalid(
        f"JSON Value: {echo(document)} When method is classify, key 'examples' is expected and was not found"
    )


def examples_not_list(document: Any) -> StatusError:
    return invalid(f"JSON Value: {echo(document)} Expecting 'examples' value to be an list/array")


def examples_empty(document: Any) -> StatusError:
    return invalid(f"JSON Value: {echo(document)} 'examples' value is an empty array")


def example_not_object(value: Any) -> StatusError:
    return invalid(f"Example must be JSON object but got JSON {json_type(value)}")


def mixed_feature(name: str, expected: str) -> StatusError:
    return invalid(f"Unexpected element type in feature: {name} expecting type: {expected}")


def uint64_feature(name: str) -> StatusError:
    return invalid(f"Feature: {name} has uint64_t element. Only int64_t is supported.")


def unsupported_feature(name: str, value: Any) -> StatusError:
    return invalid(f"Feature: {name} has element with unexpected JSON type: {json_type(value)}")


# Replies


def output_without_batch(name: str) -> StatusError:
    return invalid(f"Tensor name: {name} has no shape information ")


def unequal_batch(name: str, size: int, expected: int) -> StatusError:
    return invalid(f"Tensor name: {name} has inconsistent batch size: {size} expecting: {expected}")


def unwritable_type(name: str) -> StatusError:
    return invalid(f"Failed to write JSON value for tensor type: {name}")


# Limits of the embedded server: the stock server has none of these texts


def nested_too_deep() -> StatusError:
    return invalid("JSON Parse error: the values are nested too deep; send a flatter request")


def too_many_levels(value: Any, n_levels: int, limit: int) -> StatusError:
    return invalid(f"JSON Value: {echo(value)} is nested {n_levels} deep; a tensor has at most {limit} levels")


def feature_name_not_utf8(name: str) -> StatusError:
    return invalid(f"Feature: {echo(name)} has a name that is no UTF-8; send it in UTF-8")


def invalid_gzip(reason: str) -> StatusError:
    return invalid(f"the body is said to be gzip but can't be unpacked ({reason})")


def truncated_gzip() -> StatusError:
    return invalid("the body is said to be gzip but it ends in the middle")


def gzip_too_large(limit: int) -> StatusError:
    return StatusError(Code.RESOURCE_EXHAUSTED, f"the body unpacks to more than {limit} bytes; send it in parts")
