"""A refusal as TensorFlow Serving words it: a canonical code and a text, the same over gRPC and REST."""

from __future__ import annotations

import tensorflow as tf
from grpc import StatusCode as Code

HTTP_STATUS = {
    Code.OK: 200,
    Code.CANCELLED: 499,
    Code.INVALID_ARGUMENT: 400,
    Code.FAILED_PRECONDITION: 400,
    Code.OUT_OF_RANGE: 400,
    Code.UNAUTHENTICATED: 401,
    Code.PERMISSION_DENIED: 403,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.ABORTED: 409,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.UNIMPLEMENTED: 501,
    Code.UNAVAILABLE: 503,
    Code.DEADLINE_EXCEEDED: 504,
}
"""The rest (UNKNOWN, INTERNAL, DATA_LOSS) is 500."""

_CODES = {code.value[0]: code for code in Code}


class StatusError(Exception):
    """A request or a version that is refused; its text is a part of the contract that clients see."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"{self.code.name}: {self.message}"


def code_name(error: BaseException | None) -> str:
    """The name of the code that a request ends with; None is its success."""
    if error is None:
        return Code.OK.name
    return error.code.name if isinstance(error, StatusError) else Code.UNKNOWN.name


def invalid(message: str) -> StatusError:
    """The commonest refusal: INVALID_ARGUMENT."""
    return StatusError(Code.INVALID_ARGUMENT, message)


def from_tensorflow(error: tf.errors.OpError) -> StatusError:
    """What TensorFlow's runtime raised, code for code."""
    return StatusError(_CODES.get(error.error_code, Code.UNKNOWN), error.message)


def not_found(model: str, version: int | None) -> StatusError:
    """The refusal of a request for a model or version that is not in service (None: its latest)."""
    wanted = f"Latest({model})" if version is None else f"Specific({model}, {version})"
    return StatusError(Code.NOT_FOUND, f"Servable not found for request: {wanted}")
