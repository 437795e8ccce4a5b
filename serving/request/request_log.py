"""One line a request, where it is asked for: who asked what, under which id, and what came of it."""

from __future__ import annotations

import logging
import time
import uuid

from pythonjsonlogger.json import JsonFormatter

from serving.request.status import StatusError, code_name

HEADER = "x-request-id"
"""gRPC metadata, or HTTP header, of the id that a client gives a request; without one it gets one here."""
MAX_CHARACTERS = 256
"""Of what a client wrote, in a line."""
TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"

log = logging.getLogger("serving.requests")


def configure(as_json: bool, of_requests: bool) -> None:
    """Where the log goes, stderr, and in which form; with a line for each request or not."""
    handler = logging.StreamHandler()
    if as_json:
        fields = {"asctime": "time", "levelname": "level", "name": "logger"}
        handler.setFormatter(JsonFormatter("%(asctime)s %(levelname)s %(name)s %(message)s", rename_fields=fields))
    else:
        handler.setFormatter(logging.Formatter(TEXT))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("serving").setLevel(logging.INFO)  # others, TensorFlow among them, tell of each load
    log.setLevel(logging.INFO if of_requests else logging.WARNING)


class log_request:
    """`with` it a request is told of when it ends, by the code that it ends with; free where none is told."""

    __slots__ = ("_about", "_started")

    def __init__(self, model: str, api: str, entrypoint: str, request_id: str | bytes | None) -> None:
        self._about = (model, api, entrypoint, request_id)

    def __enter__(self) -> None:
        self._started = time.perf_counter()

    def __exit__(self, _type: object, error: BaseException | None, _traceback: object) -> None:
        if not log.isEnabledFor(logging.INFO):
            return
        model, api, entrypoint, given = self._about
        fields = {
            "request_id": str(given)[:MAX_CHARACTERS] if given else uuid.uuid4().hex,
            "model": model[:MAX_CHARACTERS],
            "api": api,
            "entrypoint": entrypoint,
            "code": code_name(error),
            "milliseconds": round(1000 * (time.perf_counter() - self._started), 3),
        }
        if isinstance(error, StatusError):
            fields["error"] = error.message[:MAX_CHARACTERS]
        log.info(" ".join(f"{name}={value!r}" for name, value in fields.items()), extra=fields)
