"""Results on disk: NaN, other versions' keys, damaged files."""

from __future__ import annotations

import dataclasses
import json
import math

import pytest

from tfrec import results_json
from tfrec.errors import DataError
from tfrec.results_json import Number


@dataclasses.dataclass(frozen=True)
class Figure:
    """A result of the tests."""

    name: str
    values: tuple[Number, ...]
    low: Number = 0.0


def parse(text: str) -> Figure:
    return results_json.parse(Figure, text, "a.json", "a figure", "measure again")


def test_a_result_comes_back_from_its_json():
    figure = Figure("茶", (0.5, 1.0), -2.5)
    text = results_json.dump(Figure, figure)
    assert "茶" in text
    assert parse(text) == figure


def test_nan_is_null_in_json():
    text = results_json.dump(Figure, Figure("ndcg", (math.nan, 1.0), math.inf))
    assert json.loads(text) == {"name": "ndcg", "values": [None, 1.0], "low": None}
    figure = parse(text)
    assert math.isnan(figure.values[0])
    assert math.isnan(figure.low)


def test_a_default_fills_a_missing_key_and_an_unknown_key_is_ignored():
    assert parse('{"name": "ndcg", "values": [1], "color": "red"}') == Figure("ndcg", (1.0,), 0.0)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"name": "ndcg", "val', "Invalid JSON: .*"),
        ("[]", "Input should be an object"),
        ('{"values": []}', "name: Field required"),
        ('{"name": "ndcg", "values": [1, "two"]}', "values.1: Input should be a valid number.*"),
    ],
)
def test_a_damaged_or_foreign_file_is_refused_in_one_sentence(text, reason):
    with pytest.raises(DataError, match=rf"^a\.json is not a figure \({reason}\); measure again$"):
        parse(text)
