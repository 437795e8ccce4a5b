"""Ids and categories that programs wrote as decimals, and words for a missing one."""

from __future__ import annotations

import pyarrow as pa
import pytest

from tfrec.data.values.ids import has_tails, remove_formulas, remove_tails, rounded_ids
from tfrec.data.values.missing import MISSING_WORDS, drop_words


def _column(*texts: str | None) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(texts, pa.string())])


def test_one_odd_id_leaves_the_others_integers() -> None:
    ids = _column("1001.0", "1001", "1002", "1003", "7.5")  # one of five numbers has a fraction
    assert has_tails([ids])
    assert remove_tails(ids)[0].to_pylist() == ["1001", "1001", "1002", "1003", "7.5"]


@pytest.mark.parametrize("ids", [["2.0", "2.1", "3", "4"], ["a.0", "x", "1.0"], ["1e5", "x", "y"], ["1", "2"]])
def test_versions_and_words_keep_their_tails(ids: list[str]) -> None:
    assert not has_tails([_column(*ids)])


def test_zeros_and_exponents_of_whole_ids_are_removed() -> None:
    ids = _column("1001.00", "12.00", "1E3", "1.0E7", "7", None, "1.5e2")
    assert has_tails([ids])
    removed, count = remove_tails(ids)
    assert removed.to_pylist() == ["1001", "12", "1000", "10000000", "7", None, "150"]
    assert count == 2


def test_ids_that_lost_digits_stay_and_are_named() -> None:
    # Excel shows six digits; floats are exact up to 2^53, about 9.007e15.
    ids = _column("1.23457E+11", "1.2345678901234568e+17", "1.23456789E9", "5")
    assert rounded_ids(ids) == ["1.23457E+11", "1.2345678901234568e+17"]
    assert remove_tails(ids)[0].to_pylist() == ["1.23457E+11", "1.2345678901234568e+17", "1234567890", "5"]


def test_a_formula_that_keeps_zeros_in_excel_is_its_text() -> None:
    ids, count = remove_formulas(_column('="0012"', "0012", None, '=""'))
    assert ids.to_pylist() == ["0012", "0012", None, ""]
    assert count == 2


def test_missing_words_are_matched_without_case_and_blanks() -> None:
    kept, count = drop_words(_column("Null", "NONE", " nan ", "GUEST", "NAN", "NA", ""), [*MISSING_WORDS, "guest"])
    assert kept.to_pylist() == [None, None, None, None, None, "NA", None]
    assert count == 5
    brands, _ = drop_words(_column("NAN", "nan", "Ümit"), [*MISSING_WORDS, "ümit"], is_id=False)
    assert brands.to_pylist() == ["NAN", None, None]
