"""TensorFlow Serving's REST API as an ASGI app: predict, classify, regress, status, metadata."""

from __future__ import annotations

import json
import logging
import re
from typing import Any
from urllib.parse import unquote

from google.protobuf.json_format import MessageToDict
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from serving.api import handlers
from serving.api.options import Options
from serving.api.rest import errors, json_examples, json_request, json_text
from serving.api.rest.gzip_body import unzipped
from serving.api.rest.json_response import reply
from serving.api.rest.request_target import in_origin_form
from serving.lifecycle.models import Models
from serving.request import monitoring
from serving.request.deadline import NO_DEADLINE, Deadline
from serving.request.monitoring import count_request
from serving.request.request_log import HEADER, log_request
from serving.request.status import HTTP_STATUS, Code, StatusError
from serving.servable.servable import DEFAULT_SIGNATURE
from serving.wire.protos import (
    ClassificationRequest,
    GetModelMetadataRequest,
    GetModelStatusRequest,
    ModelSpec,
    RegressionRequest,
    SignatureDefMap,
)

_MODEL, _VERSION = r"/v1/models/([^/:]+)", r"(?:/versions/(\d+)|/labels/([^/:]+))?"
_POST = re.compile(rf"{_MODEL}{_VERSION}:(classify|regress|predict)", re.IGNORECASE | re.ASCII)
_GET = re.compile(rf"/v1/models(?:/([^/:]+))?{_VERSION}(/metadata)?", re.IGNORECASE | re.ASCII)
_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]

_CORS_HEADERS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "POST, GET",
    "Access-Control-Allow-Headers": "Content-Type",
}

log = logging.getLogger(__name__)


def application(models: Models, options: Options) -> Starlette:
    """The ASGI application that serves `models` with the timeout, metrics and CORS of `options`."""
    headers = _CORS_HEADERS if options.rest_api_cors else {}

    async def answer(request: Request) -> Response:
        if options.metrics_path and _path(request) == options.metrics_path:
            return Response(await run_in_threadpool(monitoring.render_page), headers={"content-type": "text/plain"})
        try:
            body = await request.body()
        except ClientDisconnect:
            return Response(status_code=HTTP_STATUS[Code.CANCELLED])  # the client has gone
        deadline = Deadline(options.rest_api_timeout_seconds)
        status, content = await run_in_threadpool(_answer, models, request, body, deadline)
        return Response(content, status, headers, media_type="application/json")

    # One route: Starlette's routes are case-sensitive and cannot match ":predict".
    return Starlette(
        routes=[Route("/{path:path}", answer, methods=_METHODS)],
        middleware=[Middleware(in_origin_form)],
        exception_handlers={HTTPException: _refuse},
    )


async def _refuse(request: Request, error: Any) -> Response:
    """JSON for an HTTPException of Starlette: another method, or a target that is no path."""
    text = f"{error.detail.capitalize()}: {request.method} {_path(request)}"
    return Response(_error(text), error.status_code, error.headers, media_type="application/json")


def _path(request: Request) -> str:
    """The path as sent, with its query: still encoded, since "%2F" in a name is not a slash."""
    path = request.scope["raw_path"].decode("latin-1").partition("?")[0]
    return f"{path}?{request.url.query}" if request.url.query else path


def _answer(models: Models, request: Request, body: bytes, deadline: Deadline) -> tuple[int, bytes]:
    method, path = request.method, _path(request)
    try:
        if not path.lower().startswith("/v1/"):
            raise errors.unknown_path(method, path)
        if method == "OPTIONS":
            return 200, _preflight(request)
        if "gzip" in request.headers.get("content-encoding", "").lower():
            body = unzipped(body)
        labels = (*_labels(method, path), "REST")
        with log_request(*labels, request.headers.get(HEADER)), count_request(*labels):
            return 200, _dispatch(models, method, path, body, deadline)
    except StatusError as error:
        return HTTP_STATUS.get(error.code, 500), _error(error.message)
    except Exception as error:
        log.exception("%s %s failed", method, path)
        return 500, _error(str(error))


def _preflight(request: Request) -> bytes:
    """The empty body of a CORS preflight; the response headers alone carry the permission."""
    if not request.headers.get("origin", "").startswith(("http://", "https://")):
        raise errors.missing_origin()
    return b""


def _labels(method: str, path: str) -> tuple[str, str]:
    """Model and API that a request is counted under.

    A status request has no API, a malformed request has neither.
    """
    if method == "POST" and (match := _POST.fullmatch(path)):
        return unquote(match[1]), match[4].lower()
    match = _GET.fullmatch(path) if method == "GET" else None
    return (unquote(match[1] or "") if match else ""), ""


def _dispatch(models: Models, method: str, path: str, body: bytes, deadline: Deadline) -> bytes:
    if method == "POST" and (match := _POST.fullmatch(path)):
        return _VERBS[match[4].lower()](models, _spec(match), body, deadline)
    if method == "GET" and (match := _GET.fullmatch(path)):
        return _metadata(models, _spec(match)) if match[4] else _status(models, _spec(match))
    raise errors.malformed_request(method, path)


def _spec(match: re.Match[str]) -> ModelSpec:
    name, version, label = match[1], match[2], match[3]
    spec = ModelSpec()
    if version:
        digits = version.lstrip("0") or "0"
        if len(digits) > 19 or int(digits) >= 2**63:  # Python converts at most 4,300 digits
            raise errors.version_not_numeric(version)
        spec.version.value = int(digits)
    if not name:
        raise errors.missing_model_name()
    spec.name = unquote(name)
    if label:
        spec.version_label = unquote(label)
    return spec


def _predict(models: Models, spec: ModelSpec, body: bytes, deadline: Deadline) -> bytes:
    request = json_text.parse(body)
    requested = json_request.signature_name(request)
    name = requested or DEFAULT_SIGNATURE
    with models.use(spec) as (_, servable):
        if name not in servable.signature_defs:
            raise errors.unknown_signature(name)
        signature = servable.signature_defs[name]
        dtypes = {alias: info.dtype for alias, info in sorted(signature.inputs.items())}
        if not dtypes:
            raise errors.signature_without_inputs(requested)
        outputs = servable.predict(name, json_request.inputs(request, dtypes), deadline=deadline)
    return reply(outputs, by_row="instances" in request)


def _classify(models: Models, spec: ModelSpec, body: bytes, deadline: Deadline) -> bytes:
    request = json_examples.to_request(ClassificationRequest, spec, body)
    return json_examples.classification_reply(handlers.classify(models, request, deadline).result)


def _regress(models: Models, spec: ModelSpec, body: bytes, deadline: Deadline) -> bytes:
    request = json_examples.to_request(RegressionRequest, spec, body)
    return json_examples.regression_reply(handlers.regress(models, request, deadline).result)


_VERBS = {"predict": _predict, "classify": _classify, "regress": _regress}


def _status(models: Models, spec: ModelSpec) -> bytes:
    response = handlers.get_model_status(models, GetModelStatusRequest(model_spec=spec), NO_DEADLINE)
    return _json(_as_dict(response))


def _metadata(models: Models, spec: ModelSpec) -> bytes:
    request = GetModelMetadataRequest(model_spec=spec, metadata_field=["signature_def"])
    response = handlers.get_model_metadata(models, request, NO_DEADLINE)
    signatures = SignatureDefMap()
    response.metadata["signature_def"].Unpack(signatures)
    metadata = {"signature_def": _as_dict(signatures)}
    return _json({"model_spec": _as_dict(response.model_spec), "metadata": metadata})


def _as_dict(message: Any) -> dict[str, Any]:
    return MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)


def _error(message: str) -> bytes:
    return _json({"error": message})


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
