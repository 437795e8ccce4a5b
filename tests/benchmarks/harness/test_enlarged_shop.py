"""Enlarged shop: its size, repeat purchases, titles and searches."""

from __future__ import annotations

import pandas as pd
import pytest

from benchmarks.harness.enlarged_shop import write_enlarged_shop
from tfrec.data.ingest import ingest
from tfrec.data.mapping import read_mapping
from tfrec.schema import TableSet, read_table_set


@pytest.fixture(scope="module")
def enlarged(shop: TableSet, tmp_path_factory: pytest.TempPathFactory) -> TableSet:
    """The hand-written shop (24 events), enlarged 4 times and ingested."""
    folder = tmp_path_factory.mktemp("enlarged")
    ingest(read_mapping(write_enlarged_shop(shop, 4, folder / "raw")), folder / "tables", partitions=2)
    return read_table_set(folder / "tables")


def read(tables: TableSet, name: str) -> pd.DataFrame:
    return pd.concat([pd.read_parquet(path) for path in tables.parts(name)])


def test_users_and_events_grow_by_the_factor_and_items_by_its_square_root(enlarged: TableSet) -> None:
    assert enlarged.manifest.rows == {"interactions": 4 * 24, "items": 2 * 8, "users": 4 * 5}
    assert read(enlarged, "interactions")["user_id"].nunique() == 4 * 6
    assert (enlarged.manifest.profile_columns, enlarged.manifest.item_columns) == (("age", "city"), ("maker",))


def test_repeat_purchases_stay_in_each_copy(enlarged: TableSet) -> None:
    events = read(enlarged, "interactions")
    for copy in range(4):
        soap = events[(events["user_id"] == f"eve-{copy}") & (events["kind"] == "purchase")]
        assert len(soap) == 3
        assert soap["item_id"].nunique() == 1
        assert soap["item_id"].iloc[0] in ("soap-0", "soap-1")


def test_each_maker_has_its_own_title(enlarged: TableSet) -> None:
    titles = read(enlarged, "items").set_index("item_id")["title"]
    assert (titles["soap-0"], titles["soap-1"]) == ("Soap", "Soap no. 1")
    assert titles.nunique() == 16


def test_searches_have_no_item(enlarged: TableSet) -> None:
    searches = read(enlarged, "interactions").query("kind == 'search'")
    assert len(searches) == 4
    assert searches["item_id"].isna().all()
