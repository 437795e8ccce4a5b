"""Load on a gRPC server from one process: closed loop (so many in flight) and open loop (so many a second).

Requests are bytes made beforehand and answers stay bytes unless they are checked, so that the client costs little. A
latency in the open loop counts from when the request was due, not from when it was sent.
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
"""What is wrong with an answer; "" when nothing is."""


@dataclasses.dataclass
class Outcome:
    """What came of a load."""

    seconds: float
    latencies: list[float]  # seconds, of the requests that were answered
    errors: collections.Counter[str]

    @property
    def throughput(self) -> float:
        """Answers a second."""
        return len(self.latencies) / self.seconds

    def percentile(self, percent: float) -> float:
        """Milliseconds."""
        return 1000 * float(np.percentile(self.latencies, percent)) if self.latencies else float("nan")

    def summary(self) -> dict[str, float | dict[str, int]]:
        """As JSON holds it."""
        milliseconds = {f"p{percent:g}_ms": round(self.percentile(percent), 3) for percent in (50, 90, 99, 99.9)}
        return {
            "requests": len(self.latencies),
            "per_second": round(self.throughput, 1),
            **milliseconds,
            "errors": dict(self.errors),
        }


def closed(
    target: str, requests: Sequence[bytes], in_flight: int, seconds: float, check: Check = lambda _: ""
) -> Outcome:
    """Keeps `in_flight` requests under way for so many seconds."""
    return asyncio.run(_closed(target, requests, in_flight, seconds, check))


def opened(target: str, requests: Sequence[bytes], per_second: float, seconds: float) -> Outcome:
    """Sends a request every 1 / `per_second` seconds, whatever has become of those before."""
    return asyncio.run(_opened(target, requests, per_second, seconds))


async def _closed(target: str, requests: Sequence[bytes], in_flight: int, seconds: float, check: Check) -> Outcome:
    outcome, turn = Outcome(0.0, [], collections.Counter()), itertools.cycle(requests)
    async with grpc.aio.insecure_channel(target, options=_OPTIONS) as channel:
        call = channel.unary_unary(PREDICT)
        began = time.perf_counter()

        async def ask() -> None:
            while time.perf_counter() - began < seconds:
                await _one(call, next(turn), time.perf_counter(), outcome, check)

        await asyncio.gather(*(ask() for _ in range(in_flight)))
        outcome.seconds = time.perf_counter() - began
    return outcome


async def _opened(target: str, requests: Sequence[bytes], per_second: float, seconds: float) -> Outcome:
    outcome, turn = Outcome(0.0, [], collections.Counter()), itertools.cycle(requests)
    async with grpc.aio.insecure_channel(target, options=_OPTIONS) as channel:
        call = channel.unary_unary(PREDICT)
        began = time.perf_counter()
        asked = set()
        for number in range(int(per_second * seconds)):
            due = began + number / per_second
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            asked.add(asyncio.create_task(_one(call, next(turn), due, outcome, lambda _: "")))
        await asyncio.gather(*asked)
        outcome.seconds = time.perf_counter() - began
    return outcome


async def _one(
    call: grpc.aio.UnaryUnaryMultiCallable, request: bytes, began: float, outcome: Outcome, check: Check
) -> None:
    try:
        answer = await call(request, timeout=60)
    except grpc.aio.AioRpcError as error:
        outcome.errors[f"{error.code().name}: {error.details()}"] += 1
        return
    outcome.latencies.append(time.perf_counter() - began)
    if wrong := check(answer):
        outcome.errors[f"wrong answer: {wrong}"] += 1
