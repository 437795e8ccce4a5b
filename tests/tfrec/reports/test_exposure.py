"""Exposure in the terminal, from the evaluation by hand."""

from __future__ import annotations

import dataclasses

from tests.tfrec.reports.evaluation_by_hand import EVALUATION
from tfrec.evaluation.details import Details
from tfrec.reports.exposure import render_exposure


def test_the_terminal_shows_the_popular_tenth_the_largest_groups_and_all_ages():
    # The sixth brand is left out.
    assert render_exposure(EVALUATION).splitlines() == [
        "exposure, shares of                    catalog      labels  two stages  personal_frequency",
        "-" * 90,
        "most popular tenth                      0.1000      0.7531      0.5500              0.5500",
        *(f"{f'brand: b{number}':34}      0.1000      0.2000      0.3000              0.4000" for number in range(5)),
        "item age: new                           0.0385      0.0301      0.0012              0.0000",
    ]


def test_an_evaluation_of_an_older_version_shows_nothing():
    assert render_exposure(dataclasses.replace(EVALUATION, details=Details())) == ""
