"""Load of a version and replay of the requests exported with it, so that its first request is fast.

The file is `assets.extra/tf_serving_warmup_requests`: a TFRecord of PredictionLogs. A request that
fails makes the version fail, as in TensorFlow Serving: it is the last test of an export.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.python.util import deprecation

from serving.lifecycle.options import DEFAULT_LIFECYCLE, LifecycleOptions
from serving.request.monitoring import LOAD_ATTEMPT_COUNT, LOAD_LATENCY, MODEL_WARMUP_LATENCY, microseconds_since
from serving.request.status import Code, StatusError, from_tensorflow, invalid
from serving.servable import inference
from serving.servable.servable import Servable
from serving.wire.protos import PredictionLog

WARMUP_FILE = Path("assets.extra/tf_serving_warmup_requests")
MAX_RECORDS = 1000

log = logging.getLogger(__name__)


def load(version_path: Path, model_name: str, options: LifecycleOptions = DEFAULT_LIFECYCLE) -> Servable:
    """Load a version folder and warm it up, if that is on; StatusError when either fails."""
    servable = _load_servable(version_path, model_name, options)
    try:
        if options.warms_up:
            warm_up(servable, version_path)
    except Exception as error:
        servable.close()
        if isinstance(error, StatusError):
            raise
        raise StatusError(Code.UNKNOWN, str(error)) from error
    return servable


def _load_servable(version_path: Path, model_name: str, options: LifecycleOptions) -> Servable:
    path, started = str(version_path), time.perf_counter()
    try:
        servable = Servable(
            version_path,
            options.threads,
            model_name,
            scheduler=options.scheduler,
            checks_method_names=options.checks_method_names,
        )
    except StatusError:
        LOAD_ATTEMPT_COUNT.add((path, "fail"))
        raise
    LOAD_ATTEMPT_COUNT.add((path, "success"))
    LOAD_LATENCY.add((path,), microseconds_since(started))
    return servable


def warm_up(servable: Servable, version_path: Path) -> int:
    """Run every exported request; return their number. StatusError for one that fails."""
    path = version_path / WARMUP_FILE
    if not path.is_file():
        log.info("No warmup data file found at %s", path)
        return 0
    count, started = 0, time.perf_counter()
    for count, record in enumerate(_read_records(path), start=1):
        if count > MAX_RECORDS:
            raise invalid(f"Number of warmup records exceeds the maximum ({MAX_RECORDS}) at {path}")
        _replay(servable, _parse(record, path))
    MODEL_WARMUP_LATENCY.add((str(version_path), "OK"), microseconds_since(started))
    log.info("Finished reading warmup data for model at %s. Number of warmup records read: %d", path, count)
    return count


def _read_records(path: Path) -> Iterator[bytes]:
    with deprecation.silence():  # tf.data would open a second, eager runtime beside the sessions
        records = tf.compat.v1.io.tf_record_iterator(str(path))
    try:
        yield from records
    except tf.errors.DataLossError as error:
        text = f"{error.message}. Please verify your warmup data is in TFRecord format."
        raise StatusError(Code.DATA_LOSS, text) from error
    except tf.errors.OpError as error:
        raise from_tensorflow(error) from error


def _parse(record: bytes, path: Path) -> PredictionLog:
    try:
        return PredictionLog.FromString(record)
    except DecodeError as error:
        raise invalid(f"Failed to parse warmup record: {record[:256]!r} from {path}") from error


def _replay(servable: Servable, prediction_log: PredictionLog) -> None:
    kind = prediction_log.WhichOneof("log_type")
    if kind == "predict_log":
        request = prediction_log.predict_log.request
        servable.predict(request.model_spec.signature_name, request.inputs, request.output_filter)
    elif kind == "classify_log":
        inference.classify(servable, prediction_log.classify_log.request)
    elif kind == "regress_log":
        inference.regress(servable, prediction_log.regress_log.request)
    elif kind == "multi_inference_log":
        inference.multi_inference(servable, prediction_log.multi_inference_log.request)
    else:
        number = PredictionLog.DESCRIPTOR.fields_by_name[kind].number if kind else 0
        raise StatusError(Code.UNIMPLEMENTED, f"Unsupported log_type for warmup: {number}")
