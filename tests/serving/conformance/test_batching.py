"""A server that merges requests: what it refuses, over both protocols, and whose rows come back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

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
batch_timeout_micros { value: 2000000 }  # a request waits so long for others, unless it fills the batch
num_batch_threads { value: 1 }
max_enqueued_batches { value: 1 }
"""
FOUR = np.arange(4, dtype=np.float32)
STEPS = 3 * 10**6  # some seconds


@pytest.fixture(scope="module")
def served(own: None, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    file = tmp_path_factory.mktemp("batching") / "batching.config"
    file.write_text(PARAMETERS, encoding="utf-8")
    flags = ("--enable_batching", f"--batching_parameters_file={file}")
    with processes.running(*flags, base_path=folder / "toy") as running:
        yield Target(running.target, running.rest)


def number(x: Any) -> Any:
    return predict.request("number", {"x": x})


REFUSALS: dict[str, Grpc] = {
    "more rows than a batch": predict.refused(
        number(np.zeros(5, np.float32)), "Task size 5 is larger than maximum input batch size 4"
    ),
    "an input without dimensions": predict.refused(
        number(np.float32(1)), "Batching Run() input tensors must have at least one dimension"
    ),
    "inputs of unequal length": predict.refused(
        predict.request(inputs={"x": FOUR, "y": FOUR[:3]}),
        "Batching Run() input tensors must have equal 0th-dimension size",
    ),
    "no input": predict.refused(predict.request("constant", {}), "Batching Run() must have at least one input tensor"),
    "an output without dimensions": predict.refused(
        predict.request("total", {"x": FOUR}), "Batched output tensor has 0 dimensions", "FAILED_PRECONDITION"
    ),
    "an output that has another length": predict.refused(
        predict.request("uneven", {"x": FOUR}),
        "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes of the input tensors",
        "FAILED_PRECONDITION",
    ),
}


@pytest.mark.parametrize("row", REFUSALS.values(), ids=REFUSALS.keys())
def test_what_can_not_be_batched_is_refused(channel: grpc.Channel, row: Grpc) -> None:
    row.ask(channel)


def test_more_rows_than_a_batch_are_refused_over_rest(http: httpx.Client) -> None:
    body = {"signature_name": "number", "instances": [1] * 5}
    text = "Task size 5 is larger than maximum input batch size 4"
    Rest(path="/v1/models/toy:predict", body=body, status=400, error=text).ask(http)


def together(channel: grpc.Channel, *rows: Grpc) -> list[Any]:
    """What comes back to each, asked at the same time."""
    with ThreadPoolExecutor(len(rows)) as pool:
        return list(pool.map(lambda row: row.asked(channel), rows))


def test_requests_that_share_a_batch_get_their_own_rows(channel: grpc.Channel) -> None:
    began = time.monotonic()
    rows = [predict.answered(number(np.array([each, -each], np.float32)), {}, "number") for each in (1, 2)]
    assert together(channel, *rows) == [
        ("OK", "", ("toy:number:3", {"x": [1.0, -1.0]})),
        ("OK", "", ("toy:number:3", {"x": [2.0, -2.0]})),
    ]
    assert time.monotonic() - began < 2  # the second one filled the batch


def test_rows_of_different_shapes_in_a_batch_are_refused_together(channel: grpc.Channel) -> None:
    rows = [predict.refused(number(np.zeros([2, width], np.float32)), "") for width in (1, 3)]
    text = Like(
        r"Tensors with name 'number_x:0' from different tasks have different shapes and padding is turned off\. "
        r"Set pad_variable_length_inputs to true, .*"
    )
    assert together(channel, *rows) == [("FAILED_PRECONDITION", text, None)] * 2


def test_a_deadline_that_passes_ends_the_work_of_a_batch(channel: grpc.Channel) -> None:
    minutes = predict.request("slow", {"steps": np.full(4, predict.MINUTES)})
    predict.refused(minutes, ANY, "DEADLINE_EXCEEDED", seconds=0.5).ask(channel)
    # The only thread of batches is free again.
    predict.answered(number(FOUR), {"x": [0.0, 1.0, 2.0, 3.0]}, "number", 3).ask(channel)


def test_a_full_queue_is_unavailable(channel: grpc.Channel, http: httpx.Client) -> None:
    request = predict.request("slow", {"steps": np.full(4, STEPS)})
    slow = predict.answered(request, {"last": [STEPS] * 4}, "slow", 3)
    full = Like("The batch scheduling queue to which this task was submitted is full.*")
    with ThreadPoolExecutor() as pool:
        running = pool.submit(slow.ask, channel)
        time.sleep(0.5)
        waiting = pool.submit(slow.ask, channel)
        time.sleep(0.5)
        predict.refused(request, full, "UNAVAILABLE").ask(channel)
        body = {"signature_name": "slow", "instances": [1] * 4}
        Rest(path="/v1/models/toy:predict", body=body, status=503, error=full).ask(http)
        running.result()
        waiting.result()
