"""What is refused, or warned of, before a training begins."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest

from pipeline.run_checks import check_data, check_folders, check_space, estimate_disk, estimate_memory
from pipeline.runs import Run, RunFolders
from tests.conftest import WriteTables
from tfrec.config import Config, EvaluationConfig, ExamplesConfig, SplitConfig
from tfrec.errors import ConfigError, DataError, MachineError
from tfrec.schema import Manifest, TableSet

Event = tuple  # of tests/conftest.py


def purchases(*days: str, users: int = 40) -> list[Event]:
    """Every user buys one thing on each of the days."""
    return [(f"u{user:02}", "tea", "purchase", f"{day} 12:00:00", *[None] * 5) for user in range(users) for day in days]


def run_on(tables: TableSet, out: Path, split: SplitConfig | None = None, kinds: tuple = ()) -> Run:
    examples = ExamplesConfig(split=split or SplitConfig(7, 7))
    config = Config(examples=examples, evaluation=EvaluationConfig(label_kinds=kinds))
    return Run("shop", tables=str(tables.root), out=str(out), config=config)


def test_windows_with_labels_pass_in_silence(
    tmp_path: Path, write_tables: WriteTables, capsys: pytest.CaptureFixture[str]
) -> None:
    # Test window: 2024-02-01 to 02-07; validation: 2024-01-25 to 01-31.
    tables = write_tables(tmp_path, purchases("2024-01-01", "2024-01-25", "2024-02-01", "2024-02-07"))
    check_data(run_on(tables, tmp_path / "not made yet"))
    assert capsys.readouterr().out == ""


def test_one_stray_event_months_after_all_others_is_named_by_the_last_dates(
    tmp_path: Path, write_tables: WriteTables
) -> None:
    stray = ("u00", "tea", "purchase", "2024-06-01 12:00:00", *[None] * 5)
    tables = write_tables(tmp_path, [*purchases("2024-02-08", "2024-02-09"), stray])
    # 40 buyers on each of two days; the test window ends with the stray event's day.
    with pytest.raises(
        DataError,
        match=r"the validation window, 2024-05-19 to 2024-05-25, holds no label, an event with an item; the last days "
        r"with labels are 2024-02-08 \(40\), 2024-02-09 \(40\), 2024-06-01 \(1\); correct or remove stray dates",
    ):
        check_data(run_on(tables, tmp_path))


def test_a_last_day_far_from_all_others_is_a_warning_where_the_windows_hold_labels(
    tmp_path: Path, write_tables: WriteTables, capsys: pytest.CaptureFixture[str]
) -> None:
    stray = ("u00", "tea", "purchase", "2024-02-09 12:00:00", *[None] * 5)
    tables = write_tables(tmp_path, [*purchases("2024-01-01", "2024-02-02"), stray])
    # Test window 2024-02-03 to 02-09, with the stray event alone; validation 2024-01-27 to 02-02.
    check_data(run_on(tables, tmp_path))
    out = capsys.readouterr().out
    assert "warning: only 1 users have a label in the test window, so the verdict is uncertain" in out
    assert "warning: 2024-02-09, the last day, is 7 days after the day before it" in out


def test_windows_without_the_kinds_that_are_labels_are_refused(tmp_path: Path, write_tables: WriteTables) -> None:
    views = [(*event[:2], "view", *event[3:]) for event in purchases("2024-02-07")]
    tables = write_tables(tmp_path, [*purchases("2024-01-01", "2024-01-25"), *views])
    check_data(run_on(tables, tmp_path))
    with pytest.raises(DataError, match=r"test window, 2024-02-01 to 2024-02-07, holds no label, an event of kind pur"):
        check_data(run_on(tables, tmp_path, kinds=("purchase",)))
    with pytest.raises(DataError, match=r"training data, before 2024-01-25, .*event of kind cart; there is no label"):
        check_data(run_on(tables, tmp_path, kinds=("cart",)))


def test_windows_longer_than_the_data_are_refused(tmp_path: Path, write_tables: WriteTables) -> None:
    tables = write_tables(tmp_path, purchases("2024-02-01", "2024-02-07"))
    with pytest.raises(ConfigError, match=r"test_days 28 and validation_days 28 cover all 6.0 days of the data"):
        check_data(run_on(tables, tmp_path, SplitConfig()))


def test_the_day_after_the_day_before_is_no_gap(
    tmp_path: Path, write_tables: WriteTables, capsys: pytest.CaptureFixture[str]
) -> None:
    tables = write_tables(tmp_path, purchases("2024-02-06", "2024-02-07", "2024-02-08"))
    check_data(run_on(tables, tmp_path, SplitConfig(test_days=1, validation_days=1)))
    assert "warning: 2024-02-08, the last day" not in capsys.readouterr().out


def test_an_order_needs_a_user_with_three_ranks(
    tmp_path: Path, write_tables: WriteTables, capsys: pytest.CaptureFixture[str]
) -> None:
    def ranked(*ranks: int) -> list[Event]:
        return [("ann", "tea", "purchase", f"1970-01-01 00:00:0{rank}", *[None] * 5) for rank in ranks]

    check_data(run_on(write_tables(tmp_path / "three", ranked(0, 1, 2), clock="order"), tmp_path))
    assert "warning: only 1 users have a label in the test window" in capsys.readouterr().out
    with pytest.raises(
        DataError, match="no user has labels, an event with an item, at the last of two ranks of the order"
    ):
        check_data(run_on(write_tables(tmp_path / "two", ranked(0, 1, 1), clock="order"), tmp_path))


def test_leave_last_out_needs_a_user_with_three_times(tmp_path: Path, write_tables: WriteTables) -> None:
    # Milliseconds of one second are one time.
    def bought(*times: str) -> list[Event]:
        return [("ann", "tea", "purchase", f"2024-01-01 {time}", *[None] * 5) for time in times]

    last_out = SplitConfig(method="leave_last_out")
    three = write_tables(tmp_path / "three", bought("10:00:00.000", "10:00:01.000", "10:00:02.000"))
    check_data(run_on(three, tmp_path, last_out))
    two = write_tables(tmp_path / "two", bought("10:00:00.000", "10:00:01.000", "10:00:01.500"))
    with pytest.raises(DataError, match="no user has labels, an event with an item, at the last of two times"):
        check_data(run_on(two, tmp_path, last_out))


def test_baskets_that_are_held_out_must_hold_a_label(tmp_path: Path, write_tables: WriteTables) -> None:
    def of_kinds(*kinds: str) -> list[Event]:
        return [("ann", "tea", kind, f"1970-01-01 00:00:0{rank}", *[None] * 5) for rank, kind in enumerate(kinds)]

    bought = write_tables(tmp_path / "bought", of_kinds("view", "purchase", "purchase"), clock="order")
    check_data(run_on(bought, tmp_path, kinds=("purchase",)))
    viewed = write_tables(tmp_path / "viewed", of_kinds("purchase", "purchase", "purchase", "view"), clock="order")
    with pytest.raises(DataError, match="no user has labels, an event of kind purchase, at the last of two ranks"):
        check_data(run_on(viewed, tmp_path, kinds=("purchase",)))


def test_a_folder_whose_name_is_a_pattern_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "proj [v2]"
    folder.mkdir()
    monkeypatch.chdir(folder)
    with pytest.raises(ConfigError, match=r"`tables` is .*proj \[v2\]/data/shop, but Beam reads \* \? and \["):
        check_folders(RunFolders("shop", "data/shop"))
    with pytest.raises(ConfigError, match=r"`out` is .*proj \[v2\]/out, but Beam reads"):
        check_folders(RunFolders("shop", str(tmp_path)))
    assert list(folder.iterdir()) == []


def test_an_output_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(MachineError, match=r"`out` is .*file/out, which can't be made \(Not a directory\); name anoth"):
        check_folders(RunFolders("shop", str(tmp_path), str(tmp_path / "file" / "out")))


def test_the_estimates_follow_the_documented_measurements() -> None:
    # 1,460,438 events and 92,331 items: 1.2 GB and 0.46 kB an event; 600 bytes an event and six
    # times 100 MB and 3.5 kB an item.
    rows = {"interactions": 1_460_438, "items": 92_331, "users": 2_469}
    manifest = dataclasses.replace(Manifest("", "", "utc", 1, rows, 0, 0, (), (), []))
    assert estimate_memory(manifest) == 1_871_801_480
    assert estimate_disk(manifest) == 3_415_213_800


def test_a_small_machine_is_a_warning(
    tmp_path: Path, shop: TableSet, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.run_checks.memory_bytes", lambda: 1_000_000_000)
    usage = shutil.disk_usage(tmp_path)._replace(free=200_000_000)
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
    check_data(run_on(shop, tmp_path, SplitConfig()))
    out = capsys.readouterr().out
    assert "warning: the run needs about 1.2 GB of memory, and this machine has 1.0" in out
    assert f"warning: a whole run writes about 0.6 GB below {tmp_path}, where 0.2 are free" in out


def test_a_full_disk_is_refused_before_the_run_and_named_after_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=6_000_000)
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
    with pytest.raises(MachineError, match=r"where 6.0 MB are free, fewer than 100; free some"):
        check_folders(RunFolders("shop", str(tmp_path / "tables"), str(tmp_path)))
    with pytest.raises(
        MachineError, match=r"the run failed, and .* has 6.0 MB free; free some and run it again, which"
    ):
        check_space(RunFolders("shop", "", str(tmp_path)), RuntimeError("database or disk is full"))


def test_a_folder_without_the_right_to_write_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: False)  # root may write everywhere
    with pytest.raises(MachineError, match=r"`out` is .*, which can't be written; change its rights or name another"):
        check_folders(RunFolders("shop", str(tmp_path / "tables"), str(tmp_path)))
