"""Retries of both connections: which requests are retried, how often, and after which wait.

A request is sent again while the server is UNAVAILABLE, at most MAX_ATTEMPTS times in all and never
beyond the deadline of its call. Only reading requests are retried: a configuration sent twice may
undo a change made in between. gRPC retries by itself, by its service config; REST by tenacity.

A request that session.py repeats for a new version of the model is not a retry.
"""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable

from grpc import StatusCode as Code
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, stop_any, stop_before_delay
from tenacity.wait import wait_random_exponential

from serving.client.connection import Call, CallError

MAX_ATTEMPTS = 4
FIRST_WAIT_SECONDS = 0.1
"""Upper bound of the random wait before the second attempt; it doubles with each attempt."""
MAX_WAIT_SECONDS = 1

_SERVICE_CONFIG = {
    "methodConfig": [
        {
            "name": [
                {"service": "tensorflow.serving.PredictionService"},
                {"service": "tensorflow.serving.ModelService", "method": "GetModelStatus"},
            ],
            "retryPolicy": {
                "maxAttempts": MAX_ATTEMPTS,
                "initialBackoff": f"{FIRST_WAIT_SECONDS}s",
                "maxBackoff": f"{MAX_WAIT_SECONDS}s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": [Code.UNAVAILABLE.name],
            },
        }
    ],
    # While over a tenth of the calls fail, none is retried: retries must not overload a server.
    "retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1},
}
GRPC_RETRY_OPTIONS = [
    ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
    # gRPC's default is to wait up to two minutes before it reconnects to a restarted server.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2000),
]
"""Options of a gRPC channel."""


def rest_retries(call: Call, sleep: Callable[[float], Awaitable[None]]) -> AsyncRetrying:
    """A caller that repeats a coroutine function while it raises CallError with UNAVAILABLE."""
    return AsyncRetrying(
        retry=retry_if_exception(_is_unavailable),
        wait=wait_random_exponential(multiplier=FIRST_WAIT_SECONDS, max=MAX_WAIT_SECONDS),
        stop=stop_any(stop_after_attempt(MAX_ATTEMPTS), stop_before_delay(call.end - time.monotonic())),
        sleep=sleep,
        reraise=True,
    )


def _is_unavailable(error: BaseException) -> bool:
    return isinstance(error, CallError) and error.code == Code.UNAVAILABLE
