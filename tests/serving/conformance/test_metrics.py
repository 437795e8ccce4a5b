"""The metrics page for Prometheus: the stock names, labels and buckets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import pytest

from tests.serving import processes
from tests.serving.conformance import export, predict, target
from tests.serving.conformance.row import Grpc

pytestmark = pytest.mark.slow  # the server is a process of TensorFlow

PAGE = "/monitoring/prometheus/metrics"
COUNT = ":tensorflow:serving:request_count"
LATENCY = ":tensorflow:serving:request_latency"


@pytest.fixture(scope="module")
def served(folder: Path) -> Iterator[target.Target]:
    """The named server, which needs export.MONITORING_FLAG, or one of ours with that flag."""
    named = target.named()
    if named:
        yield named
        return
    with processes.running(export.MONITORING_FLAG.format(folder), base_path=folder / "toy") as running:
        yield target.Target(running.target, running.rest)


def values(http: httpx.Client) -> dict[str, float]:
    """Name and labels, as written, of each line to its value; without comments."""
    page = http.get(PAGE)
    assert (page.status_code, page.headers["content-type"]) == (200, "text/plain")
    lines = (line.rpartition(" ") for line in page.text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}


def grown(http: httpx.Client, before: dict[str, float], name: str) -> float:
    return values(http)[name] - before.get(name, 0)


def test_requests_are_counted_by_model_and_code(http: httpx.Client, channel: grpc.Channel) -> None:
    before = values(http)
    for _ in range(2):
        Grpc(method="Predict", request=predict.request()).send(channel)
    predict.REFUSALS["unknown signature"].check(channel)
    predict.REFUSALS["unknown version"].check(channel)
    assert grown(http, before, f'{COUNT}{{model_name="toy",status="OK"}}') == 2
    assert grown(http, before, f'{COUNT}{{model_name="toy",status="FAILED_PRECONDITION"}}') == 1
    assert grown(http, before, f'{COUNT}{{model_name="toy",status="NOT_FOUND"}}') == 1


@pytest.mark.parametrize(("api", "entrypoint"), [("Predict", "GRPC"), ("predict", "REST")])
def test_successful_requests_are_timed_by_protocol(
    http: httpx.Client, channel: grpc.Channel, api: str, entrypoint: str
) -> None:
    before = values(http)
    if entrypoint == "GRPC":
        Grpc(method="Predict", request=predict.request()).send(channel)
        predict.REFUSALS["unknown signature"].check(channel)
    else:
        body = {"inputs": {"x": [1], "y": [10]}}
        assert http.post("/v1/models/toy:predict", json=body).status_code == 200
        assert http.post("/v1/models/toy:predict", json={}).status_code == 400
    labels = f'model_name="toy",API="{api}",entrypoint="{entrypoint}"'
    assert grown(http, before, f"{LATENCY}_count{{{labels}}}") == 1
    assert grown(http, before, f'{LATENCY}_bucket{{{labels},le="+Inf"}}') == 1
    assert grown(http, before, f"{LATENCY}_sum{{{labels}}}") > 20  # microseconds


def test_latencies_have_the_stock_buckets(http: httpx.Client, channel: grpc.Channel) -> None:
    Grpc(method="Predict", request=predict.request()).send(channel)
    series = f'{LATENCY}_bucket{{model_name="toy",API="Predict",entrypoint="GRPC",le="'
    bounds = [name.removeprefix(series).removesuffix('"}') for name in values(http) if name.startswith(series)]
    # Each is 1.8 times the one before it.
    assert (len(bounds), bounds[:4], bounds[-1]) == (34, ["10", "18", "32.4", "58.32"], "+Inf")
