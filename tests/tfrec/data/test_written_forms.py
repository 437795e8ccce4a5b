"""Ingest of values whose form depends on the program that wrote a file."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tfrec.data.ingest import ingest
from tfrec.data.mapping import read_mapping

MAPPING = """\
interactions: {path: log.csv, kind: view, context: [store]}
items: {path: items.csv, columns: {category: shelf, brand: brand}}
users: {path: users.csv, profile: [children, region]}
"""


def test_categories_of_one_number_are_one_value_and_words_for_none_are_missing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "log.csv").write_text(
        'user_id,item_id,timestamp,store\n="01",a,2024-01-01,5.0\n="01",b,2024-01-02,5\n1.23457E+11,b,2024-01-02,5\n'
    )
    (tmp_path / "items.csv").write_text("item_id,title,shelf,brand\na,None,12.0,null\nb,nan,12,NAN\n")
    (tmp_path / "users.csv").write_text('user_id,children,region\n="01",3.0,None\nx,3,nan\ny,4,Null\n')
    (tmp_path / "shop.yaml").write_text(MAPPING)
    tables = ingest(read_mapping(tmp_path / "shop.yaml"), tmp_path / "out", 1).tables
    rows = {name: pq.ParquetFile(tables.part(name, 0)).read() for name in ("interactions", "items", "users")}
    assert rows["interactions"]["store"].to_pylist() == ["5", "5", "5"]
    assert set(rows["interactions"]["user_id"].to_pylist()) == {"01", "1.23457E+11"}
    assert rows["items"]["category"].to_pylist() == ["12", "12"]
    assert sorted(rows["items"]["title"].to_pylist()) == ["None", "nan"]  # titles are free text
    assert set(rows["items"]["brand"].to_pylist()) == {None, "NAN"}
    assert sorted(rows["users"]["children"].to_pylist()) == ["3", "3", "4"]
    assert rows["users"]["region"].to_pylist() == [None] * 3
    assert "interactions.user_id: 1 ids lost digits, for example '1.23457E+11'" in caplog.text


def test_prices_of_a_german_and_an_american_file_are_read_each_in_its_way(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = {"de": ["0,50", "1,50", "2,50"], "us": ["1,200"]}
    for name, prices in files.items():
        lines = "".join(f'u,{name}{n},2024-01-01,"{price}"\n' for n, price in enumerate(prices))
        (tmp_path / f"{name}.csv").write_text("user_id,item_id,timestamp,price\n" + lines)
    (tmp_path / "shop.yaml").write_text(
        "interactions: {path: [de.csv, us.csv], kind: purchase, columns: {price: price}}"
    )
    tables = ingest(read_mapping(tmp_path / "shop.yaml"), tmp_path / "out", 1).tables
    rows = pq.ParquetFile(tables.part("interactions", 0)).read().to_pylist()
    assert {row["item_id"]: row["price"] for row in rows} == {"de0": 0.5, "de1": 1.5, "de2": 2.5, "us0": 1200.0}
    assert "interactions.price: '1,200' may be a thousand or a fraction, and no value of its file" in caplog.text
