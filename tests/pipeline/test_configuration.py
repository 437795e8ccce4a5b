"""The run of a file: labels by default, purchases where other kinds are logged beside them."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.configuration import MIN_BUYERS, with_default_labels
from pipeline.run_file import RunFile
from tests.conftest import WriteTables
from tfrec.schema import TableSet

FILE = RunFile("shop", "tables", "out")
LABELS = "evaluation.label_kinds"


def one_event_each(*kinds: str) -> list[tuple]:
    return [
        ("u", "tea" if kind != "search" else None, kind, f"2024-01-0{n} 10:00:00", *[None] * 5)
        for n, kind in enumerate(kinds, 1)
    ]


def one_purchase_each(users: int) -> list[tuple]:
    """A view of one user, and a purchase of each of the users."""
    purchases = [(f"u{n}", "tea", "purchase", "2024-01-01 10:00:00", *[None] * 5) for n in range(users)]
    return [*purchases, *one_event_each("view")]


def test_purchases_beside_views_are_the_labels(
    tmp_path: Path, write_tables: WriteTables, capsys: pytest.CaptureFixture
) -> None:
    tables = write_tables(tmp_path, one_purchase_each(MIN_BUYERS))
    assert with_default_labels(FILE, tables).settings == {LABELS: ["purchase"]}
    assert "label_kinds [purchase]: view events are logged beside purchases" in capsys.readouterr().out


def test_every_kind_is_a_label_where_few_users_buy(
    tmp_path: Path, write_tables: WriteTables, capsys: pytest.CaptureFixture
) -> None:
    tables = write_tables(tmp_path, one_purchase_each(MIN_BUYERS - 1))
    assert with_default_labels(FILE, tables) == FILE
    assert "199 users bought, fewer than 200, so every kind is a label" in capsys.readouterr().out


def test_an_explicit_setting_stays(shop: TableSet) -> None:
    file = RunFile("shop", "tables", "out", settings={LABELS: ["cart"]})
    assert with_default_labels(file, shop) == file


@pytest.mark.parametrize("kinds", [("purchase", "search", "return"), ("view", "cart")])
def test_every_kind_is_a_label_where_purchases_are_alone_or_missing(
    tmp_path: Path, write_tables: WriteTables, kinds: tuple[str, ...]
) -> None:
    tables = write_tables(tmp_path, one_event_each(*kinds))
    assert with_default_labels(FILE, tables) == FILE
