"""Counters and histograms as TensorFlow keeps them, and their text page for Prometheus.

The page has the format of TensorFlow Serving's prometheus_exporter.cc: labels in the order of their
declaration, six digits, no help lines. prometheus_client can't print it: it sorts labels and
appends _total to a counter's type.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence

MAX_SERIES, MAX_LABEL_CHARACTERS = 1000, 4096
"""Limits of one metric. Further series count as OTHERS: a client may name any number of models."""
OTHERS = "(others)"

Labels = tuple[str, ...]
"""A value for each label of a metric, in the order of their declaration."""


class Registry:
    """The metrics of a process."""

    def __init__(self) -> None:
        self._metrics: dict[str, Counter | Sampler] = {}

    def counter(self, name: str, *labels: str) -> Counter:
        """Add a counter; `name` is TensorFlow's, such as "/tensorflow/serving/request_count"."""
        self._metrics[name] = metric = Counter(name, *labels)
        return metric

    def sampler(self, name: str, *labels: str, limits: Sequence[float]) -> Sampler:
        """Add a histogram; bucket n ends below `limits[n]`, and one more bucket holds the rest."""
        self._metrics[name] = metric = Sampler(name, *labels, limits=limits)
        return metric

    def first_value(self, name: str) -> int:
        """Return a counter's first series, in alphabetical order of the labels.

        0 for a counter without series, a histogram and an unknown name. TensorFlow Serving reads
        the same for a reload. `name` is TensorFlow's.
        """
        metric = self._metrics.get(name)
        return metric.first_value() if isinstance(metric, Counter) else 0

    def render_page(self) -> str:
        """Return the text that Prometheus scrapes, in alphabetical order of the metrics."""
        metrics = sorted(self._metrics.values(), key=lambda metric: metric.name)
        return "\n".join(line for metric in metrics for line in metric.lines()) + "\n"


def exponential_limits(scale: float, growth: float, count: int) -> list[float]:
    """Return `count` limits of buckets, each `growth` times the one before."""
    return [scale * growth**exponent for exponent in range(count)]


class Counter:
    """A number for each combination of labels; it only grows."""

    def __init__(self, name: str, *labels: str) -> None:
        self.name, self._labels = _prometheus_name(name), labels
        self._values: dict[Labels, int] = {}
        self._lock = threading.Lock()

    def add(self, labels: Labels, amount: int = 1) -> None:
        """Add `amount` to a series."""
        with self._lock:
            if labels not in self._values:
                labels = _limit_series(labels, self._values)
                self._values.setdefault(labels, 0)
            self._values[labels] += amount

    def first_value(self) -> int:
        """Return the first series in alphabetical order of the labels; 0 where there is none."""
        with self._lock:
            return self._values[min(self._values)] if self._values else 0

    def lines(self) -> Iterator[str]:
        """Yield its part of the page, series in alphabetical order of the labels."""
        with self._lock:
            values = sorted(self._values.items())
        yield f"# TYPE {self.name} counter"
        for labels, value in values:
            yield f"{self.name}{{{_label_pairs(self._labels, labels)}}} {value}"


class Sampler:
    """A histogram for each combination of labels; a value on a limit is in the bucket above it."""

    def __init__(self, name: str, *labels: str, limits: Sequence[float]) -> None:
        self.name, self._labels, self._limits = _prometheus_name(name), labels, limits
        self._series: dict[Labels, _Histogram] = {}
        self._lock = threading.Lock()

    def add(self, labels: Labels, value: float, times: int = 1) -> None:
        """Count a value, `times` times."""
        bucket = bisect_right(self._limits, value)
        with self._lock:
            histogram = self._series.get(labels) or self._start_series(labels)
            histogram.counts[bucket] += times
            histogram.sum += value * times

    def lines(self) -> Iterator[str]:
        """Yield its part of the page, series in alphabetical order of the labels."""
        with self._lock:
            series = sorted((labels, list(each.counts), each.sum) for labels, each in self._series.items())
        yield f"# TYPE {self.name} histogram"
        for labels, counts, total in series:
            yield from self._histogram_lines(_label_pairs(self._labels, labels), counts, total)

    def _histogram_lines(self, pairs: str, counts: Sequence[int], total: float) -> Iterator[str]:
        cumulative = 0
        for limit, count in zip([*map(_format_number, self._limits), "+Inf"], counts, strict=True):
            cumulative += count
            yield f'{self.name}_bucket{{{pairs}{"," if pairs else ""}le="{limit}"}} {cumulative}'
        yield f"{self.name}_sum{{{pairs}}} {_format_number(total)}"
        yield f"{self.name}_count{{{pairs}}} {cumulative}"

    def _start_series(self, labels: Labels) -> _Histogram:
        labels = _limit_series(labels, self._series)
        return self._series.setdefault(labels, _Histogram(len(self._limits) + 1))


class _Histogram:
    __slots__ = ("counts", "sum")

    def __init__(self, buckets: int) -> None:
        self.counts = [0] * buckets
        self.sum = 0.0


def _limit_series(labels: Labels, series: Mapping[Labels, object]) -> Labels:
    is_kept = len(series) < MAX_SERIES and all(len(label) <= MAX_LABEL_CHARACTERS for label in labels)
    return labels if is_kept else (OTHERS, *labels[1:])


def _prometheus_name(name: str) -> str:
    """Convert a metric's name: "/tensorflow/serving/x" becomes ":tensorflow:serving:x"."""
    return name.replace("/", ":")


def _label_pairs(names: Sequence[str], values: Sequence[str]) -> str:
    return ",".join(f'{name}="{_escape(value)}"' for name, value in zip(names, values, strict=True))


def _escape(value: str) -> str:
    # The stock server keeps a line feed, so a model's name could forge a line of the page.
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _format_number(value: float) -> str:
    return f"{value:.6g}"
