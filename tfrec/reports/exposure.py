"""Tables of exposure: shares of the lists beside shares of the labels and of the catalog."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from tfrec.evaluation.details import GroupExposure
from tfrec.evaluation.result import Evaluation
from tfrec.reports.columns import display_width, fit, one_line
from tfrec.reports.figures import number

SHOWN = 5  # groups of a partition in the terminal, those with the most labels; all ages are shown
POPULAR = "most popular tenth"

_NAME, _NUMBER = 34, 12  # widths


def exposure_tables(evaluation: Evaluation) -> list[tuple[str, list[tuple[str, ...]]]]:
    """Title and rows of the table of each partition."""
    by_partition = itertools.groupby(evaluation.details.exposure, key=lambda row: row.partition)
    return [
        (f"Shares by {name}", [(one_line(row.group), *map(number, _shares(row))) for row in rows])
        for name, rows in by_partition
    ]


def exposure_header(evaluation: Evaluation) -> tuple[str, ...]:
    """Heading of the tables: the group, and whose shares they are."""
    return ("group", "catalog", "labels", evaluation.model.name, evaluation.details.baseline)


def render_exposure(evaluation: Evaluation) -> str:
    """A row for the most popular tenth and for the largest groups of each partition.

    "" for an evaluation of an older version.
    """
    if not evaluation.details.exposure:
        return ""
    names = exposure_header(evaluation)[1:]
    widths = [max(_NUMBER, display_width(name) + 2) for name in names]
    header = fit("exposure, shares of", _NAME) + _cells(names, widths)
    rows = [(POPULAR, _popular(evaluation))]
    for partition, groups in itertools.groupby(evaluation.details.exposure, key=lambda row: row.partition):
        shown = itertools.islice(groups, None if partition == "item age" else SHOWN)
        rows += [(f"{partition}: {one_line(row.group)}", _shares(row)) for row in shown]
    lines = [fit(name, _NAME) + _cells([number(share) for share in shares], widths) for name, shares in rows]
    return "\n".join([header, "-" * display_width(header), *lines])


def _shares(row: GroupExposure) -> tuple[float, ...]:
    return row.catalog, row.labels, row.model, row.baseline


def _popular(evaluation: Evaluation) -> tuple[float, ...]:
    """Shares of the most popular tenth of the items."""
    details, baseline = evaluation.details, evaluation.scores.get(evaluation.details.baseline)
    shares = [details.label_shares, evaluation.model.exposure, baseline.exposure if baseline else ()]
    return 0.1, *(each[0] if each else math.nan for each in shares)


def _cells(values: Sequence[str], widths: Sequence[int]) -> str:
    return "".join(f"{value:>{width}}" for value, width in zip(values, widths, strict=True))
