"""Ingest of a shop's files: report, warnings and errors."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from tests.tfrec.data.shop_files import (
    ITEM_LINES,
    ingested,
    line_of,
    rows_of,
    write_shop,
)
from tfrec.data.ingest import ingest, ingest_tables
from tfrec.data.mapping import mapping_from_flags, read_mapping
from tfrec.data.raw_tables import RawTables
from tfrec.errors import ConfigError, DataError
from tfrec.schema import ITEMS


def test_a_log_of_searches_needs_no_items(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user_id,item_id,timestamp\nu1,a,2024-01-01\n")
    (tmp_path / "searches.csv").write_text("user_id,query,timestamp\nu1,green tea,2024-01-02\n")
    tables = "{path: log.csv, kind: view}, {path: searches.csv, kind: search, columns: {query: query}}"
    (tmp_path / "shop.yaml").write_text(f"interactions: [{tables}]")
    rows = rows_of(ingest(read_mapping(tmp_path / "shop.yaml"), tmp_path / "out", 1).tables, "interactions").to_pylist()
    assert [(row["kind"], row["item_id"], row["query"]) for row in rows] == [
        ("view", "a", None),
        ("search", None, "green tea"),
    ]


def test_a_user_with_a_large_share_of_all_events_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lines = [line_of("guest", f"i{n}") for n in range(50)] + [line_of(f"u{n}") for n in range(50)]
    ingested(tmp_path, lines="".join(lines))
    assert (
        "user 'guest' has 50 of 100 interactions (50%); if this stands for unknown users, add `missing: ['guest']`"
        in caplog.text
    )
    caplog.clear()
    ingested(tmp_path, lines="".join(lines[1:]))  # 49 events are too few to say
    assert "stands for unknown users" not in caplog.text


def test_a_user_named_by_a_word_for_unknown_users_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    events = [line_of(user, f"i{n}") for user in ("NA", "u1", "u2", "u3", "u4", "u5") for n in range(50)]
    ingested(tmp_path, lines="".join(events))
    assert caplog.text.count("stands for unknown users") == 1
    assert "user 'NA' has 50 of 300 interactions (17%)" in caplog.text


def test_one_row_of_one_user_works_without_items_and_users(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user_id,item_id,timestamp\nu1,a,2024-01-01\n")
    tables = ingest(mapping_from_flags(str(tmp_path / "log.csv"), kind="view"), tmp_path / "out").tables
    assert tables.manifest.rows == {"interactions": 1, "items": 1, "users": 0}
    assert rows_of(tables, "items").to_pylist() == [{**dict.fromkeys(ITEMS.names), "item_id": "a", "title": ""}]


def test_a_file_with_only_a_header_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"log\.csv holds a header but no interactions; write it again"):
        ingested(tmp_path, lines="")
    with pytest.raises(DataError, match=r"items\.csv holds a header but no items; write it again"):
        ingested(tmp_path, items=ITEM_LINES.splitlines()[0])


def test_the_error_for_a_log_without_valid_rows_names_the_most_frequent_rule_and_an_example(tmp_path: Path) -> None:
    lines = line_of(when="1/13/2024") * 2 + line_of(user="")
    with pytest.raises(
        DataError, match=r"none of 3 interactions is left .* rule 'bad timestamp' dropped 2 .*'1/13/2024'"
    ) as caught:
        ingested(tmp_path, lines=lines)
    assert str(caught.value).endswith("or set `timestamp_format` in the mapping, such as '%d/%m/%Y %H:%M'")


def test_the_error_for_a_missing_column_names_its_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"items\.csv has no column 'name', it has 'sku', 'title'"):
        ingested(tmp_path, items="sku,title\na,x\n")


@pytest.mark.parametrize("partitions", [0, -1, 100_000])
def test_a_number_of_partitions_outside_1_to_99999_is_refused(tmp_path: Path, partitions: int) -> None:
    with pytest.raises(ConfigError, match=f"`partitions` is {partitions}, expected 1 to 99999"):
        ingested(tmp_path, partitions=partitions)


def test_an_output_path_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(DataError, match="out is a file, expected a folder"):
        ingested(tmp_path)


def test_raw_tables_can_be_ingested_without_files(tmp_path: Path) -> None:
    times = pa.array(pd.to_datetime(["2024-01-02", "2024-01-01"]))
    log = pa.table({"user_id": ["u", "u"], "item_id": ["a", "b"], "kind": ["view", "view"], "timestamp": times})
    raw = RawTables(log, pa.table({"item_id": ["a"], "title": ["A"]}), pa.table({"user_id": ["u"]}))
    tables = ingest_tables(raw, tmp_path, "test", 1).tables
    assert tables.manifest.source == "test"
    assert rows_of(tables, "interactions")["item_id"].to_pylist() == ["b", "a"]


@pytest.mark.parametrize("name", ["age-band", "Age Group", "城市", "id"])
def test_a_further_column_that_cannot_name_a_model_input_is_refused(tmp_path: Path, name: str) -> None:
    times = pa.array(pd.to_datetime(["2024-01-02"]))
    log = pa.table({"user_id": ["u"], "item_id": ["a"], "kind": ["view"], "timestamp": times})
    items, users = {"item_id": ["a"], "title": ["A"]}, {"user_id": ["u"]}
    cure = f"{name!r} can't name an input .* map it under another name"
    with pytest.raises(ConfigError, match=f"profile column {cure}"):
        ingest_tables(RawTables(log, pa.table(items), pa.table(users | {name: ["x"]})), tmp_path, "test", 1)
    with pytest.raises(ConfigError, match=f"item column {cure}"):
        ingest_tables(RawTables(log, pa.table(items | {name: ["x"]}), pa.table(users)), tmp_path, "test", 1)


def test_ingest_does_not_import_tensorflow_and_prints_nothing(tmp_path: Path) -> None:
    mapping = write_shop(tmp_path / "shop", lines=line_of())
    program = (
        "import sys; from pathlib import Path; "
        "from tfrec.data.ingest import ingest; from tfrec.data.mapping import read_mapping; "
        f"ingest(read_mapping(Path({str(mapping)!r})), Path({str(tmp_path / 'out')!r})); "
        "assert 'tensorflow' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, cwd=Path(__file__).parents[3])
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
