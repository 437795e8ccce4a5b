"""Text of a table's files under the schema's names."""

from __future__ import annotations

from pathlib import Path

import pytest

from tfrec.data.mapping import read_mapping
from tfrec.data.sources.table_text import TableText, read_text
from tfrec.errors import DataError


def _read(folder: Path, mapping: str) -> TableText:
    (folder / "shop.yaml").write_text("interactions:\n" + mapping)
    return read_text(read_mapping(folder / "shop.yaml").interactions[0], "interactions")


def test_each_item_of_a_list_is_a_row_and_a_list_of_users_is_refused(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text('{"user": ["u1"], "items": ["a", "b"], "at": 1700000000}\n')
    mapping = "  {path: log.jsonl, kind: view, columns: {user_id: user, item_id: items, timestamp: at}}"
    assert _read(tmp_path, mapping).rows.to_pydict() == {
        "user_id": ["u1", "u1"],
        "item_id": ["a", "b"],
        "timestamp": ["1700000000"] * 2,
    }
    (tmp_path / "log.jsonl").write_text('{"user": ["u1", "u2"], "items": ["a"], "at": 1700000000}\n')
    with pytest.raises(DataError, match=r"log\.jsonl line 1 has a list of several values as 'user'"):
        _read(tmp_path, mapping)
