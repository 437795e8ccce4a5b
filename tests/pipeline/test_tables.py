"""Ingest where it is needed, with the reason."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from pathlib import Path

import pytest

from pipeline.nodes import fingerprint
from pipeline.run_file import RunFile, find_run
from pipeline.runs import preset
from pipeline.tables import _record, ingest, ready_run, why_ingest
from tests.conftest import WriteTables
from tfrec.cli.main import main
from tfrec.errors import ConfigError, DataError
from tfrec.schema import Manifest, read_table_set

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


def test_tables_that_another_ingest_replaced_are_made_again(shop: RunFile) -> None:
    ingest(shop)
    Path("other.csv").write_text("user_id,item_id,timestamp\neve,mug,2024-01-03\n", encoding="utf-8")
    assert main(["ingest", "--interactions", "other.csv", "--kind", "view", "--out", "data/shop"]) == 0
    assert why_ingest(shop) == "other tables were ingested there since"


def test_dated_tables_are_watched_too(shop: RunFile) -> None:
    Path("prices.csv").write_text("item_id,from,price\ntea,2024-01-01,3\n", encoding="utf-8")
    Path("shop.yaml").write_text(SHOP + "item_states: {path: prices.csv, columns: {price: price}}\n", encoding="utf-8")
    ingest(find_run("shop.yaml"))
    Path("prices.csv").write_text("item_id,from,price\ntea,2024-01-01,30\n", encoding="utf-8")
    assert why_ingest(find_run("shop.yaml")) == "changed: prices.csv"


def test_damaged_or_missing_tables_are_made_again(shop: RunFile) -> None:
    tables = ingest(shop).tables
    tables.part("users", 1).unlink()
    assert why_ingest(shop) == "files of the tables are missing"
    (tables.root / "manifest.json").write_text("{", encoding="utf-8")
    assert why_ingest(shop) == "manifest.json is damaged"
    ingest(shop)
    assert why_ingest(shop) == ""


def test_a_source_is_ingested_again_for_other_partitions_code_or_tables(
    tmp_path: Path, write_tables: WriteTables
) -> None:
    row = ("ann", "tea", "purchase", "2024-01-03 00:00:00", *[None] * 5)
    tables = write_tables(tmp_path, [row])
    file = RunFile("journey", str(tables.root), source="complete-journey")
    assert why_ingest(file) == "no record says from which files its tables were made"
    record = _record(file)
    path = tables.root / "ingested.json"
    path.write_text(json.dumps(record | {"snapshot": tables.manifest.snapshot}), encoding="utf-8")
    assert why_ingest(file) == ""
    assert why_ingest(dataclasses.replace(file, partitions=3)) == "the number of partitions changed"
    path.write_text(json.dumps(record | {"snapshot": "0"}), encoding="utf-8")
    assert why_ingest(file) == "other tables were ingested there since"
    path.write_text(json.dumps(record | {"snapshot": tables.manifest.snapshot, "code": "0"}), encoding="utf-8")
    assert why_ingest(file) == "the code of the ingest changed"


def test_the_code_of_the_ingest_includes_the_schema_but_not_the_guess_of_a_mapping() -> None:
    modules = set(fingerprint.sources("tfrec.data.ingest"))
    assert {"tfrec.schema", "tfrec.settings", "tfrec.config", "tfrec.data.clean", "tfrec.data.mapping"} <= modules
    assert not [name for name in modules if "guess" in name or "movielens" in name or "tensorflow" in name]


def test_two_files_of_one_name_do_not_share_their_tables(shop: RunFile) -> None:
    ingest(shop)
    Path("b").mkdir()
    shutil.copytree("logs", "b/logs")
    Path("b/shop.yaml").write_text(SHOP, encoding="utf-8")
    other = find_run("b/shop.yaml")
    refusal = (
        r"`tables` is data/shop, which holds the tables of .*/shop.yaml; name another folder by `tables` in b/shop"
    )
    for refused in (ingest, why_ingest):
        with pytest.raises(ConfigError, match=refusal):
            refused(other)
    os.remove("shop.yaml")  # so the tables are nobody's
    ingest(other)
    assert why_ingest(other) == ""


def test_two_files_of_one_name_do_not_share_their_runs(shop: RunFile) -> None:
    ready_run("shop.yaml")
    Path("b").mkdir()
    Path("b/shop.yaml").write_text(f"tables: data/shop\n{SETTINGS}", encoding="utf-8")
    with pytest.raises(
        ConfigError, match=r"`out` is out, where shop is already the run of /.*/shop.yaml; name another"
    ):
        find_run("b/shop.yaml")
    Path("b/shop.yaml").write_text(f"tables: data/shop\nout: b\n{SETTINGS}", encoding="utf-8")
    ready_run("b/shop.yaml")
    ready_run("shop.yaml")


def test_a_variant_beside_a_shops_file_shares_its_tables(shop: RunFile) -> None:
    ingest(shop)
    Path("longer.yaml").write_text(f"tables: data/shop\n{SHOP}", encoding="utf-8")
    assert why_ingest(find_run("longer.yaml")) == ""


def test_auto_is_decided_by_the_tables_and_logged(shop: RunFile, capsys: pytest.CaptureFixture[str]) -> None:
    Path("shop.yaml").write_text(SHOP.replace("preset: none", "preset: auto"), encoding="utf-8")
    # Two of ann's three events repeat her tea, and she has three events.
    assert ready_run("shop.yaml").config.train.catch_up_rate == preset("retail").train.catch_up_rate > 0
    assert (
        "tfrec: preset retail: 67% of the events repeat an item of the user and the median" in capsys.readouterr().out
    )


def test_changed_code_is_a_reason(shop: RunFile) -> None:
    ingest(shop)
    path = Path("data/shop/ingested.json")
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | {"code": "0"}), encoding="utf-8")
    assert why_ingest(shop) == "the code of the ingest changed"


def test_tables_that_no_model_reads_do_not_change_the_hash_of_those_that_it_reads(shop: RunFile) -> None:
    def manifest() -> Manifest:
        return ingest(find_run("shop.yaml")).tables.manifest

    Path("shop.yaml").write_text(SHOP + "item_states: {path: prices.csv, columns: {price: price}}\n", encoding="utf-8")
    Path("prices.csv").write_text("item_id,from,price\ntea,2024-01-01,3\n", encoding="utf-8")
    first = manifest()
    write_log("b", ",mug,2024-01-06")  # dropped, without a user
    with Path("prices.csv").open("a", encoding="utf-8") as file:
        file.write("tea,2024-01-02,4\n")
    second = manifest()
    assert second.rows["item_states"] == 2
    assert second.snapshot != first.snapshot
    assert second.model_data == first.model_data
    write_log("b", "bob,mug,2024-01-06")
    assert manifest().model_data != first.model_data


def test_a_folder_that_beam_cannot_read_is_refused_before_the_ingest(shop: RunFile) -> None:
    Path("shop.yaml").write_text(f"tables: 'data [v2]'\n{SHOP}", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"`tables` is .*but Beam reads"):
        ready_run("shop.yaml")
    assert not Path("data [v2]").exists()
