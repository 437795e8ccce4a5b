"""Counters and histograms as TensorFlow keeps them, and the text page of them that Prometheus scrapes.

The page is what TensorFlow Serving's prometheus_exporter.cc prints: labels in the order of their declaration, six
digits, no help lines. prometheus_client sorts labels and appends _total to a counter's type, so it can't print it.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence

MAX_SERIES, MAX_LABEL_CHARACTERS = 1000, 4096
"""Of one metric. A client may name any model; what comes beyond counts as OTHERS, so that memory stays bounded."""
OTHERS = "(others)"

Labels = tuple[str, ...]
"""A value for each label of a metric, in the order of their declaration."""


class Registry:
    """The metrics of a process, and the page of them."""

    def __init__(self) -> None:
        self._metrics: dict[str, Counter | Sampler] = {}

    def counter(self, name: str, *labels: str) -> Counter:
        """A new counter; `name` is TensorFlow's, such as "/tensorflow/serving/request_count"."""
        self._metrics[name] = metric = Counter(name, *labels)
        return metric

    def sampler(self, name: str, *labels: str, limits: Sequence[float]) -> Sampler:
        """A new histogram; bucket n ends below `limits[n]`, and one more holds the rest."""
        self._metrics[name] = metric = Sampler(name, *labels, limits=limits)
        return metric

    def first_value(self, name: str) -> int:
        """Of a counter, by TensorFlow's name, its first series in alphabetical order of their labels.

        0 where it has none, for a histogram and for an unknown name: what TensorFlow Serving reads for a reload.
        """
        metric = self._metrics.get(name)
        return metric.first_value() if isinstance(metric, Counter) else 0

    def page(self) -> str:
        """The text that Prometheus scrapes, in alphabetical order; a metric without a series shows its type alone."""
        metrics = sorted(self._metrics.values(), key=lambda metric: metric.name)
        return "\n".join(line for metric in metrics for line in metric.lines()) + "\n"


def exponential(scale: float, growth: float, count: int) -> list[float]:
    """`count` limits of buckets, each `growth` times the one before; what is above the last has a bucket too."""
    return [scale * growth**exponent for exponent in range(count)]


class Counter:
    """A number for each combination of labels that only grows."""

    def __init__(self, name: str, *labels: str) -> None:
        self.name, self._labels = _exported(name), labels
        self._values: dict[Labels, int] = {}
        self._lock = threading.Lock()

    def add(self, labels: Labels, amount: int = 1) -> None:
        """Counts `amount` more."""
        with self._lock:
            if labels not in self._values:
                labels = _bounded(labels, self._values)
                self._values.setdefault(labels, 0)
            self._values[labels] += amount

    def first_value(self) -> int:
        """Of the first series in alphabetical order of the labels, 0 where there is none."""
        with self._lock:
            return self._values[min(self._values)] if self._values else 0

    def lines(self) -> Iterator[str]:
        """Its part of the page, series in alphabetical order of their labels."""
        with self._lock:
            values = sorted(self._values.items())
        yield f"# TYPE {self.name} counter"
        for labels, value in values:
            yield f"{self.name}{{{_pairs(self._labels, labels)}}} {value}"


class Sampler:
    """A histogram for each combination of labels. A bucket ends below its limit: a value on it is in the next."""

    def __init__(self, name: str, *labels: str, limits: Sequence[float]) -> None:
        self.name, self._labels, self._limits = _exported(name), labels, limits
        self._series: dict[Labels, _Histogram] = {}
        self._lock = threading.Lock()

    def add(self, labels: Labels, value: float, times: int = 1) -> None:
        """Counts a value, `times` times."""
        bucket = bisect_right(self._limits, value)
        with self._lock:
            histogram = self._series.get(labels) or self._started(labels)
            histogram.counts[bucket] += times
            histogram.sum += value * times

    def lines(self) -> Iterator[str]:
        """Its part of the page, series in alphabetical order of their labels."""
        with self._lock:
            series = sorted((labels, list(found.counts), found.sum) for labels, found in self._series.items())
        yield f"# TYPE {self.name} histogram"
        for labels, counts, total in series:
            yield from self._histogram_lines(_pairs(self._labels, labels), counts, total)

    def _histogram_lines(self, pairs: str, counts: Sequence[int], total: float) -> Iterator[str]:
        so_far = 0
        for limit, count in zip([*map(_digits, self._limits), "+Inf"], counts, strict=True):
            so_far += count
            yield f'{self.name}_bucket{{{pairs}{"," if pairs else ""}le="{limit}"}} {so_far}'
        yield f"{self.name}_sum{{{pairs}}} {_digits(total)}"
        yield f"{self.name}_count{{{pairs}}} {so_far}"

    def _started(self, labels: Labels) -> _Histogram:
        labels = _bounded(labels, self._series)
        return self._series.setdefault(labels, _Histogram(len(self._limits) + 1))


class _Histogram:
    __slots__ = ("counts", "sum")

    def __init__(self, buckets: int) -> None:
        self.counts = [0] * buckets
        self.sum = 0.0


def _bounded(labels: Labels, series: Mapping[Labels, object]) -> Labels:
    is_kept = len(series) < MAX_SERIES and all(len(label) <= MAX_LABEL_CHARACTERS for label in labels)
    return labels if is_kept else (OTHERS, *labels[1:])


def _exported(name: str) -> str:
    """A metric's name as Prometheus takes it: "/tensorflow/serving/x" is ":tensorflow:serving:x"."""
    return name.replace("/", ":")


def _pairs(names: Sequence[str], values: Sequence[str]) -> str:
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in zip(names, values, strict=True))


def _escaped(value: str) -> str:
    # The stock server leaves a line feed as it is, so that a model's name could forge a line of the page.
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _digits(value: float) -> str:
    return f"{value:.6g}"
