"""Metrics of the process under TensorFlow Serving's names, labels and buckets; in microseconds.

As in the stock server, every model, version and server of the process counts here.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from serving.request.metrics import Registry, exponential_limits
from serving.request.status import code_name
from serving.wire.config_protos import MonitoringConfig, read

DEFAULT_PATH = "/monitoring/prometheus/metrics"

_REGISTRY = Registry()
_LATENCY = exponential_limits(10, 1.8, 33)  # to some 20 minutes
_SIZES = exponential_limits(1, 2, 14)

REQUEST_COUNT = _REGISTRY.counter("/tensorflow/serving/request_count", "model_name", "status")
REQUEST_LATENCY = _REGISTRY.sampler(
    "/tensorflow/serving/request_latency", "model_name", "API", "entrypoint", limits=_LATENCY
)
RUNTIME_LATENCY = _REGISTRY.sampler(
    "/tensorflow/serving/runtime_latency", "model_name", "API", "runtime", limits=_LATENCY
)
REQUEST_EXAMPLE_COUNTS = _REGISTRY.sampler(
    "/tensorflow/serving/request_example_counts", "model", limits=exponential_limits(1, 2, 15)
)
REQUEST_EXAMPLE_COUNT_TOTAL = _REGISTRY.counter("/tensorflow/serving/request_example_count_total", "model")
REQUEST_LOG_COUNT = _REGISTRY.counter("/tensorflow/serving/request_log_count", "model_name", "status_code")
MODEL_WARMUP_LATENCY = _REGISTRY.sampler(
    "/tensorflow/serving/model_warmup_latency", "model_path", "status", limits=_LATENCY
)
LOAD_ATTEMPT_COUNT = _REGISTRY.counter("/tensorflow/cc/saved_model/load_attempt_count", "model_path", "status")
LOAD_LATENCY = _REGISTRY.counter("/tensorflow/cc/saved_model/load_latency", "model_path")
QUEUING_LATENCY = _REGISTRY.sampler(
    "/tensorflow/serving/batching_session/queuing_latency", "thread_pool_name", limits=exponential_limits(100, 1.2, 52)
)
PADDING_SIZE = _REGISTRY.sampler(
    "/tensorflow/serving/batching_session/padding_size", "execution_batch_size", limits=_SIZES
)
INPUT_BATCH_SIZE = _REGISTRY.sampler("/tensorflow/serving/batching_session/input_batch_size", limits=_SIZES)
PROCESSED_BATCH_SIZE = _REGISTRY.sampler("/tensorflow/serving/batching_session/processed_batch_size", limits=_SIZES)
WRAPPED_RUN_COUNT = _REGISTRY.counter("/tensorflow/serving/batching_session/wrapped_run_count")


def render_page() -> str:
    """Return all metrics as text for Prometheus."""
    return _REGISTRY.render_page()


def first_values(names: Iterable[str]) -> dict[str, int]:
    """Return `Registry.first_value` of each metric, by TensorFlow's name."""
    return {name: _REGISTRY.first_value(name) for name in names}


def read_metrics_path(monitoring_config_file: str | None) -> str | None:
    """Read the path of the metrics from a MonitoringConfig file; None where metrics are off.

    Raises ServingError for a file that can't be read.
    """
    if not monitoring_config_file:
        return None
    prometheus = read("monitoring_config_file", monitoring_config_file, MonitoringConfig).prometheus_config
    return (prometheus.path or DEFAULT_PATH) if prometheus.enable else None


def microseconds_since(started: float) -> int:
    """Return the microseconds since `started`, a value of time.perf_counter()."""
    return int((time.perf_counter() - started) * 1e6)


class count_request:
    """Context manager: count a request by its status code and, where that is OK, by its latency."""

    __slots__ = ("_labels", "_started")

    def __init__(self, model_name: str, api: str, entrypoint: str) -> None:
        self._labels = (model_name, api, entrypoint)

    def __enter__(self) -> None:
        self._started = time.perf_counter()

    def __exit__(self, _type: object, error: BaseException | None, _traceback: object) -> None:
        if error is None:
            REQUEST_LATENCY.add(self._labels, microseconds_since(self._started))
        REQUEST_COUNT.add((self._labels[0], code_name(error)))
