"""Snapshots of the tables: equal content, interruption and damage."""

from __future__ import annotations

import fcntl
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.tfrec.data.shop_files import (
    ITEM_LINES,
    LINES,
    USER_LINES,
    ingested,
    line_of,
    rows_of,
    write_shop,
)
from tfrec.data.ingest import ingest
from tfrec.data.mapping import read_mapping
from tfrec.errors import DataError
from tfrec.schema import read_table_set


def _state(root: Path) -> dict[str, int]:
    """Map every file of the tables, without the lock, to its modification time."""
    files = [path for path in root.rglob("*") if path.is_file() and path.name != ".lock"]
    return {str(path.relative_to(root)): path.stat().st_mtime_ns for path in files}


def _snapshots(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "snapshots").iterdir())


def test_the_same_data_gives_the_same_snapshot_and_changes_no_file(tmp_path: Path) -> None:
    first = ingested(tmp_path)
    before = _state(tmp_path / "out")
    # The manifest, two partitions of three tables, three tables of dropped rows: 1 + 3 * 2 + 3.
    assert len(before) == 10
    assert ingested(tmp_path).tables == first.tables
    assert _state(tmp_path / "out") == before


@pytest.mark.parametrize(
    "files",
    [
        {"lines": LINES.replace("10:00:00,2,1.5,b2", "10:00:01,2,1.5,b2")},
        {"lines": LINES.replace(",soon,", ",later,")},  # dropped rows are part of the snapshot
        {"items": ITEM_LINES.replace("Spaghetti", "spaghetti")},
        {"users": USER_LINES.replace("34", "null")},
        {"partitions": 3},
    ],
)
def test_other_data_gives_another_snapshot(tmp_path: Path, files: dict[str, Any]) -> None:
    first = ingested(tmp_path)
    second = ingested(tmp_path, **files)
    assert second.tables.manifest.snapshot != first.tables.manifest.snapshot
    assert read_table_set(tmp_path / "out") == second.tables


def test_shifted_text_and_null_instead_of_zero_change_the_snapshot(tmp_path: Path) -> None:
    header = ITEM_LINES.splitlines()[0]
    texts = [ingested(tmp_path, 1, items=f"{header}\na,{a},,,\nb,{b},,,\n") for a, b in (("xy", "z"), ("x", "yz"))]
    prices = [ingested(tmp_path, 1, lines=f"u1,a,buy,2024-01-01,1,{price},b1\n") for price in ("", "0")]
    assert len({report.tables.manifest.snapshot for report in texts + prices}) == 4


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda text: "", r"Expecting value"),
        (lambda text: text[:40], r"Unterminated string|Expecting"),
        (lambda text: "[1]", "a list instead of an object"),
        (lambda text: text.replace('"source"', '"sauce"'), "unknown field 'sauce'"),
        (lambda text: text.replace('"source": "shop.yaml",', ""), "missing 1 required positional argument: 'source'"),
        (lambda text: text.encode("utf-16"), "can't decode"),
    ],
)
def test_a_damaged_manifest_is_one_sentence_and_the_next_ingest_replaces_it(
    tmp_path: Path, damage: Any, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    first = ingested(tmp_path)
    manifest = tmp_path / "out/manifest.json"
    damaged = damage(manifest.read_text())
    manifest.write_bytes(damaged if isinstance(damaged, bytes) else damaged.encode())
    with pytest.raises(DataError, match=rf"manifest\.json is damaged or of another .*({reason}).*run `tfrec ingest`"):
        read_table_set(tmp_path / "out")
    second = ingested(tmp_path, lines=line_of())
    assert read_table_set(tmp_path / "out") == second.tables
    assert "it is replaced" in caplog.text
    assert _snapshots(tmp_path / "out") == sorted(report.tables.manifest.snapshot for report in (first, second))


def test_a_full_disk_is_one_sentence_and_the_tables_stay(tmp_path: Path) -> None:
    good = ingested(tmp_path)
    mapping = write_shop(tmp_path / "shop", lines="".join(line_of(user=f"u{n}") for n in range(5000)))
    program = (
        "import resource, sys; from pathlib import Path; "
        "from tfrec.data.ingest import ingest; from tfrec.data.mapping import read_mapping; "
        "from tfrec.errors import DataError; "
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))\n"
        f"try: ingest(read_mapping(Path({str(mapping)!r})), {str(tmp_path / 'out')!r}, 2)\n"
        "except DataError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=Path(__file__).parents[3]
    )
    # A limit on the size of a file fails a write like a full disk does.
    assert re.search(r"out can't be written \(File too large\); former tables stay in force; free space", done.stdout)
    assert read_table_set(tmp_path / "out") == good.tables
    assert not list((tmp_path / "out/snapshots").glob(".tmp-*"))


def test_only_the_current_and_the_previous_snapshot_are_kept(tmp_path: Path) -> None:
    def snapshot_of(user: str) -> str:
        return ingested(tmp_path, lines=line_of(user=user)).tables.manifest.snapshot

    first, second, third = snapshot_of("u1"), snapshot_of("u2"), snapshot_of("u3")
    assert _snapshots(tmp_path / "out") == sorted([second, third])
    assert snapshot_of("u3") == third
    assert _snapshots(tmp_path / "out") == sorted([second, third])
    assert snapshot_of("u1") == first
    assert _snapshots(tmp_path / "out") == sorted([third, first])


def test_a_failed_ingest_leaves_the_current_tables_unchanged(tmp_path: Path) -> None:
    good = ingested(tmp_path)
    before = _state(tmp_path / "out")
    for text, files in (
        ("line 2 has 2 columns, expected 7", {"lines": "u1,a\n"}),
        ("rule 'bad timestamp' dropped 1", {"lines": line_of(when="")}),
        ("has no column 'sku'", {"items": "x\n1\n"}),
        ("line 1 is not JSON", {"users": "{"}),
    ):
        with pytest.raises(DataError, match=text):
            ingested(tmp_path, **files)
    assert _state(tmp_path / "out") == before
    assert read_table_set(tmp_path / "out") == good.tables


# The program kills itself at the n-th call of a function that writes to disk.
KILLED = """
import os, signal, sys
from pathlib import Path
import pyarrow.parquet
from tfrec.data.ingest import ingest
from tfrec.data.mapping import read_mapping

calls = 0
def kill_at(module, name, at):
    real = getattr(module, name)
    def call(*arguments, **named):
        global calls
        calls += 1
        if calls == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments, **named)
    setattr(module, name, call)

functions = {"write": (pyarrow.parquet, "write_table"), "rename": (Path, "rename"), "replace": (os, "replace")}
kill_at(*functions[sys.argv[3]], int(sys.argv[4]))
ingest(read_mapping(Path(sys.argv[1])), Path(sys.argv[2]), 2)
"""


@pytest.mark.parametrize(("where", "call"), [("write", 1), ("write", 4), ("write", 9), ("rename", 1), ("replace", 1)])
def test_a_killed_ingest_leaves_the_current_tables_and_the_next_ingest_deletes_its_files(
    tmp_path: Path, where: str, call: int
) -> None:
    good = ingested(tmp_path)
    rows = rows_of(good.tables, "interactions")
    mapping = write_shop(tmp_path / "shop", lines=line_of(user="u9"))
    command = [sys.executable, "-c", KILLED, str(mapping), str(tmp_path / "out"), where, str(call)]
    killed = subprocess.run(command, cwd=Path(__file__).parents[3], capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert len(_snapshots(tmp_path / "out")) == 2  # the killed ingest left a folder
    assert read_table_set(tmp_path / "out") == good.tables
    assert rows_of(good.tables, "interactions") == rows

    again = ingest(read_mapping(mapping), tmp_path / "out", 2)
    assert rows_of(again.tables, "interactions")["user_id"].to_pylist() == ["u9"]
    assert _snapshots(tmp_path / "out") == sorted([good.tables.manifest.snapshot, again.tables.manifest.snapshot])
    assert not list((tmp_path / "out").glob(".tmp-*"))


def test_a_snapshot_with_a_missing_file_is_written_again(tmp_path: Path) -> None:
    tables = ingested(tmp_path).tables
    tables.part("items", 1).unlink()
    pq.write_table(pa.table({"x": [1, 2, 3]}), tables.part("users", 0))
    assert ingested(tmp_path).tables == tables
    assert sum(pq.read_metadata(path).num_rows for path in tables.parts("items")) == 1
    assert rows_of(tables, "users")["user_id"].to_pylist() == ["u1"]
    assert _snapshots(tmp_path / "out") == [tables.manifest.snapshot]


def test_an_ingest_is_refused_while_another_one_locks_the_folder(tmp_path: Path) -> None:
    ingested(tmp_path)
    with open(tmp_path / "out/.lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(DataError, match=r"another ingest is writing into .*; wait until it ends"):
            ingested(tmp_path, lines=line_of(user="u2"))
    ingested(tmp_path, lines=line_of(user="u2"))


def test_other_folders_beside_the_snapshots_are_kept(tmp_path: Path) -> None:
    (tmp_path / "out/snapshots/my backup").mkdir(parents=True)
    ingested(tmp_path)
    assert "my backup" in _snapshots(tmp_path / "out")
