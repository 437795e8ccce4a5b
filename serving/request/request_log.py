"""Log of requests, one line each, where it is on: id, model, API, status code and time."""

from __future__ import annotations

import logging
import time
import uuid

from pythonjsonlogger.json import JsonFormatter

from serving.request.status import StatusError, code_name

HEADER = "x-request-id"
"""gRPC metadata or HTTP header of a client's id for its request; without it, an id is made."""
MAX_CHARACTERS = 256
"""Largest length, in a line, of a text that a client wrote."""
TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"

log = logging.getLogger("serving.requests")


def configure(as_json: bool, log_requests: bool) -> None:
    """Send the log to stderr, as JSON or text, with or without a line for each request."""
    handler = logging.StreamHandler()
    if as_json:
        fields = {"asctime": "time", "levelname": "level", "name": "logger"}
        handler.setFormatter(JsonFormatter("%(asctime)s %(levelname)s %(name)s %(message)s", rename_fields=fields))
    else:
        handler.setFormatter(logging.Formatter(TEXT))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("serving").setLevel(logging.INFO)  # other libraries, such as TensorFlow, log each load
    log.setLevel(logging.INFO if log_requests else logging.WARNING)


class log_request:
    """Context manager: log a request when it ends; costs nothing where the log is off."""

    __slots__ = ("_request", "_started")

    def __init__(self, model: str, api: str, entrypoint: str, request_id: str | bytes | None) -> None:
        self._request = (model, api, entrypoint, request_id)

    def __enter__(self) -> None:
        self._started = time.perf_counter()

    def __exit__(self, _type: object, error: BaseException | None, _traceback: object) -> None:
        if not log.isEnabledFor(logging.INFO):
            return
        model, api, entrypoint, request_id = self._request
        fields = {
            "request_id": str(request_id)[:MAX_CHARACTERS] if request_id else uuid.uuid4().hex,
            "model": model[:MAX_CHARACTERS],
            "api": api,
            "entrypoint": entrypoint,
            "code": code_name(error),
            "milliseconds": round(1000 * (time.perf_counter() - self._started), 3),
        }
        if isinstance(error, StatusError):
            fields["error"] = error.message[:MAX_CHARACTERS]
        log.info(" ".join(f"{name}={value!r}" for name, value in fields.items()), extra=fields)
