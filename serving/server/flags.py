"""The server's flags, under TensorFlow Serving's names; imports nothing heavy, for the command line's help has them."""

from __future__ import annotations

import argparse

WITHOUT_EFFECT = {
    "enable_profiler": "no profiler is built in",
    "flush_filesystem_caches": "the system decides what it keeps",
    "num_load_threads": "each model loads in a thread of its own",
    "num_unload_threads": "each version unloads in a thread of its own",
    "xla_cpu_compilation_enabled": "what a model was exported with is run",
    "rest_api_num_threads": "REST shares one pool of threads",
}
"""Flags of the stock server that are taken and change nothing here, each with its reason."""


def add(parser: argparse.ArgumentParser, model_name: str = "default", model_base_path: str | None = None) -> None:
    """Adds every flag; `model_name` and `model_base_path` are the defaults of what is served."""
    models = parser.add_argument_group("what is served")
    models.add_argument("--model_name", "--name", default=model_name, help="what clients call it (%(default)s)")
    models.add_argument(
        "--model_base_path", "--model", default=model_base_path, help="folder of versions: 1, 2 ... (%(default)s)"
    )
    models.add_argument("--model_config_file", help="several models, their versions and labels: a ModelServerConfig")
    models.add_argument("--model_config_file_poll_wait_seconds", type=float, default=0.0, help="0: read once")
    models.add_argument("--file_system_poll_wait_seconds", type=float, default=1.0, help="between looks for versions")
    _switch(models, "allow_version_labels_for_unavailable_models", "needed where the file has labels at the start")
    _switch(models, "enable_model_warmup", "replay the requests exported with a version before it serves", default=True)
    ports = parser.add_argument_group("where")
    ports.add_argument("--port", type=int, default=8500, help="of gRPC (%(default)s)")
    ports.add_argument(
        "--rest_api_port", "--rest-port", type=int, default=8501, help="of REST; 0 opens none (%(default)s)"
    )
    ports.add_argument("--host", default="127.0.0.1", help="0.0.0.0 answers other machines too (%(default)s)")
    ports.add_argument("--ssl_config_file", help="TLS for gRPC: an SSLConfig with key, certificate and who may ask")
    answers = parser.add_argument_group("how")
    answers.add_argument("--monitoring_config_file", help="metrics for Prometheus on REST's port: a MonitoringConfig")
    _switch(answers, "enable_batching", "merge concurrent requests")
    answers.add_argument("--batching_parameters_file", help="how: a BatchingParameters; only with --enable_batching")
    answers.add_argument("--rest_api_timeout_in_ms", type=int, default=30_000)
    _switch(answers, "rest_api_enable_cors_support", "let scripts of any web page ask")
    _switch(answers, "enable_grpc_healthcheck_service", "answer grpc.health.v1")
    _switch(answers, "enable_signature_method_name_check", "classify and regress only by signatures exported for it")
    answers.add_argument("--grpc_max_threads", type=int, default=0, help="requests at once; 0: four times the cores")
    answers.add_argument(
        "--grpc_channel_arguments", type=_channel_arguments, default=(), help="such as grpc.max_connection_age_ms=20000"
    )
    answers.add_argument("--log_format", choices=("text", "json"), default="text", help="of what stderr is told")
    _switch(answers, "log_requests", "a line for each request, with the id that its client gave as x-request-id")
    for pool in ("session", "intra_op", "inter_op"):
        answers.add_argument(f"--tensorflow_{pool}_parallelism", type=int, default=0, help="threads; 0: one a core")
    for name in WITHOUT_EFFECT:
        parser.add_argument(f"--{name}", help=argparse.SUPPRESS)


def _switch(group: argparse._ArgumentGroup, name: str, help_: str, default: bool = False) -> None:
    """A flag that may stand alone, or with `=true` or `=false` as TensorFlow Serving's."""
    group.add_argument(f"--{name}", type=_truth, nargs="?", const=True, default=default, help=help_)


def _channel_arguments(text: str) -> tuple[tuple[str, int | str], ...]:
    """name=value, several with commas between; a value that is a number is one."""
    pairs = [pair.partition("=") for pair in text.split(",")]
    if not all(name and sign for name, sign, _ in pairs):
        raise argparse.ArgumentTypeError(f"{text!r} is not name=value,name=value")
    return tuple((name, int(value) if value.lstrip("-").isdigit() else value) for name, _, value in pairs)


def _truth(text: str) -> bool:
    values = {"true": True, "1": True, "false": False, "0": False}
    if text.lower() not in values:
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")
    return values[text.lower()]
