"""The larger shop of the measurements of scale: who is in it, and that it is shopped in as in the real one."""

from __future__ import annotations

import pandas as pd
import pytest

from benchmarks.enlarged_shop import grow
from tfrec.data.ingest import ingest
from tfrec.data.mapping import read_mapping
from tfrec.schema import TableSet, read_table_set


@pytest.fixture(scope="module")
def grown(shop: TableSet, tmp_path_factory: pytest.TempPathFactory) -> TableSet:
    """The shop of 6 users, 8 items and 24 interactions, four times as large, as `tfrec ingest` reads it."""
    folder = tmp_path_factory.mktemp("grown")
    ingest(read_mapping(grow(shop, 4, folder / "raw")), folder / "tables", partitions=2)
    return read_table_set(folder / "tables")


def read(tables: TableSet, name: str) -> pd.DataFrame:
    return pd.concat([pd.read_parquet(path) for path in tables.parts(name)])


def test_events_and_users_grow_with_the_factor_and_items_with_its_root(grown: TableSet) -> None:
    assert grown.manifest.rows == {"interactions": 4 * 24, "items": 2 * 8, "users": 4 * 5}
    assert read(grown, "interactions")["user_id"].nunique() == 4 * 6
    assert (grown.manifest.profile_columns, grown.manifest.item_columns) == (("age", "city"), ("maker",))


def test_who_bought_a_product_again_does_so_in_every_copy(grown: TableSet) -> None:
    events = read(grown, "interactions")
    for copy in range(4):
        soap = events[(events["user_id"] == f"eve-{copy}") & (events["kind"] == "purchase")]
        assert len(soap) == 3
        assert soap["item_id"].nunique() == 1
        assert soap["item_id"].iloc[0] in ("soap-0", "soap-1")


def test_each_makers_product_has_a_text_of_its_own(grown: TableSet) -> None:
    titles = read(grown, "items").set_index("item_id")["title"]
    assert (titles["soap-0"], titles["soap-1"]) == ("Soap", "Soap no. 1")
    assert titles.nunique() == 16


def test_searches_stay_searches(grown: TableSet) -> None:
    searches = read(grown, "interactions").query("kind == 'search'")
    assert len(searches) == 4
    assert searches["item_id"].isna().all()
