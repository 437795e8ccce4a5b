"""`run` serves until a signal; so does `python -m serving.server`.

TensorFlow Serving's gRPC and REST in one Python process, for one machine: who outgrows it moves to
TensorFlow Serving itself (Dockerfile.serving) and changes no client.
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
from serving.wire import config_protos
from serving.wire.protos import ModelServerConfig
from tfrec.errors import ConfigError, TfrecError

__all__ = ["Server", "main", "run", "start"]

_SLICE_SECONDS = 0.2  # a signal is noticed within it

log = logging.getLogger(__name__)


def run(given: argparse.Namespace) -> None:
    """Serves what the flags say until SIGTERM or SIGINT, then answers what is in flight; raises as `start`."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    request_log.configure(given.log_format == "json", given.log_requests)
    config, options = config_of(given), options_of(given)
    _warn(given)
    try:
        server = start(config, options, timeout_seconds=None, stopping=stopping)
    except Stopped:
        return
    with server, _polled(given, server):
        _tell(f"Running gRPC ModelServer at {options.host}:{server.port} ...")
        if server.rest_api_port is not None:
            _tell(f"Exporting HTTP/REST API at:{options.host}:{server.rest_api_port} ...")
        while not stopping.wait(_SLICE_SECONDS):
            pass
        _tell("Stopping: answering the requests in flight ...")


def config_of(given: argparse.Namespace) -> ModelServerConfig:
    """The models that the flags name; ConfigError or ServingError where they name none."""
    if given.model_config_file:
        return config_protos.read("--model_config_file", given.model_config_file, ModelServerConfig)
    if not given.model_base_path:
        raise ConfigError(
            "--model_base_path and --model_config_file are both missing; name a folder of versions or a file of models"
        )
    return model_config.single(given.model_name, given.model_base_path)


def options_of(given: argparse.Namespace) -> Options:
    """How the flags want them served."""
    intra, inter = (
        getattr(given, f"tensorflow_{pool}_parallelism") or given.tensorflow_session_parallelism
        for pool in ("intra_op", "inter_op")
    )
    batching = read_batch_options(given.enable_batching, given.batching_parameters_file)
    return Options(
        host=given.host,
        port=given.port,
        rest_api_port=given.rest_api_port or None,
        rest_api_timeout_seconds=given.rest_api_timeout_in_ms / 1000,
        metrics_path=read_metrics_path(given.monitoring_config_file),
        rest_api_cors=given.rest_api_enable_cors_support,
        credentials=tls.credentials(given.ssl_config_file) if given.ssl_config_file else None,
        grpc_threads=given.grpc_max_threads,
        grpc_arguments=given.grpc_channel_arguments,
        has_health=given.enable_grpc_healthcheck_service,
        lifecycle=LifecycleOptions(
            poll_seconds=given.file_system_poll_wait_seconds,
            threads=Threads(intra, inter),
            labels_may_wait=given.allow_version_labels_for_unavailable_models,
            warms_up=given.enable_model_warmup,
            scheduler=BatchScheduler(batching, given.grpc_max_threads or DEFAULT_THREADS) if batching else None,
            checks_method_names=given.enable_signature_method_name_check,
        ),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; the exit status."""
    parser = argparse.ArgumentParser("python -m serving.server", description=__doc__)
    flags.add(parser)
    try:
        run(parser.parse_args(arguments))
    except TfrecError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _tell(line: str) -> None:
    """Says it on stdout, if anybody reads that still; a server outlives who started it."""
    try:
        print(line, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains again at its end


def _polled(given: argparse.Namespace, server: Server) -> contextlib.AbstractContextManager[object]:
    """Reads the file of models again and again, where the flags say so."""
    if not (given.model_config_file and given.model_config_file_poll_wait_seconds):
        return contextlib.nullcontext()
    return ConfigPoll(server.models, given.model_config_file, given.model_config_file_poll_wait_seconds)


def _warn(given: argparse.Namespace) -> None:
    """Says loudly what a careful person would want to know before others find out."""
    for name, reason in flags.WITHOUT_EFFECT.items():
        if getattr(given, name) is not None:
            log.warning("--%s changes nothing in the embedded server: %s", name, reason)
    is_public = given.host not in ("127.0.0.1", "::1", "localhost")
    if is_public and not given.ssl_config_file:
        log.warning(
            "gRPC IS OPEN on %s without TLS: whoever reaches this machine can read and change what is served; "
            "give --ssl_config_file, or leave --host out",
            given.host,
        )
    if is_public and given.rest_api_port:
        log.warning(
            "REST IS OPEN on %s without TLS, which it never has, as in the stock server: put a proxy before it, "
            "or give --rest_api_port=0",
            given.host,
        )
