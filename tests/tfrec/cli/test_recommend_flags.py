"""Times given to the flags of `tfrec recommend` and its like."""

from __future__ import annotations

import argparse

import pytest

from tfrec.cli import recommend_flags


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2024-03-04", 1_709_510_400),
        ("2024-03-04T06:30", 1_709_533_800),
        ("2024-03-04T00:00+02:00", 1_709_503_200),  # 22:00 of the day before in UTC
        ("2024-03-03T19:00-05:00", 1_709_510_400),
    ],
)
def test_until_is_utc_unless_it_names_a_zone(text, seconds):
    parser = argparse.ArgumentParser()
    recommend_flags.recommend(parser)
    assert parser.parse_args(["--user", "ann", "--until", text]).until == seconds
