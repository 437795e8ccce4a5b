"""Tables of NDCG@20 by events of history, beside the lists that need no model."""

from __future__ import annotations

from collections.abc import Iterable

from tfrec.evaluation.details import ColdStart
from tfrec.evaluation.result import Evaluation
from tfrec.evaluation.verdict.first_clicks import METRIC, best_list, is_below
from tfrec.reports.columns import display_width, fit

TITLES = {"all": "first clicks", "novel": "first clicks, novel"}
BELOW = "*"  # behind a value that is surely below the better popular list

_NAME, _NUMBER = 34, 9  # widths


def render_first_clicks(evaluation: Evaluation) -> str:
    """A row for the model and for each list, a column for each length of history.

    "" for an evaluation without the curve or of an older version.
    """
    curve = evaluation.details.cold_start
    if curve is None or not curve.baselines:
        return ""
    shown = [slice_ for slice_ in TITLES if curve.points[0].slices[slice_].users]
    return "\n\n".join(_block(evaluation.model.name, curve, slice_) for slice_ in shown)


def _block(model: str, curve: ColdStart, slice_: str) -> str:
    users = curve.points[0].slices[slice_].users
    header = fit(f"{TITLES[slice_]}: {users:,} users", _NAME) + _cells(
        "all" if point.events is None else str(point.events) for point in curve.points
    )
    baseline = best_list(curve, slice_)
    values = [
        f"{point.slices[slice_].metrics[METRIC]:.4f}" + BELOW * is_below(curve, point, slice_, baseline)
        for point in curve.points
    ]
    rows = [fit(model, _NAME) + _cells(values)]
    for name, slices in curve.baselines.items():
        value = f"{slices[slice_].metrics[METRIC]:.4f}"
        rows.append(fit(name, _NAME) + _cells(value if name in point.differences else "" for point in curve.points))
    note = f"{BELOW} surely below {baseline}" if any(BELOW in value for value in values) else ""
    return "\n".join([header, "-" * display_width(header), *rows, *filter(None, [note])])


def _cells(values: Iterable[str]) -> str:
    """Right-aligned cells; BELOW stands behind its number."""
    return "".join(f"{value if value.endswith(BELOW) else value + ' ':>{_NUMBER}}" for value in values).rstrip()
