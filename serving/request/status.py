"""Status of a request: TensorFlow Serving's canonical codes and texts, over gRPC and REST alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grpc import StatusCode as Code

if TYPE_CHECKING:
    import tensorflow as tf

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
"""HTTP status by code; the others (UNKNOWN, INTERNAL, DATA_LOSS) are 500."""

_CODES = {code.value[0]: code for code in Code}


class StatusError(Exception):
    """Refusal of a request or a version; its text is part of the contract with clients."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"{self.code.name}: {self.message}"


def code_name(error: BaseException | None) -> str:
    """Return the name of the code of a request's error; None is success."""
    if error is None:
        return Code.OK.name
    return error.code.name if isinstance(error, StatusError) else Code.UNKNOWN.name


def invalid(message: str) -> StatusError:
    """Make the most common refusal: INVALID_ARGUMENT."""
    return StatusError(Code.INVALID_ARGUMENT, message)


def from_tensorflow(error: tf.errors.OpError) -> StatusError:
    """Convert an error of TensorFlow's runtime, code for code."""
    return StatusError(_CODES.get(error.error_code, Code.UNKNOWN), error.message)


def not_found(model: str, version: int | None) -> StatusError:
    """Make the refusal of a model or version (None: the latest) that is not in service."""
    servable = f"Latest({model})" if version is None else f"Specific({model}, {version})"
    return StatusError(Code.NOT_FOUND, f"Servable not found for request: {servable}")
