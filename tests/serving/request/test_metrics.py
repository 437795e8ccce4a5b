"""Counters, histograms, and their page: TensorFlow Serving's format, read by Prometheus' parser."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from prometheus_client.parser import text_string_to_metric_families

from serving.request.metrics import (
    MAX_LABEL_CHARACTERS,
    MAX_SERIES,
    OTHERS,
    Counter,
    Registry,
    Sampler,
    exponential_limits,
)


def test_the_page_has_the_format_of_the_stock_exporter() -> None:
    registry = Registry()
    requests = registry.counter("/tensorflow/serving/request_count", "model_name", "status")
    latency = registry.sampler("/a/latency", "model_name", "API", limits=exponential_limits(10, 1.8, 2))
    registry.counter("/never/counted", "model")
    requests.add(("toy", "OK"))
    requests.add(("toy", "NOT_FOUND"), 2)
    latency.add(("toy", "Predict"), 9.5)
    latency.add(("toy", "Predict"), 1_234_567.5)
    # Limits 10 and 10 * 1.8; 9.5 + 1234567.5 = 1234577 in six digits.
    assert registry.render_page() == (
        "# TYPE :a:latency histogram\n"
        ':a:latency_bucket{model_name="toy",API="Predict",le="10"} 1\n'
        ':a:latency_bucket{model_name="toy",API="Predict",le="18"} 1\n'
        ':a:latency_bucket{model_name="toy",API="Predict",le="+Inf"} 2\n'
        ':a:latency_sum{model_name="toy",API="Predict"} 1.23458e+06\n'
        ':a:latency_count{model_name="toy",API="Predict"} 2\n'
        "# TYPE :never:counted counter\n"
        "# TYPE :tensorflow:serving:request_count counter\n"
        ':tensorflow:serving:request_count{model_name="toy",status="NOT_FOUND"} 2\n'
        ':tensorflow:serving:request_count{model_name="toy",status="OK"} 1\n'
    )


def test_a_metric_without_labels_has_empty_braces() -> None:
    runs, sizes = Counter("/runs"), Sampler("/sizes", limits=[1])
    runs.add(())
    sizes.add((), 0)
    assert list(runs.lines())[1:] == [":runs{} 1"]
    assert list(sizes.lines())[1:] == [
        ':sizes_bucket{le="1"} 1',
        ':sizes_bucket{le="+Inf"} 1',
        ":sizes_sum{} 0",
        ":sizes_count{} 1",
    ]


@pytest.mark.parametrize(("value", "counts"), [(0.9, [1, 1, 1]), (1, [0, 1, 1]), (2, [0, 0, 1])])
def test_a_value_on_a_limit_falls_into_the_next_bucket(value: float, counts: list[int]) -> None:
    """As in TensorFlow's histogram; Prometheus' own counts it below the limit."""
    sizes = Sampler("/sizes", limits=exponential_limits(1, 2, 2))
    sizes.add((), value)
    assert [int(line.split()[-1]) for line in sizes.lines() if "_bucket" in line] == counts


def test_the_limits_of_latencies_end_after_about_twenty_minutes() -> None:
    limits = exponential_limits(10, 1.8, 33)
    assert len(limits) == 33
    assert [f"{limit:.6g}" for limit in limits[:4]] == ["10", "18", "32.4", "58.32"]
    assert f"{limits[19]:.6g}" == "708235"  # the stock server's page shows this one
    assert 20 * 60e6 < limits[-1] < 25 * 60e6


def test_a_value_may_count_several_times() -> None:
    sizes = Sampler("/sizes", limits=[10])
    sizes.add((), 4, times=3)
    assert list(sizes.lines())[1:] == [
        ':sizes_bucket{le="10"} 3',
        ':sizes_bucket{le="+Inf"} 3',
        ":sizes_sum{} 12",
        ":sizes_count{} 3",
    ]


def test_the_parser_of_prometheus_returns_every_label() -> None:
    registry = Registry()
    name = 'a "quoted" \\ name\n:forged{} 1'
    registry.counter("/count", "model_name").add((name,))
    (family,) = text_string_to_metric_families(registry.render_page())
    assert [(sample.labels, sample.value) for sample in family.samples] == [({"model_name": name}, 1)]


def test_names_beyond_the_limit_share_one_series_and_no_count_is_lost() -> None:
    count, sizes = Counter("/count", "model_name", "status"), Sampler("/sizes", "model_name", limits=[1])
    for number in range(MAX_SERIES + 50):
        count.add((f"model {number}", "NOT_FOUND"))
        sizes.add((f"model {number}",), 0)
    count.add(("model 0", "NOT_FOUND"))
    lines = list(count.lines())
    assert f':count{{model_name="{OTHERS}",status="NOT_FOUND"}} 50' in lines
    assert ':count{model_name="model 0",status="NOT_FOUND"} 2' in lines
    assert f':sizes_count{{model_name="{OTHERS}"}} 50' in list(sizes.lines())


def test_a_name_longer_than_a_path_counts_as_others() -> None:
    count = Counter("/count", "model_name", "status")
    for length in (MAX_LABEL_CHARACTERS, MAX_LABEL_CHARACTERS + 1):
        count.add(("x" * length, "NOT_FOUND"))
    assert [line.partition(",")[0] for line in list(count.lines())[1:]] == [
        f':count{{model_name="{OTHERS}"',
        f':count{{model_name="{"x" * MAX_LABEL_CHARACTERS}"',
    ]


class SlowOne(int):
    """A one whose addition lets other threads run."""

    def __radd__(self, other: float) -> float:
        time.sleep(0.001)
        return other + 1

    def __mul__(self, times: int) -> SlowOne:
        return self


def test_threads_lose_no_count() -> None:
    count, sizes = Counter("/count", "thread"), Sampler("/sizes", limits=[0])
    with ThreadPoolExecutor(8) as pool:
        for _ in range(40):
            pool.submit(count.add, ("same",), SlowOne(1))
            pool.submit(sizes.add, (), SlowOne(1))
    assert list(count.lines())[1] == ':count{thread="same"} 40'
    assert list(sizes.lines())[-2:] == [":sizes_sum{} 40", ":sizes_count{} 40"]
