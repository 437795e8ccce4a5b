"""Numbers of the plots, as in the tables of the page."""

from __future__ import annotations

import dataclasses

import pytest

from tests.tfrec.reports.evaluation_by_hand import DETAILS, EVALUATION
from tfrec.evaluation.details import Details
from tfrec.reports.figures import Plot, Section
from tfrec.reports.sections import plotted_sections


def plots_of(details: Details = DETAILS) -> dict[str, Plot]:
    sections = plotted_sections(dataclasses.replace(EVALUATION, details=details))
    return {plot.title: plot for section in sections for plot in section.plots}


@pytest.fixture(scope="module")
def plots() -> dict[str, Plot]:
    return plots_of()


def test_recall_is_by_list_length(plots):
    plot = plots["Recall@k"]
    assert plot.header == ("k", "popularity", "personal_frequency", "two stages")
    assert plot.rows[2] == ("20", "0.3000", "0.3000", "0.3000")


def test_cold_start_curves_have_intervals_and_a_non_personalized_line(plots):
    plot = plots["NDCG@20, by events of the history, 500 users"]
    assert plot.header == ("events", "model", "model, 95 % interval", "non-personalized")
    assert plot.rows == [
        ("0", "0.1111", "0.0988 to 0.1234", "0.1528"),
        ("1", "0.2222", "0.2099 to 0.2345", "0.1528"),
        ("all", "0.3456", "0.3333 to 0.3579", "0.1528"),
    ]


def test_item_ages_compare_the_model_with_the_strongest_baseline(plots):
    plot = plots["Recall@20 by age of the item"]
    assert plot.header == ("age", "two stages", "personal_frequency")
    assert plot.rows == [("new", "0.0000", "0.0000"), ("0 to 7 days", "0.1234", "0.1234")]


def test_calibration_shows_each_bin_and_the_expected_error(plots):
    assert plots["Calibration of the probabilities"].rows == [
        ("0.00100", "0.00000", "1,000"),
        ("0.20000", "0.25000", "1,001"),
    ]
    assert "off by 0.0255 on average over 2,001 candidates" in section("calibration-and-exposure").text


def test_exposure_is_compared_with_the_labels(plots):
    plot = plots["Share of recommendations and of labels by popularity"]
    assert plot.header == ("tenth", "labels", "two stages", "personal_frequency")
    assert plot.rows[0] == ("1", "0.7531", "0.5500", "0.5500")


def test_loss_is_by_step_over_all_epochs_with_the_mean_of_each_epoch(plots):
    # Epoch 1 has 20 steps, so that step 20 of epoch 2 is step 40 of the phase.
    plot = plots["Loss: towers"]
    assert plot.header == ("epoch", "step", "loss by step", "mean of the epoch")
    assert plot.rows == [
        ("1", "10", "6.0000", ""),
        ("1", "20", "5.0000", "5.5000"),
        ("2", "40", "4.5000", "4.5000"),
    ]
    assert "Mean loss of the steps between two points" in plot.caption
    assert "epoch 1 5.5000; epoch 2 4.5000" in plot.svg


def test_loss_without_steps_is_by_epoch(plots):
    plot = plots["Loss: second stage"]
    assert (plot.header, plot.rows) == (("epoch", "loss"), [("1", "0.0871")])
    assert plot.caption == "Loss of the last step of each epoch."


def test_validation_scores_are_by_epoch(plots):
    plot = plots["NDCG@20 on the validation window"]
    assert plot.header == ("epoch", "all items", "new to the user")
    assert plot.rows == [("1", "0.1212", "0.0313"), ("2", "0.1313", "0.0414")]


def test_a_model_without_probabilities_has_no_calibration_plot():
    assert "Calibration of the probabilities" not in plots_of(dataclasses.replace(DETAILS, calibration=None))


def section(name: str) -> Section:
    return next(each for each in plotted_sections(EVALUATION) if each.id == name)
