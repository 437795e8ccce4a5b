"""Load generator for a gRPC server, in one process: closed loop or open loop.

A closed loop keeps a number of requests in flight; an open loop sends requests at a fixed rate.
Requests are serialized beforehand and responses are parsed only by a check, so the client costs
little. Latency in the open loop counts from the time at which the request was due.
"""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import itertools
import time
from collections.abc import Callable, Sequence

import grpc
import numpy as np

PREDICT = "/tensorflow.serving.PredictionService/Predict"
_OPTIONS = [("grpc.max_receive_message_length", -1)]

Check = Callable[[bytes], str]
"""Returns what is wrong with a response, or ""."""


@dataclasses.dataclass
class LoadResult:
    """Latencies and errors of a load."""

    seconds: float
    latencies: list[float]  # seconds, of requests with a response
    errors: collections.Counter[str]

    @property
    def throughput(self) -> float:
        """Responses per second."""
        return len(self.latencies) / self.seconds

    def percentile(self, percent: float) -> float:
        """Latency in milliseconds."""
        return 1000 * float(np.percentile(self.latencies, percent)) if self.latencies else float("nan")

    def summarize(self) -> dict[str, float | dict[str, int]]:
        """Return the figures as JSON values."""
        milliseconds = {f"p{percent:g}_ms": round(self.percentile(percent), 3) for percent in (50, 90, 99, 99.9)}
        return {
            "requests": len(self.latencies),
            "per_second": round(self.throughput, 1),
            **milliseconds,
            "errors": dict(self.errors),
        }


def run_closed_loop(
    target: str, requests: Sequence[bytes], in_flight: int, seconds: float, check: Check = lambda _: ""
) -> LoadResult:
    """Keep `in_flight` requests in flight for some seconds."""
    return asyncio.run(_run_closed_loop(target, requests, in_flight, seconds, check))


def run_open_loop(target: str, requests: Sequence[bytes], per_second: float, seconds: float) -> LoadResult:
    """Send a request every 1 / `per_second` seconds, even if earlier ones have no response yet."""
    return asyncio.run(_run_open_loop(target, requests, per_second, seconds))


async def _run_closed_loop(
    target: str, requests: Sequence[bytes], in_flight: int, seconds: float, check: Check
) -> LoadResult:
    result, turn = LoadResult(0.0, [], collections.Counter()), itertools.cycle(requests)
    async with grpc.aio.insecure_channel(target, options=_OPTIONS) as channel:
        call = channel.unary_unary(PREDICT)
        started = time.perf_counter()

        async def send_in_turn() -> None:
            while time.perf_counter() - started < seconds:
                await _send(call, next(turn), time.perf_counter(), result, check)

        await asyncio.gather(*(send_in_turn() for _ in range(in_flight)))
        result.seconds = time.perf_counter() - started
    return result


async def _run_open_loop(target: str, requests: Sequence[bytes], per_second: float, seconds: float) -> LoadResult:
    result, turn = LoadResult(0.0, [], collections.Counter()), itertools.cycle(requests)
    async with grpc.aio.insecure_channel(target, options=_OPTIONS) as channel:
        call = channel.unary_unary(PREDICT)
        started = time.perf_counter()
        tasks = set()
        for number in range(int(per_second * seconds)):
            due = started + number / per_second
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            tasks.add(asyncio.create_task(_send(call, next(turn), due, result, lambda _: "")))
        await asyncio.gather(*tasks)
        result.seconds = time.perf_counter() - started
    return result


async def _send(
    call: grpc.aio.UnaryUnaryMultiCallable, request: bytes, started: float, result: LoadResult, check: Check
) -> None:
    """Send a request and record its latency, counted from `started`, or its error."""
    try:
        response = await call(request, timeout=60)
    except grpc.aio.AioRpcError as error:
        result.errors[f"{error.code().name}: {error.details()}"] += 1
        return
    result.latencies.append(time.perf_counter() - started)
    if problem := check(response):
        result.errors[f"wrong answer: {problem}"] += 1
