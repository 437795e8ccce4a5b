"""The complete file of a run: every setting, readable again."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.configuration import named_run
from pipeline.run_file import find_run
from tfrec.cli.main import main
from tfrec.schema import TableSet

SHOP = """\
interactions:
- path: log.csv
  columns: {kind: 'yes', user_id: 007}
  kinds: {'1': purchase}
preset: retail
label_kinds: [purchase]
out: there
partitions: 3
settings: {train.epochs: 3, tune.space: {train.logq: [true, false]}}
beam: {default: {engine: local-parallel, workers: 2, flags: [--a=b]}}
"""


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["config", *words]) == 0
    return capsys.readouterr().out


def test_what_is_printed_reads_as_the_same_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("shop.yaml").write_text(SHOP, encoding="utf-8")
    before, mapping = named_run("shop.yaml"), find_run("shop.yaml").mapping
    text = printed(capsys, "shop.yaml")
    Path("shop.yaml").write_text(text, encoding="utf-8")
    assert named_run("shop.yaml") == before
    assert find_run("shop.yaml").mapping == mapping
    assert find_run("shop.yaml").partitions == 3
    # The comment behind the preset is that of the file; everything else is printed as before.
    again = printed(capsys, "shop.yaml")
    assert [line for line in again.splitlines() if "preset" not in line] == [
        line for line in text.splitlines() if "preset" not in line
    ]


def test_a_setting_shows_its_default_where_it_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("shop.yaml").write_text(SHOP, encoding="utf-8")
    lines = printed(capsys, "shop.yaml").splitlines()
    assert "preset: none  # all settings stand below: preset retail, as the file says" in lines
    assert "  train.epochs: 3  # default: 8" in lines
    assert "  train.seed: 7" in lines
    assert "  evaluation.label_kinds: [purchase]  # default: []" in lines
    assert "  tune.space: {train.logq: [true, false]}  # default: {}" in lines
    assert not any("clock" in line or "vocabulary" in line for line in lines)


def test_the_reason_of_auto_is_printed(tmp_path: Path, shop: TableSet, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "auto.yaml").write_text(f"tables: {shop.root}\n", encoding="utf-8")
    assert "preset retail, 30% of the events repeat an item" in printed(capsys, str(tmp_path / "auto.yaml"))


def test_auto_without_tables_names_the_command_that_makes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("shop.yaml").write_text("interactions: {path: log.csv, kind: view}\n", encoding="utf-8")
    assert main(["config", "shop.yaml"]) == 2
    assert "into it first, such as `tfrec ingest shop.yaml`" in capsys.readouterr().err


def test_the_schema_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, "--schema").startswith('{\n  "$schema"')
