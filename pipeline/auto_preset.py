"""Choice of a preset by what the tables show: the share of repeats and the length of histories."""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tfrec.schema import POSITIVE_KINDS, TableSet

MIN_REPEATS = 0.05
"""Share of repeats from which a short history is no case for `discovery`."""
DISCOVERY_HISTORY = 20
"""Events of the median user from which `discovery` is not taken, whatever repeats."""
MIN_HISTORY = 100
"""Events of the median user from which `grocery` is taken instead of `retail`."""
MAX_EVENTS = 2_000_000
"""Events that are read; beyond them, those of the first partitions, which hold random users."""


@dataclasses.dataclass(frozen=True)
class LogFigures:
    """Figures of an interactions table that decide on the preset."""

    repeats: float  # share of events with an item that the user had an event with before
    median_history: float  # events of the median user


@dataclasses.dataclass(frozen=True)
class Choice:
    """A preset and the reason for it."""

    preset: Literal["grocery", "retail", "discovery"]
    reason: str


def choose_preset(tables: TableSet) -> Choice:
    """The preset that suits the tables."""
    figures = read_figures(tables)
    seen = f"{figures.repeats:.0%} of the events repeat an item of the user"
    history = f"the median user has {figures.median_history:,.0f} events"
    if figures.repeats < MIN_REPEATS:
        if figures.median_history < DISCOVERY_HISTORY:
            return Choice(
                "discovery", f"{seen}, less than {MIN_REPEATS:.0%}, and {history}, fewer than {DISCOVERY_HISTORY}"
            )
        return Choice("retail", f"{seen}, less than {MIN_REPEATS:.0%}, but {history}, {DISCOVERY_HISTORY} or more")
    if figures.median_history < MIN_HISTORY:
        return Choice("retail", f"{seen} and {history}, fewer than {MIN_HISTORY}")
    return Choice("grocery", f"{seen} and {history}, {MIN_HISTORY} or more")


def read_figures(tables: TableSet) -> LogFigures:
    """Read the figures of the interactions; searches, which have no item, do not count."""
    events, distinct, histories = 0, 0, [np.empty(0, np.int64)]
    for path in tables.parts("interactions"):
        rows = pq.read_table(path, columns=["user_id", "item_id", "kind"], filters=[("kind", "in", POSITIVE_KINDS)])
        pairs = rows.drop_columns(["kind"]).drop_null()
        of_pair = pairs.group_by(["user_id", "item_id"]).aggregate([([], "count_all")])
        of_user = of_pair.group_by("user_id").aggregate([("count_all", "sum")])
        events, distinct = events + pairs.num_rows, distinct + of_pair.num_rows
        histories.append(_numbers(of_user["count_all_sum"]))
        if events >= MAX_EVENTS:
            break
    lengths = np.concatenate(histories)
    return LogFigures(1 - distinct / max(events, 1), float(np.median(lengths)) if len(lengths) else 0.0)


def _numbers(column: pa.ChunkedArray) -> np.ndarray:
    return np.asarray(column.to_numpy(), np.int64)
