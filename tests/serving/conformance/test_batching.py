"""A server started with batching: its refusals over both protocols, and its deadlines.

The texts of the refusals and the rules of merging are held by tests/serving/batching.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import httpx
import numpy as np
import pytest

from tests.serving import processes
from tests.serving.conformance import predict
from tests.serving.conformance.row import ANY, Grpc, Like, Rest
from tests.serving.conformance.target import Target

PARAMETERS = """
max_batch_size { value: 4 }
batch_timeout_micros { value: 30000000 }  # no test waits for it: each fills its batches
num_batch_threads { value: 1 }
max_enqueued_batches { value: 1 }
"""
pytestmark = pytest.mark.slow  # the server is a process of TensorFlow
FOUR = np.arange(4, dtype=np.float32)


@pytest.fixture(scope="module")
def served(own: None, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    file = tmp_path_factory.mktemp("batching") / "batching.config"
    file.write_text(PARAMETERS, encoding="utf-8")
    flags = ("--enable_batching", f"--batching_parameters_file={file}")
    with processes.running(*flags, base_path=folder / "toy") as running:
        yield Target(running.target, running.rest)


def number(x: np.ndarray) -> Grpc:
    """A row of the signature that gives its input back."""
    return predict.answered(predict.request("number", {"x": x}), {"x": x.tolist()}, "number", 3)


REFUSALS: dict[str, Grpc] = {
    "before the queue: a request without an input": predict.refused(
        predict.request("constant", {}), Like("Batching Run.*")
    ),
    "by the queue: more rows than a batch": predict.refused(
        predict.request("number", {"x": np.zeros(5, np.float32)}), Like("Task size 5 .*")
    ),
    "after the run: an output of another length": predict.refused(
        predict.request("uneven", {"x": FOUR}), Like("Batched output .*"), "FAILED_PRECONDITION"
    ),
}


@pytest.mark.parametrize("row", REFUSALS.values(), ids=REFUSALS.keys())
def test_a_request_that_can_not_be_batched_is_refused(channel: grpc.Channel, row: Grpc) -> None:
    row.check(channel)


def test_a_request_that_can_not_be_batched_is_refused_over_rest(http: httpx.Client) -> None:
    body = {"signature_name": "number", "instances": [1] * 5}
    Rest(path="/v1/models/toy:predict", body=body, status=400, error=Like("Task size 5 .*")).check(http)


def test_a_deadline_that_passes_ends_the_work_of_a_batch(channel: grpc.Channel) -> None:
    minutes = predict.request("slow", {"steps": np.full(4, predict.MINUTES)})
    predict.refused(minutes, ANY, "DEADLINE_EXCEEDED", seconds=0.5).check(channel)
    number(FOUR).check(channel)  # the only turn is free again


def test_a_full_queue_is_unavailable(
    channel: grpc.Channel, http: httpx.Client, eventually: Callable[[Callable[[], bool]], None]
) -> None:
    full = Like("The batch scheduling queue to which this task was submitted is full.*")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(number(FOUR[:1]).check, channel)  # one row waits in the only batch that may wait
        eventually(lambda: number(FOUR).send(channel) == ("UNAVAILABLE", full, None))
        body = {"signature_name": "number", "instances": [1] * 4}
        Rest(path="/v1/models/toy:predict", body=body, status=503, error=full).check(http)
        number(FOUR[1:]).check(channel)  # three rows fill that batch
        waiting.result()
