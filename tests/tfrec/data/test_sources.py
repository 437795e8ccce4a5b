"""Sources: The Complete Journey and MovieLens."""

from __future__ import annotations

import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tfrec.data.ingest import ingest_tables
from tfrec.data.sources import complete_journey, movielens
from tfrec.errors import DataError
from tfrec.schema import TableSet


def _rows(tables: TableSet, table: str, key: str) -> list[dict[str, object]]:
    parts = pa.concat_tables([pq.ParquetFile(path).read() for path in tables.parts(table)])
    return sorted(parts.to_pylist(), key=lambda row: row[key])


def test_a_transaction_line_is_a_purchase_at_its_unit_price() -> None:
    lines = pa.table(
        {
            "household_id": [900, 900],
            "basket_id": [31198570044, 31198570044],
            "product_id": [1095275, 7],
            "store_id": [330, 330],
            "quantity": [4, 0],
            "sales_value": [5.0, 1.0],
            "transaction_timestamp": pa.array([0, 1], pa.timestamp("ns")),
        }
    )
    events = complete_journey.to_interactions(lines)
    # 5.00 for 4 units is 1.25 each; the price of 0 units is unknown.
    assert events["price"].to_pylist() == [1.25, None]
    assert events["user_id"].to_pylist() == ["900", "900"]
    assert events["item_id"].to_pylist() == ["1095275", "7"]
    assert events["session"].to_pylist() == ["31198570044"] * 2
    assert events["store"].to_pylist() == ["330"] * 2
    assert set(events["kind"].to_pylist()) == {"purchase"}


def test_an_item_has_type_and_size_as_title_and_a_category_from_department_to_type() -> None:
    products = pa.table(
        {
            "product_id": [25671, 26081],
            "manufacturer_id": [2, 2],
            "department": ["GROCERY", "MISCELLANEOUS"],
            "brand": ["National", "National"],
            "product_category": ["FRZN ICE", None],
            "product_type": ["ICE - CRUSHED/CUBED", None],
            "package_size": ["22 LB", None],
        }
    )
    items = complete_journey.to_items(products)
    assert items["title"].to_pylist() == ["ICE - CRUSHED/CUBED 22 LB", ""]
    assert items["category"].to_pylist() == ["GROCERY > FRZN ICE > ICE - CRUSHED/CUBED", "MISCELLANEOUS"]
    assert items.column_names[3:] == ["brand", "manufacturer_id"]


def test_a_display_or_mailer_of_a_week_is_a_state_of_the_item_in_its_store() -> None:
    promotions = pa.table(
        {
            "product_id": [7, 7, 8],
            "store_id": [316, 337, 316],
            "display_location": ["9", "0", "0"],
            "mailer_location": ["A", "D", "0"],
            "week": [1, 2, 30],
        }
    )
    states = complete_journey.to_promotion_states(promotions)
    assert states["item_id"].to_pylist() == ["7", "7", "8"]
    assert states["store"].to_pylist() == ["316", "337", "316"]
    assert states["promotion"].to_pylist() == ["display 9, mailer A", "mailer D", None]
    # Weeks begin on Mondays at midnight in New York, 5:00 UTC in winter and 4:00 in summer.
    # Week 30 is 203 days after 2016-12-26: 2017-07-17.
    starts = ["2016-12-26 05:00", "2017-01-02 05:00", "2017-07-17 04:00"]
    assert [f"{start:%Y-%m-%d %H:%M}" for start in states["from"].to_pylist()] == starts
    assert f"{states['until'].to_pylist()[0]:%Y-%m-%d %H:%M}" == starts[1]


def test_a_coupon_is_a_state_of_its_product_during_the_campaign() -> None:
    coupons = pa.table({"coupon_upc": [1], "product_id": [7], "campaign_id": [26]})
    day = [datetime.datetime(2017, 1, 5)], [datetime.datetime(2017, 1, 6)]
    campaigns = pa.table({"campaign_id": [26, 27], "start_date": day[0] * 2, "end_date": day[1] * 2})
    (state,) = complete_journey.to_coupon_states(coupons, campaigns).to_pylist()
    assert (state["item_id"], state["promotion"], state["store"]) == ("7", "coupon of campaign 26", None)
    # From midnight of the first day to that after the last.
    assert [f"{state[name]:%d %H:%M}" for name in ("from", "until")] == ["05 05:00", "07 05:00"]


@pytest.mark.slow
def test_all_rows_of_the_complete_journey_are_ingested(tmp_path: Path) -> None:
    report = ingest_tables(complete_journey.load(), tmp_path, "complete-journey", 16)
    manifest = report.tables.manifest
    # Counted with pandas in the package's files: 1,469,307 lines, 8,869 of them with quantity <= 0.
    # Of the ids in the other lines, 3 are not among the 92,331 products (17 ids in all lines).
    # 20,940,529 displays and mailers and 116,204 coupons; 12,193 rows equal another one.
    read = {"interactions": 1_469_307, "items": 92_331, "users": 801}
    assert report.rows_read == read | {"item_states": 21_056_733}
    kept = {"interactions": 1_460_438, "items": 92_334, "users": 801}
    assert manifest.rows == kept | {"item_states": 21_044_540}
    assert manifest.interaction_columns == ("store",)
    effects = {(rule["table"], rule["rule"]): (rule["dropped"], rule["changed"]) for rule in manifest.rules}
    assert effects[("interactions", "quantity not positive")] == (8_869, 0)
    assert effects[("interactions", "exact duplicate")] == (0, 0)
    assert effects[("items", "sold but never described")] == (0, 3)
    assert manifest.profile_columns[:3] == ("age", "income", "home_ownership")
    assert manifest.item_columns == ("manufacturer_id",)


# Two users, two films, three ratings in each layout; 881250949 is 1997-12-04 15:55:49 UTC.
ML_100K = {
    "u.data": "196\t242\t3\t881250949\n196\t302\t3\t881250950\n186\t302\t3\t881250949\n",
    "u.item": "242|Kolya (1996)|24-Jan-1997||http://imdb|" + "0|0|0|0|0|1" + "|0" * 13 + "\n"
    "302|L.A. Confidential (1997)|01-Jan-1997||http://imdb|" + "0|0|0|0|0|0|1" + "|0" * 9 + "|1|0|0\n",
    "u.user": "196|49|M|writer|55105\n186|39|F|executive|00000\n",
}
ML_1M = {
    "ratings.dat": "196::242::3::881250949\n196::302::3::881250950\n186::302::3::881250949\n",
    "movies.dat": "242::Kolya (1996)::Comedy\n302::L.A. Confidential: Fée (1997)::Crime|Thriller\n",
    "users.dat": "196::M::45::20::55105\n186::F::35::7::00000\n",
}
ML_LATEST = {
    "ratings.csv": "userId,movieId,rating,timestamp\n"
    "196,242,3.0,881250949\n196,302,3.5,881250950\n186,302,3,881250949\n",
    "movies.csv": 'movieId,title,genres\n242,"Kolya, (1996)",(no genres listed)\n302,L.A.,Crime|Thriller\n',
}


@pytest.mark.parametrize("files", [ML_100K, ML_1M, ML_LATEST], ids=["ml-100k", "ml-1m", "ml-latest"])
def test_each_layout_of_movielens_gives_the_same_ratings(tmp_path: Path, files: dict[str, str]) -> None:
    tables = _movielens(tmp_path, files)
    events = _rows(tables, "interactions", "item_id")
    assert [(row["user_id"], row["item_id"]) for row in events if row["user_id"] == "196"] == [
        ("196", "242"),
        ("196", "302"),
    ]
    assert {row["kind"] for row in events} == {"rating"}
    assert len(events) == 3
    assert (tables.manifest.first_timestamp, tables.manifest.last_timestamp) == (881250949, 881250950)


def test_ml_100k_has_genres_from_flags_and_profiles(tmp_path: Path) -> None:
    tables = _movielens(tmp_path, ML_100K)
    kolya, confidential = _rows(tables, "items", "item_id")
    assert (kolya["title"], kolya["category"], kolya["genres"]) == ("Kolya (1996)", "Comedy", "Comedy")
    assert (confidential["category"], confidential["genres"]) == ("Crime", "Crime, Thriller")
    assert _rows(tables, "users", "user_id")[0] == {
        **{"user_id": "186", "age": "39", "gender": "F"},
        **{"occupation": "executive", "zip_code": "00000"},
    }


def test_ml_1m_titles_keep_colons_and_accents(tmp_path: Path) -> None:
    tables = _movielens(tmp_path, ML_1M)
    assert _rows(tables, "items", "item_id")[1]["title"] == "L.A. Confidential: Fée (1997)"
    assert tables.manifest.profile_columns == ("gender", "age", "occupation", "zip_code")


def test_ml_latest_has_no_users_and_may_lack_genres(tmp_path: Path) -> None:
    tables = _movielens(tmp_path, ML_LATEST)
    kolya = _rows(tables, "items", "item_id")[0]
    assert (kolya["title"], kolya["category"], kolya["genres"]) == ("Kolya, (1996)", None, None)
    assert tables.manifest.rows["users"] == 0


def test_a_folder_without_movielens_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds none of u.data, ratings.dat, ratings.csv; give the unpacked folder"):
        movielens.load(tmp_path)
    (tmp_path / "u.data").write_text(ML_100K["u.data"])
    with pytest.raises(DataError, match=r"lacks u\.item, which belongs to this layout of MovieLens"):
        movielens.load(tmp_path)


def _movielens(folder: Path, files: dict[str, str]) -> TableSet:
    (folder / "raw").mkdir()
    for name, text in files.items():
        (folder / "raw" / name).write_bytes(text.encode("utf-8" if name.endswith("csv") else "latin-1"))
    return ingest_tables(movielens.load(folder / "raw"), folder / "out", "movielens", 2).tables
