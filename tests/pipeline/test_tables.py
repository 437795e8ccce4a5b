"""Ingest where it is needed, with the reason."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeline.run_file import RunFile, find_run
from pipeline.tables import ingest, ready_run, why_ingest
from tfrec.errors import ConfigError, DataError
from tfrec.schema import read_table_set

SETTINGS = "preset: none\nsettings: {examples.split.test_days: 1, examples.split.validation_days: 1}\n"
SHOP = f"interactions: {{path: logs, kind: purchase}}\npartitions: 2\n{SETTINGS}"


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFile:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "logs").mkdir()
    write_log("a", "ann,tea,2024-01-03", "ann,tea,2024-01-04", "ann,tea,2024-01-05")
    Path("shop.yaml").write_text(SHOP, encoding="utf-8")
    return find_run("shop.yaml")


def write_log(name: str, *rows: str) -> None:
    Path(f"logs/{name}.csv").write_text("\n".join(["user_id,item_id,timestamp", *rows, ""]), encoding="utf-8")


def test_tables_are_read_once_and_again_after_a_change(shop: RunFile, capsys: pytest.CaptureFixture[str]) -> None:
    assert why_ingest(shop) == "there are no tables yet"
    run = ready_run("shop.yaml")
    assert (run.name, run.tables, run.file) == ("shop", "data/shop", "shop.yaml")
    assert "tfrec: ingest into data/shop: there are no tables yet" in capsys.readouterr().out
    assert read_table_set("data/shop").manifest.rows["interactions"] == 3

    ready_run("shop.yaml")
    assert "ingest" not in capsys.readouterr().out

    write_log("b", "bob,mug,2024-01-05")
    ready_run("shop.yaml")
    assert "ingest into data/shop: new: logs/b.csv" in capsys.readouterr().out
    assert read_table_set("data/shop").manifest.rows["interactions"] == 4


def test_each_change_is_named(shop: RunFile) -> None:
    ingest(shop)
    assert why_ingest(shop) == ""
    for name in "bcdef":
        write_log(name, "bob,mug,2024-01-06")
    assert why_ingest(shop) == "new: logs/b.csv, logs/c.csv, logs/d.csv and 2 more files"
    write_log("a", "ann,tea,2024-01-05", "ann,mug,2024-01-06")
    os.remove("logs/b.csv")
    ingest(find_run("shop.yaml"))
    write_log("a", "ann,tea,2024-01-05")
    os.remove("logs/c.csv")
    assert why_ingest(shop) == "changed: logs/a.csv; gone: logs/c.csv"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (SHOP.replace("purchase", "view"), "the mapping changed"),
        (SHOP.replace("partitions: 2", "partitions: 3"), "the number of partitions changed"),
        (SHOP.replace("test_days: 1,", "test_days: 2,") + "out: elsewhere\n", ""),
    ],
)
def test_a_changed_mapping_is_ingested_again_but_not_a_changed_setting(shop: RunFile, text: str, reason: str) -> None:
    ingest(shop)
    Path("shop.yaml").write_text(text, encoding="utf-8")
    assert why_ingest(find_run("shop.yaml")) == reason


def test_a_moved_shop_is_not_ingested_again(shop: RunFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ingest(shop)
    tmp_path.rename(tmp_path.with_name("moved"))
    monkeypatch.chdir(tmp_path.with_name("moved"))
    assert why_ingest(find_run("shop.yaml")) == ""


def test_tables_without_a_record_are_made_again(shop: RunFile) -> None:
    ingest(shop)
    Path("data/shop/ingested.json").write_text("{", encoding="utf-8")
    assert why_ingest(shop) == "no record says from which files its tables were made"


def test_missing_files_are_an_error_even_with_tables(shop: RunFile) -> None:
    ingest(shop)
    os.remove("logs/a.csv")
    with pytest.raises(DataError, match="logs matches no CSV"):
        ready_run("shop.yaml")


def test_a_file_without_tables_takes_those_that_exist_and_cannot_be_ingested(shop: RunFile) -> None:
    ingest(shop)
    Path("other.yaml").write_text(f"tables: data/shop\n{SETTINGS}", encoding="utf-8")
    assert ready_run("other.yaml").tables == "data/shop"
    with pytest.raises(ConfigError, match=r"other.yaml has no `interactions`"):
        ingest(find_run("other.yaml"))
