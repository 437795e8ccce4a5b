"""The first clicks in the terminal."""

from __future__ import annotations

import dataclasses

from tests.tfrec.reports.evaluation_by_hand import EVALUATION, point
from tfrec.evaluation.details import Details, PairedDifference
from tfrec.evaluation.result import Evaluation
from tfrec.reports.first_clicks import render_first_clicks
from tfrec.reports.score_tables import render_table
from tfrec.reports.sections import plotted_sections


def with_curve() -> Evaluation:
    """The evaluation with a popularity of 0.16, surely above the model after one event."""
    curve = EVALUATION.details.cold_start
    assert curve is not None
    popular = point(None, 0.16).slices
    baselines = {"recent_popularity": curve.non_personalized, "popularity": popular, "item_knn": popular}

    def differences(low: float, names: tuple[str, ...]) -> dict[str, dict[str, PairedDifference]]:
        return {name: dict.fromkeys(("all", "novel"), PairedDifference(low, low, low + 0.01)) for name in names}

    none, one, whole = (
        dataclasses.replace(each, differences=differences(low, tuple(baselines)[: 3 if each.events != 0 else 2]))
        for each, low in zip(curve.points, (-0.005, -0.02, 0.1), strict=True)
    )
    curve = dataclasses.replace(curve, points=(none, one, whole), baselines=baselines)
    return dataclasses.replace(EVALUATION, details=Details(cold_start=curve))


def test_a_row_for_the_model_and_each_list_and_a_column_for_each_length():
    lines = render_first_clicks(with_curve()).splitlines()
    assert lines[0].split() == "first clicks: 2,003 users 0 1 all".split()
    assert lines[2].split() == "two stages 0.1111 0.2222* 0.3456".split()
    assert lines[3].split() == "recent_popularity 0.1528 0.1528 0.1528".split()
    assert lines[5].split() == "item_knn 0.1600 0.1600".split()
    assert lines[6] == "* surely below popularity"
    # The star stands behind its number, which is aligned with the others.
    assert lines[2].index("0.2222") == lines[3].index("0.1528", 45)
    assert render_first_clicks(with_curve()) in render_table(with_curve())


def test_an_evaluation_without_the_curve_has_no_row():
    assert render_first_clicks(EVALUATION) == ""  # of an older version, without the lists
    assert render_first_clicks(dataclasses.replace(EVALUATION, details=Details())) == ""


def test_the_page_shows_the_paired_differences():
    plots = [plot for section in plotted_sections(with_curve()) for plot in section.plots]
    plot = next(plot for plot in plots if plot.title == "NDCG@20, by events of the history, 500 users")
    assert plot.header[-2:] == ("model minus popularity, 95 % interval", "model minus item knn, 95 % interval")
    assert plot.rows[0][-2:] == ("-0.0050 (-0.0050 to 0.0050)", "–")  # no last item after 0 events
    assert plot.rows[1][-1] == "-0.0200 (-0.0200 to -0.0100)"
    recall = next(plot for plot in plots if plot.title.startswith("Recall@20, by events"))
    assert not any("minus" in column for column in recall.header)
