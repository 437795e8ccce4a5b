"""Data files of folders, globs and names."""

from __future__ import annotations

from pathlib import Path

import pytest

from tfrec.data.readers.find import data_suffix, find_files, partition_values, warn_of_left_out
from tfrec.errors import DataError


def _touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def _found(*paths: Path, below: Path) -> list[str]:
    return [str(path.relative_to(below)) for path in find_files(paths)]


def test_data_files_of_a_folder_and_a_glob_are_sorted(tmp_path: Path) -> None:
    (tmp_path / "2024/_tmp").mkdir(parents=True)
    for name in (
        "b.csv",
        "a.csv.gz",
        "_SUCCESS",
        ".hidden.csv",
        "notes.md",
        "2024/c.parquet",
        "2024/_tmp/d.csv",
    ):
        (tmp_path / name).touch()
    folder = [str(path.relative_to(tmp_path)) for path in find_files([tmp_path])]
    assert folder == ["2024/c.parquet", "a.csv.gz", "b.csv"]
    assert [path.name for path in find_files([tmp_path / "*.csv*"])] == ["a.csv.gz", "b.csv"]
    with pytest.raises(DataError, match=r"none\.csv matches no CSV, JSON or Parquet file; correct the path"):
        find_files([tmp_path / "none.csv"])


def test_what_tfrec_wrote_is_read_only_where_it_is_named(tmp_path: Path) -> None:
    own = "data/shop/snapshots/1/users.csv"
    _touch(tmp_path, own, "data/shop/manifest.json", "out/pipelines/shop/work/a.csv", "crm/pipelines/b.csv", "log.csv")
    assert _found(tmp_path, below=tmp_path) == ["crm/pipelines/b.csv", "log.csv"]
    assert _found(tmp_path / "**/*.csv", below=tmp_path) == ["crm/pipelines/b.csv", "log.csv"]
    assert _found(tmp_path / "data/shop/snapshots", below=tmp_path) == [own]
    assert _found(tmp_path / "data/shop/snapshots/1/*.csv", below=tmp_path) == [own]


def test_a_linked_folder_is_read_and_a_link_to_a_folder_above_is_not_followed(tmp_path: Path) -> None:
    _touch(tmp_path, "logs/d1/a.csv", "store/d2/b.csv")
    (tmp_path / "logs/d2").symlink_to("../store/d2")
    (tmp_path / "logs/d1/up").symlink_to("../../logs")
    assert _found(tmp_path / "logs", below=tmp_path) == ["logs/d1/a.csv", "logs/d2/b.csv"]


def test_a_link_that_leads_nowhere_is_refused(tmp_path: Path) -> None:
    _touch(tmp_path, "logs/a.csv")
    (tmp_path / "logs/d2").symlink_to("../gone")
    with pytest.raises(DataError, match=r"logs/d2 is a link to \.\./gone, which is missing; repair or remove"):
        find_files([tmp_path / "logs"])


def test_glob_characters_in_the_name_of_an_existing_folder_are_literal(tmp_path: Path) -> None:
    _touch(tmp_path, "shop[1]/logs/a.csv", "shop[1]/logs/b.csv", "shop1/logs/c.csv")
    assert _found(tmp_path / "shop[1]/logs", below=tmp_path) == ["shop[1]/logs/a.csv", "shop[1]/logs/b.csv"]
    assert _found(tmp_path / "shop[1]/logs/a*", below=tmp_path) == ["shop[1]/logs/a.csv"]
    assert _found(tmp_path / "shop[1]/**/b.csv", below=tmp_path) == ["shop[1]/logs/b.csv"]


def test_files_named_or_matched_by_a_glob_may_have_any_suffix(tmp_path: Path) -> None:
    _touch(tmp_path, "clicks.dat", "part-0", "_SUCCESS")
    assert _found(tmp_path / "clicks.dat", below=tmp_path) == ["clicks.dat"]
    assert _found(tmp_path / "*", below=tmp_path) == ["clicks.dat", "part-0"]
    with pytest.raises(DataError, match="matches no CSV, JSON or Parquet file"):
        find_files([tmp_path])


def test_files_of_a_folder_without_a_known_suffix_are_named_and_read_if_the_format_is_known(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _touch(tmp_path, "part-00000", "part-00001", "a.csv", "_SUCCESS", "shop.yaml")
    assert _found(tmp_path, below=tmp_path) == ["a.csv"]
    warn_of_left_out([tmp_path, tmp_path / "a.csv"])
    assert "files left out for their suffix: 2, such as" in caplog.text
    assert "part-00000; give `format` to read all" in caplog.text
    assert [path.name for path in find_files([tmp_path], any_suffix=True)] == ["a.csv", "part-00000", "part-00001"]


def test_folders_that_a_glob_matches_are_read_and_a_file_found_twice_is_read_once(tmp_path: Path) -> None:
    _touch(tmp_path, "dt=1/a.csv", "dt=2/b.csv.zip")
    paths = (tmp_path / "dt=*", tmp_path / "dt=1/a.csv")
    assert _found(*paths, below=tmp_path) == ["dt=1/a.csv", "dt=2/b.csv.zip"]


@pytest.mark.parametrize(
    ("name", "suffix"), [("a.CSV.gz", ".csv"), ("a.jsonl.zst", ".jsonl"), ("a.gz", ".gz"), ("a", ""), ("b.tsv", ".tsv")]
)
def test_the_suffix_of_a_compression_does_not_count(name: str, suffix: str) -> None:
    assert data_suffix(Path(name)) == suffix


def test_the_names_of_folders_give_columns() -> None:
    path = Path("events/dt=2024-03-01/city=New%20York/kind=__HIVE_DEFAULT_PARTITION__/a=b.parquet")
    assert partition_values(path) == {"dt": "2024-03-01", "city": "New York", "kind": None}
