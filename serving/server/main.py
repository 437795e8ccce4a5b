"""Serve models over TensorFlow Serving's gRPC and REST from one Python process until a signal.

It is for one machine. For more load use TensorFlow Serving itself (Dockerfile.serving); clients
stay as they are.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence

from serving.api.grpc_service import DEFAULT_THREADS
from serving.api.options import Options
from serving.batching.options import read_batch_options
from serving.batching.scheduler import BatchScheduler
from serving.lifecycle import model_config
from serving.lifecycle.options import LifecycleOptions
from serving.request import request_log
from serving.request.monitoring import read_metrics_path
from serving.servable.servable import Threads
from serving.server import flags, tls
from serving.server.config_poll import ConfigPoll
from serving.server.embedded import Server, Stopped, start
from serving.server.http_server import address
from serving.wire import config_protos
from serving.wire.protos import ModelServerConfig
from tfrec.errors import ConfigError, TfrecError

__all__ = ["Server", "main", "run", "start"]

_SLICE_SECONDS = 0.2  # delay until a signal is noticed

log = logging.getLogger(__name__)


def run(arguments: argparse.Namespace) -> None:
    """Serve until SIGTERM or SIGINT, then finish the requests in flight; raises like `start`."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    request_log.configure(arguments.log_format == "json", arguments.log_requests)
    config, options = config_of(arguments), options_of(arguments)
    warn_about_flags(arguments)
    try:
        server = start(config, options, timeout_seconds=None, stopping=stopping)
    except Stopped:
        return
    with server, _config_poll(arguments, server):
        _print(f"Running gRPC ModelServer at {address(options.host, server.port)} ...")
        if server.rest_api_port is not None:
            _print(f"Exporting HTTP/REST API at:{address(options.host, server.rest_api_port)} ...")
        while not stopping.wait(_SLICE_SECONDS):
            pass
        _print("Stopping: answering the requests in flight ...")


def config_of(arguments: argparse.Namespace) -> ModelServerConfig:
    """The models that the flags name; ConfigError or ServingError when they name none."""
    if arguments.model_config_file:
        return config_protos.read("--model_config_file", arguments.model_config_file, ModelServerConfig)
    if not arguments.model_base_path:
        raise ConfigError(
            "--model_base_path and --model_config_file are both missing; name a folder of versions or a file of models"
        )
    return model_config.single(arguments.model_name, arguments.model_base_path)


def options_of(arguments: argparse.Namespace) -> Options:
    """The server options that the flags set."""
    intra, inter = (
        getattr(arguments, f"tensorflow_{pool}_parallelism") or arguments.tensorflow_session_parallelism
        for pool in ("intra_op", "inter_op")
    )
    batching = read_batch_options(arguments.enable_batching, arguments.batching_parameters_file)
    return Options(
        host=arguments.host,
        port=arguments.port,
        rest_api_port=arguments.rest_api_port or None,
        rest_api_timeout_seconds=arguments.rest_api_timeout_in_ms / 1000,
        metrics_path=read_metrics_path(arguments.monitoring_config_file),
        rest_api_cors=arguments.rest_api_enable_cors_support,
        credentials=tls.credentials(arguments.ssl_config_file) if arguments.ssl_config_file else None,
        grpc_threads=arguments.grpc_max_threads,
        grpc_arguments=arguments.grpc_channel_arguments,
        has_health=arguments.enable_grpc_healthcheck_service,
        lifecycle=LifecycleOptions(
            poll_seconds=arguments.file_system_poll_wait_seconds,
            threads=Threads(intra, inter),
            labels_may_wait=arguments.allow_version_labels_for_unavailable_models,
            warms_up=arguments.enable_model_warmup,
            scheduler=BatchScheduler(batching, arguments.grpc_max_threads or DEFAULT_THREADS) if batching else None,
            checks_method_names=arguments.enable_signature_method_name_check,
        ),
    )


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    words = sys.argv[1:] if words is None else words
    parser = argparse.ArgumentParser("python -m serving.server", description=__doc__)
    flags.add(parser)
    try:
        arguments = parser.parse_args(words)
        _check_utf8(words)
        run(arguments)
    except TfrecError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _check_utf8(words: Sequence[str]) -> None:
    """Raise ConfigError for a word of other bytes, which no message can hold."""
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError:
            raise ConfigError(f"an argument is {os.fsencode(word)!r} but must be UTF-8; rename it") from None


def _print(line: str) -> None:
    """Print a line; a closed stdout is no error, since a server may outlive its parent process."""
    try:
        print(line, flush=True)
    except BrokenPipeError:
        os.dup2(
            os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
        )  # otherwise Python reports the error again on exit


def _config_poll(arguments: argparse.Namespace, server: Server) -> contextlib.AbstractContextManager[object]:
    """The poll of --model_config_file, or a null context when the flags set none."""
    if not (arguments.model_config_file and arguments.model_config_file_poll_wait_seconds):
        return contextlib.nullcontext()
    return ConfigPoll(server.models, arguments.model_config_file, arguments.model_config_file_poll_wait_seconds)


def warn_about_flags(arguments: argparse.Namespace) -> None:
    """Log flags without effect and ports that are open to other machines without TLS."""
    for name, reason in flags.WITHOUT_EFFECT.items():
        if getattr(arguments, name) is not None:
            log.warning("--%s changes nothing in the embedded server: %s", name, reason)
    is_public = arguments.host not in ("127.0.0.1", "::1", "localhost")
    if is_public and not arguments.ssl_config_file:
        log.warning(
            "gRPC IS OPEN on %s without TLS: anyone who reaches this machine can call and reload the models; "
            "give --ssl_config_file, or leave --host out",
            arguments.host,
        )
    if is_public and arguments.rest_api_port:
        log.warning(
            "REST IS OPEN on %s without TLS, which REST never has, as in the stock server: put a proxy in front "
            "of it, or give --rest_api_port=0",
            arguments.host,
        )
