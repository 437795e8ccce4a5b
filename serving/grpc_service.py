"""TensorFlow Serving's gRPC services, as far as they are built; gRPC answers UNIMPLEMENTED to the rest."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from serving import handlers
from serving.handlers import Models
from serving.protos import GetModelMetadataRequest, GetModelStatusRequest, PredictRequest
from serving.status import StatusError
from tfrec.errors import ServingError

MAX_RECEIVE_BYTES = 2**31 - 1
"""Of a request; gRPC bounds no reply. Clients keep gRPC's 4 MB unless they raise it, as ours does."""
MAX_ERROR_CHARACTERS = 1024

_SERVICES = {
    "tensorflow.serving.PredictionService": {
        "Predict": (handlers.predict, PredictRequest),
        "GetModelMetadata": (handlers.get_model_metadata, GetModelMetadataRequest),
    },
    "tensorflow.serving.ModelService": {
        "GetModelStatus": (handlers.get_model_status, GetModelStatusRequest),
    },
}


def build(models: Models, address: str) -> grpc.Server:
    """A gRPC server that listens on `address` ("host:port") and answers once started.

    Raises ServingError when the address is taken.
    """
    server = grpc.server(
        ThreadPoolExecutor(4 * (os.cpu_count() or 1), "grpc"),
        options=[
            ("grpc.max_receive_message_length", MAX_RECEIVE_BYTES),
            ("grpc.max_send_message_length", -1),
            ("grpc.so_reuseport", 0),  # else a second server would share the port in silence
        ],
    )
    for service, methods in _SERVICES.items():
        rpcs = {name: _rpc(models, answer, request) for name, (answer, request) in methods.items()}
        server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, rpcs)])
    try:
        server.add_insecure_port(address)
    except RuntimeError as error:
        raise ServingError(
            f"gRPC address {address} can't be listened on; stop what listens there or choose another port"
        ) from error
    return server


def _rpc(models: Models, answer: Callable[[Models, Any], Any], request_type: Any) -> grpc.RpcMethodHandler:
    def call(request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return answer(models, request)
        except StatusError as error:
            context.abort(error.code, _cut(error.message))

    return grpc.unary_unary_rpc_method_handler(
        call,
        request_deserializer=request_type.FromString,
        response_serializer=lambda response: response.SerializeToString(),
    )


def _cut(message: str) -> str:
    return message if len(message) <= MAX_ERROR_CHARACTERS else message[:MAX_ERROR_CHARACTERS] + "...TRUNCATED"
