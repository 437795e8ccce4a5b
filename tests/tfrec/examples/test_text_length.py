"""Text length by the catalog's own texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tfrec.config import FeaturesConfig
from tfrec.examples.text_length import fitting_text_tokens


def items_of(*lengths: int) -> list[tuple]:
    """Items whose titles have so many words, a WordPiece each."""
    return [(f"i{n}", " ".join(["tea"] * length), None, None, None, None, None) for n, length in enumerate(lengths)]


@pytest.mark.parametrize(
    ("lengths", "most", "expected"),
    [
        ([3] * 40, 64, 16),  # 5 with [CLS] and [SEP], but a query needs more
        ([15] * 40, 64, 24),  # 17, rounded up to a multiple of 8
        ([15] * 39 + [50], 64, 24),  # one long text in 40 does not count
        ([15] * 30 + [40] * 10, 64, 48),
        ([15] * 30 + [40] * 10, 30, 30),  # no more than the setting
        ([], 30, 30),
    ],
)
def test_nearly_all_texts_fit(
    write_tables: Any, vocabulary: str, tmp_path: Path, lengths: list[int], most: int, expected: int
) -> None:
    tables = write_tables(tmp_path, items=items_of(*lengths))
    assert fitting_text_tokens(tables, FeaturesConfig(vocabulary=vocabulary, text_tokens=most)) == expected


def test_brand_category_and_description_are_part_of_a_text(write_tables: Any, vocabulary: str, tmp_path: Path) -> None:
    row = ("i1", "tea", "tea " * 20, "tea > tea", "tea", None, None)  # 1 + 20 + 2 + 1, and two ends
    tables = write_tables(tmp_path, items=[row])
    assert fitting_text_tokens(tables, FeaturesConfig(vocabulary=vocabulary, text_tokens=64)) == 32
