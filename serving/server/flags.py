"""Flags of the server, under TensorFlow Serving's names.

It imports nothing heavy, since the help of the command line reads it.
"""

from __future__ import annotations

import argparse

WITHOUT_EFFECT = {
    "enable_profiler": "no profiler is built in",
    "flush_filesystem_caches": "the operating system manages its caches",
    "num_load_threads": "each model loads in its own thread",
    "num_unload_threads": "each version unloads in its own thread",
    "xla_cpu_compilation_enabled": "a model runs as it was exported",
    "rest_api_num_threads": "all REST requests share one thread pool",
}
"""Flags of the stock server that are accepted without effect, each with its reason."""


def add(parser: argparse.ArgumentParser, model_name: str = "default", model_base_path: str | None = None) -> None:
    """Add every flag; `model_name` and `model_base_path` are defaults."""
    models = parser.add_argument_group("models")
    models.add_argument("--model_name", "--name", default=model_name, help="name in requests (%(default)s)")
    models.add_argument(
        "--model_base_path",
        "--model",
        default=model_base_path,
        help=f"folder of version folders: 1, 2 ... ({model_base_path})",
    )
    models.add_argument("--model_config_file", help="ModelServerConfig: several models, their versions and labels")
    models.add_argument("--model_config_file_poll_wait_seconds", type=float, default=0.0, help="seconds; 0: read once")
    models.add_argument("--file_system_poll_wait_seconds", type=float, default=1.0, help="seconds between polls")
    _switch(models, "allow_version_labels_for_unavailable_models", "needed to start with labels in the file")
    _switch(models, "enable_model_warmup", "replay a version's warm-up requests before it serves", default=True)
    ports = parser.add_argument_group("ports")
    ports.add_argument("--port", type=int, default=8500, help="gRPC port (%(default)s)")
    ports.add_argument(
        "--rest_api_port", "--rest-port", type=int, default=8501, help="REST port; 0 opens none (%(default)s)"
    )
    ports.add_argument(
        "--host", type=_host, default="127.0.0.1", help="0.0.0.0 serves other machines too (%(default)s)"
    )
    ports.add_argument("--ssl_config_file", help="SSLConfig, TLS for gRPC: key, certificate, authority of clients")
    answers = parser.add_argument_group("requests")
    answers.add_argument("--monitoring_config_file", help="MonitoringConfig: Prometheus metrics on the REST port")
    _switch(answers, "enable_batching", "merge concurrent requests")
    answers.add_argument("--batching_parameters_file", help="BatchingParameters; only with --enable_batching")
    answers.add_argument("--rest_api_timeout_in_ms", type=int, default=30_000, help="(%(default)s)")
    _switch(answers, "rest_api_enable_cors_support", "let scripts of any web page call REST")
    _switch(answers, "enable_grpc_healthcheck_service", "serve grpc.health.v1")
    _switch(answers, "enable_signature_method_name_check", "classify and regress only with signatures exported for it")
    answers.add_argument("--grpc_max_threads", type=int, default=0, help="concurrent requests; 0: four times the cores")
    answers.add_argument(
        "--grpc_channel_arguments",
        type=_channel_arguments,
        default=(),
        help="for example grpc.max_connection_age_ms=20000",
    )
    answers.add_argument("--log_format", choices=("text", "json"), default="text", help="format of the log on stderr")
    _switch(answers, "log_requests", "log each request, with the client's x-request-id")
    for pool in ("session", "intra_op", "inter_op"):
        answers.add_argument(f"--tensorflow_{pool}_parallelism", type=int, default=0, help="threads; 0: one per core")
    for name in WITHOUT_EFFECT:
        parser.add_argument(f"--{name}", help=argparse.SUPPRESS)


def _switch(group: argparse._ArgumentGroup, name: str, help_: str, default: bool = False) -> None:
    """Add a flag that takes no value, `=true` or `=false`, as in TensorFlow Serving."""
    group.add_argument(f"--{name}", type=_boolean, nargs="?", const=True, default=default, help=help_)


def _host(text: str) -> str:
    """An IPv6 address may stand in brackets, as clients write it."""
    return text[1:-1] if text.startswith("[") and text.endswith("]") else text


def _channel_arguments(text: str) -> tuple[tuple[str, int | str], ...]:
    """Parse name=value pairs separated by commas; a value of digits becomes an integer."""
    pairs = [pair.partition("=") for pair in text.split(",")]
    if not all(name and sign for name, sign, _ in pairs):
        raise argparse.ArgumentTypeError(f"{text!r} is not name=value,name=value")
    return tuple((name, int(value) if value.lstrip("-").isdigit() else value) for name, _, value in pairs)


def _boolean(text: str) -> bool:
    values = {"true": True, "1": True, "false": False, "0": False}
    if text.lower() not in values:
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")
    return values[text.lower()]
