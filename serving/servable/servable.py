"""One loaded version of a SavedModel, run as TensorFlow Serving runs it: a session on tensor names.

The TF1 session is the C++ path of the stock server: the same error texts, the same (missing) shape
checks, tables and assets initialized, and several times less overhead a call than a TF2 signature
function.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_text  # noqa: F401  registers the text ops that a served model may hold
from tensorflow.python.client import pywrap_tf_session
from tensorflow.python.util import deprecation

from serving.batching.scheduler import BatchScheduler
from serving.batching.session import BatchingSession
from serving.request.deadline import NO_DEADLINE, Deadline
from serving.request.monitoring import RUNTIME_LATENCY, microseconds_since
from serving.request.status import Code, StatusError, from_tensorflow
from serving.servable.method_names import check_predict
from serving.servable.signature import Value, resolve
from serving.wire.protos import RunOptions, SignatureDef

DEFAULT_SIGNATURE = "serving_default"
_INIT_SIGNATURE = "__saved_model_init_op"


@dataclasses.dataclass(frozen=True)
class Threads:
    """Sizes of TensorFlow's thread pools; 0 is one thread a core.

    TensorFlow shares the `intra_op` pool: only the process's first session sets its size.
    """

    intra_op: int = 0
    inter_op: int = 0


DEFAULT_THREADS = Threads()


class Servable:
    """A SavedModel in its own graph and session; any thread may call `predict` and `infer`."""

    def __init__(
        self,
        path: str | Path,
        threads: Threads = DEFAULT_THREADS,
        model_name: str = "",
        *,
        scheduler: BatchScheduler | None = None,
        checks_method_names: bool = False,
    ) -> None:
        """Load the version in `path`; StatusError unless it is a whole SavedModel with tag `serve`.

        Metrics count it under `model_name`. A scheduler merges concurrent calls; the last deadline
        among them cancels them. With `checks_method_names` a signature answers only the calls that
        it was exported for (method_names.py).
        """
        self.checks_method_names = checks_method_names
        self._model_name = model_name
        self._batching = BatchingSession(self._run_session, scheduler, _tensor_name) if scheduler else None
        config = tf.compat.v1.ConfigProto(
            intra_op_parallelism_threads=threads.intra_op,
            inter_op_parallelism_threads=threads.inter_op,
        )
        graph = tf.Graph()
        self._session = tf.compat.v1.Session(graph=graph, config=config)
        try:
            with graph.as_default(), deprecation.silence():  # the TF1 path is intended, see above
                meta_graph = tf.compat.v1.saved_model.load(self._session, ["serve"], str(path))
            self._session._extend_graph()  # hands the whole graph to the C++ session before the first request
            self.signature_defs: dict[str, SignatureDef] = dict(meta_graph.signature_def)
            self._signatures = {
                name: resolve(signature, graph)
                for name, signature in self.signature_defs.items()
                if name != _INIT_SIGNATURE
            }
        except Exception as error:
            self.close()
            raise _load_error(error) from error

    def predict(
        self,
        signature_name: str,
        inputs: Mapping[str, Value],
        output_filter: Iterable[str] = (),
        *,
        deadline: Deadline = NO_DEADLINE,
        api: str = "Predict",
    ) -> dict[str, np.ndarray]:
        """Run a signature; return its outputs by alias.

        They are those of `output_filter`, in its order, or all where it is empty. Raises
        StatusError with TensorFlow Serving's codes and texts. The deadline cancels the work.
        Metrics count the call under `api`.
        """
        signature = self._signatures.get(signature_name or DEFAULT_SIGNATURE)
        if signature is None:
            name = signature_name or DEFAULT_SIGNATURE
            raise StatusError(Code.FAILED_PRECONDITION, f'Serving signature key "{name}" not found.')
        if self.checks_method_names and api == "Predict":
            check_predict(self.signature_defs[signature_name or DEFAULT_SIGNATURE])
        feeds, aliases = signature.feeds(inputs), signature.aliases(output_filter)
        values = self._run(api, feeds, [signature.outputs[alias] for alias in aliases], deadline)
        return dict(zip(aliases, values, strict=True))

    def infer(
        self, aliases: Mapping[str, Sequence[str]], inputs: Mapping[str, Value], deadline: Deadline = NO_DEADLINE
    ) -> dict[str, dict[str, np.ndarray]]:
        """Run several signatures at once; return the outputs `aliases`, by signature and alias.

        The signatures exist and have the same input tensors. Raises StatusError as `predict` does.
        """
        signatures = {name: self._signatures[name] for name in aliases}
        feeds = next(iter(signatures.values())).feeds(inputs) if signatures else {}
        fetches = [signatures[name].outputs[alias] for name, names in aliases.items() for alias in names]
        values = iter(self._run("MultiInference", feeds, fetches, deadline))
        return {name: {alias: next(values) for alias in names} for name, names in aliases.items()}

    def cancel(self) -> None:
        """End the calls in flight, and all later ones, with CANCELLED."""
        self._session.close()

    def close(self) -> None:
        """Free the session and its variables; no call may be in flight."""
        self._session.close()
        del self._session, self._batching  # the last references: only without them the memory is freed

    def _run(self, api: str, feeds: dict[Any, np.ndarray], fetches: list[Any], deadline: Deadline) -> list[Any]:
        started = time.perf_counter()
        if self._batching:
            deadline.check()
            values = self._batching.run(feeds, fetches, deadline)
        else:
            values = self._run_session(feeds, fetches, deadline)
        RUNTIME_LATENCY.add((self._model_name, api, "TF1"), microseconds_since(started))
        return values

    def _run_session(
        self, feeds: Mapping[Any, np.ndarray], fetches: Sequence[Any], deadline: Deadline = NO_DEADLINE
    ) -> list[np.ndarray]:
        with _run_options(deadline.remaining_milliseconds()) as options:
            try:
                return pywrap_tf_session.TF_SessionRun_wrapper(
                    self._session._session, options, feeds, fetches, [], None
                )
            except tf.errors.OpError as error:
                raise from_tensorflow(error) from error


def _tensor_name(output: Any) -> str:
    """Return a tensor's name in the graph, such as "serving_default_x:0"."""
    return f"{pywrap_tf_session.TF_OperationName(output.oper)}:{output.index}"


@contextlib.contextmanager
def _run_options(timeout_milliseconds: int) -> Iterator[Any]:
    """Yield the C++ session's RunOptions; None, its defaults, without a timeout."""
    if not timeout_milliseconds:
        yield None
        return
    options = RunOptions(timeout_in_ms=timeout_milliseconds).SerializeToString()
    buffer = pywrap_tf_session.TF_NewBufferFromString(options)
    try:
        yield buffer
    finally:
        pywrap_tf_session.TF_DeleteBuffer(buffer)


def _load_error(error: Exception) -> StatusError:
    if isinstance(error, tf.errors.OpError):
        return from_tensorflow(error)
    return StatusError(Code.NOT_FOUND if isinstance(error, OSError) else Code.UNKNOWN, str(error))
