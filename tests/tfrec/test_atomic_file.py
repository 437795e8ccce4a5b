"""Files that are replaced whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from tfrec.atomic_file import write_text


def test_a_file_is_written_and_replaced(tmp_path: Path) -> None:
    for text in ("café\n", "茶"):
        write_text(tmp_path / "note.json", text)
        assert (tmp_path / "note.json").read_bytes() == text.encode()
    assert [path.name for path in tmp_path.iterdir()] == ["note.json"]


def test_a_failed_write_leaves_the_former_text_and_nothing_beside_it(tmp_path: Path) -> None:
    write_text(tmp_path / "note.json", "former")
    with pytest.raises(UnicodeEncodeError, match="surrogates not allowed"):
        write_text(tmp_path / "note.json", "half \ud800")
    assert (tmp_path / "note.json").read_text(encoding="utf-8") == "former"
    assert [path.name for path in tmp_path.iterdir()] == ["note.json"]


def test_a_file_cannot_be_written_into_a_folder_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nosuch"):
        write_text(tmp_path / "nosuch" / "note.json", "text")
