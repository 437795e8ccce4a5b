"""TensorFlow Serving's gRPC services; gRPC answers UNIMPLEMENTED to all other methods."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from serving.api import handlers
from serving.api.options import Options
from serving.lifecycle.models import Models
from serving.request.deadline import Deadline
from serving.request.monitoring import count_request
from serving.request.request_log import HEADER, log_request
from serving.request.status import StatusError
from serving.wire.protos import (
    ClassificationRequest,
    GetModelMetadataRequest,
    GetModelStatusRequest,
    MultiInferenceRequest,
    PredictRequest,
    RegressionRequest,
    ReloadConfigRequest,
)
from tfrec.errors import ServingError

MAX_RECEIVE_BYTES = 2**31 - 1
"""Limit of a request; replies have none. A client's own limit is 4 MB; our client raises it."""
MAX_ERROR_CHARACTERS = 1024
UNREADABLE = "Exception deserializing request!"
"""gRPC's own text for bytes that are not a message."""
DEFAULT_THREADS = 4 * (os.cpu_count() or 1)
HEALTH_NAMES = ("", "ModelService", "PredictionService")
"""Names that the stock server registers; they are not the services' full names."""

_COUNTED = ("Predict", "Classify", "Regress")
"""Calls that the stock server's metrics count."""

_Handler = Callable[[Models, Any, Deadline], Any]
_SERVICES: Mapping[str, Mapping[str, tuple[_Handler, Any]]] = {
    "tensorflow.serving.PredictionService": {
        "Predict": (handlers.predict, PredictRequest),
        "Classify": (handlers.classify, ClassificationRequest),
        "Regress": (handlers.regress, RegressionRequest),
        "MultiInference": (handlers.multi_inference, MultiInferenceRequest),
        "GetModelMetadata": (handlers.get_model_metadata, GetModelMetadataRequest),
    },
    "tensorflow.serving.ModelService": {
        "GetModelStatus": (handlers.get_model_status, GetModelStatusRequest),
        "HandleReloadConfigRequest": (handlers.reload_config, ReloadConfigRequest),
    },
}


class GrpcServer:
    """A gRPC server; `start` opens the port."""

    def __init__(self, models: Models, address: str, options: Options) -> None:
        """Bind `address`, "host:port"; ServingError when it is taken."""
        self._server = grpc.server(
            ThreadPoolExecutor(options.grpc_threads or DEFAULT_THREADS, "grpc"),
            options=[
                *options.grpc_arguments,
                ("grpc.max_receive_message_length", MAX_RECEIVE_BYTES),
                ("grpc.max_send_message_length", -1),
                ("grpc.so_reuseport", 0),  # otherwise a second server could share the port unnoticed
            ],
        )
        for service, methods in _SERVICES.items():
            rpcs = {
                name: _rpc(models, name, _counted(name, handler), request_type)
                for name, (handler, request_type) in methods.items()
            }
            self._server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, rpcs)])
        self._health = health.HealthServicer() if options.has_health else None
        if self._health:
            health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        try:
            if options.credentials:
                self._server.add_secure_port(address, options.credentials)
            else:
                self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise ServingError(
                f"gRPC address {address} can't be listened on; stop what listens there or choose another port"
            ) from error

    def start(self) -> None:
        """Open the port and serve."""
        self._server.start()
        if self._health:
            for name in HEALTH_NAMES:
                self._health.set(name, health_pb2.HealthCheckResponse.SERVING)

    def stop(self, grace_seconds: float) -> None:
        """Refuse new requests; finish those in flight within `grace_seconds`, then cancel them."""
        if self._health:
            self._health.enter_graceful_shutdown()
        self._server.stop(grace_seconds).wait()


def _counted(method: str, handler: _Handler) -> _Handler:
    if method not in _COUNTED:
        return handler

    def counted(models: Models, request: Any, deadline: Deadline) -> Any:
        with count_request(request.model_spec.name, method, "GRPC"):
            return handler(models, request, deadline)

    return counted


def _rpc(models: Models, method: str, handler: _Handler, request_type: Any) -> grpc.RpcMethodHandler:
    def read(data: bytes) -> Any:
        try:
            return request_type.FromString(data)
        except DecodeError as error:  # `call` refuses it: gRPC leaks 16 kB for each refusal made here
            return error

    def call(request: Any, context: grpc.ServicerContext) -> Any:
        if isinstance(request, DecodeError):
            context.abort(grpc.StatusCode.INTERNAL, UNREADABLE)
        try:
            with log_request(_model(request), method, "GRPC", _request_id(context)):
                return handler(models, request, Deadline(context.time_remaining(), context.is_active))
        except StatusError as error:
            context.abort(error.code, _truncated(error.message))

    return grpc.unary_unary_rpc_method_handler(
        call,
        request_deserializer=read,
        response_serializer=lambda response: response.SerializeToString(),
    )


def _model(request: Any) -> str:
    """Name of the requested model; that of the first of several tasks, "" for a reload."""
    first = request.tasks[0] if getattr(request, "tasks", None) else request
    return str(first.model_spec.name) if hasattr(first, "model_spec") else ""


def _request_id(context: grpc.ServicerContext) -> str | bytes | None:
    return next((value for key, value in context.invocation_metadata() if key == HEADER), None)


def _truncated(message: str) -> str:
    return message if len(message) <= MAX_ERROR_CHARACTERS else message[:MAX_ERROR_CHARACTERS] + "...TRUNCATED"
