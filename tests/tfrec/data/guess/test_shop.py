"""A table of guesses: small exports of the usual shapes, the mapping of each, and its ingest."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.tfrec.data.guess import shops
from tfrec.data.guess.shop import guess_shop
from tfrec.data.ingest import ingest
from tfrec.data.mapping import TABLE_KEYS, read_mapping

# What each export is guessed to be, without the run's part.
GUESSES = {
    "RETAILROCKET": """
        interactions:
          path: events.csv
          columns: {user_id: visitorid, item_id: itemid, timestamp: timestamp, kind: event, session: transactionid}
          kinds: {addtocart: cart, transaction: purchase}
          timestamp_format: milliseconds
        """,
    "TAOBAO": """
        interactions:
          path: UserBehavior.csv
          header: [user_id, item_id, category_id, kind, timestamp]
          columns: {user_id: user_id, item_id: item_id, timestamp: timestamp, kind: kind}
          kinds: {pv: view, fav: favorite, buy: purchase}
          timestamp_format: seconds
        items:
          path: UserBehavior.csv
          header: [user_id, item_id, category_id, kind, timestamp]
          columns: {item_id: item_id, category: category_id}
        """,
    "LUMA": """
        interactions:
          path: products_reviews.csv
          columns: {user_id: reviewer, item_id: sku, rating: rating_value}
          kind: rating
          order: row number
        items:
          path: products.csv
          columns: {item_id: sku, title: name, price: price, description: description, category: categories,
                    product_type: product_type, color: color}
        reviews:
          path: products_reviews.csv
          columns: {user_id: reviewer, item_id: sku, stars: rating_value, text: review}
        """,
    "ONLINE_RETAIL": """
        interactions:
          path: OnlineRetail.csv
          columns: {user_id: CustomerID, item_id: StockCode, timestamp: InvoiceDate, session: InvoiceNo,
                    quantity: Quantity, price: UnitPrice}
          kind: purchase
          timestamp_format: '%m/%d/%Y %H:%M'
          cancelled: {column: InvoiceNo, prefix: C}
          only: {StockCode: '^[0-9]'}
        items:
          path: OnlineRetail.csv
          columns: {item_id: StockCode, title: Description, price: UnitPrice}
          only: {StockCode: '^[0-9]'}
        users:
          path: OnlineRetail.csv
          columns: {user_id: CustomerID, country: Country}
        """,
    "COMPLETE_JOURNEY": """
        interactions:
          path: transactions.csv
          columns: {user_id: household_id, item_id: product_id, timestamp: transaction_timestamp,
                    session: basket_id, quantity: quantity}
          kind: purchase
          context: {store: store_id}
        items:
          path: products.csv
          columns: {item_id: product_id, title: product_type, brand: brand, category: [department, product_category],
                    manufacturer_id: manufacturer_id, package_size: package_size}
        users:
          path: demographics.csv
          columns: {user_id: household_id, age: age, income: income, marital_status: marital_status,
                    household_size: household_size, household_comp: household_comp}
        """,
    "MOVIELENS_100K": """
        interactions:
          path: u.data
          delimiter: tab
          header: [user_id, item_id, rating, timestamp]
          columns: {user_id: user_id, item_id: item_id, timestamp: timestamp, rating: rating}
          kind: rating
          timestamp_format: seconds
        items:
          path: u.item
          delimiter: '|'
          header: [item_id, title, release_date, column_4, url, column_6, column_7, column_8]
          columns: {item_id: item_id, title: title}
        """,
    "MOVIELENS_1M": """
        interactions:
          path: ratings.dat
          delimiter: '::'
          header: [user_id, item_id, rating, timestamp]
          columns: {user_id: user_id, item_id: item_id, timestamp: timestamp, rating: rating}
          kind: rating
          timestamp_format: seconds
        items:
          path: movies.dat
          delimiter: '::'
          header: [item_id, title, genres]
          columns: {item_id: item_id, title: title, genres: genres}
        users:
          path: users.dat
          delimiter: '::'
          header: [user_id, gender, column_3, column_4, column_5]
          columns: {user_id: user_id, gender: gender}
        """,
    "MOVIELENS_LATEST": """
        interactions:
          path: ratings.csv
          columns: {user_id: userId, item_id: movieId, timestamp: timestamp, rating: rating}
          kind: rating
          timestamp_format: seconds
        items:
          path: movies.csv
          columns: {item_id: movieId, title: title, genres: genres}
        """,
    "GA4": """
        interactions:
          path: ga4.jsonl
          explode: items
          columns: {user_id: [user_id, user_pseudo_id], item_id: items.item_id, timestamp: event_timestamp,
                    kind: event_name, session: 'event_params[key=ga_session_id]', quantity: items.quantity,
                    price: items.price}
          kinds: {view_item: view, add_to_cart: cart}
        items:
          path: ga4.jsonl
          explode: items
          columns: {item_id: items.item_id, title: items.item_name, brand: items.item_brand, price: items.price,
                    category: items.item_category}
        """,
    "SHOPIFY": """
        interactions:
          path: orders_export_1.csv
          columns: {user_id: Email, item_id: Lineitem sku, timestamp: Created at, session: Name,
                    quantity: Lineitem quantity, price: Lineitem price}
          kind: purchase
          cancelled: {column: Cancelled at}
          per_session: [cancelled]
        items:
          path: orders_export_1.csv
          columns: {item_id: Lineitem sku, title: Lineitem name, brand: Vendor, price: Lineitem price}
        """,
    "WOOCOMMERCE": """
        interactions:
          path: orders.csv
          delimiter: ';'
          columns: {user_id: Billing Email, item_id: SKU, timestamp: Order Date, session: Order ID,
                    quantity: Quantity, price: Item Price}
          kind: purchase
          only: {Order Status: '^(completed|processing)$'}
        items:
          path: orders.csv
          delimiter: ';'
          columns: {item_id: SKU, title: Product Name, price: Item Price}
        """,
}

# Rows of interactions, items and users that the ingest of each guess keeps.
ROWS = {
    "RETAILROCKET": (6, 5, 0),
    "TAOBAO": (9, 4, 0),
    "LUMA": (4, 3, 0),
    "ONLINE_RETAIL": (8, 3, 3),  # of 11: a canceled line, a line without a user, postage
    "COMPLETE_JOURNEY": (4, 5, 3),
    "MOVIELENS_100K": (4, 3, 0),
    "MOVIELENS_1M": (4, 3, 2),
    "MOVIELENS_LATEST": (3, 3, 0),
    "GA4": (4, 2, 0),  # of 5: session_start has no item
    "SHOPIFY": (3, 3, 0),  # of 5: both lines of order #1002, which its first line says is canceled
    "WOOCOMMERCE": (3, 3, 0),  # of 5: an order canceled, one refunded
}


@pytest.fixture
def folder(tmp_path):
    """A folder of the shop's files, which are kept apart from shop.yaml."""
    (tmp_path / "raw").mkdir()
    return tmp_path / "raw"


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def guess(folder: Path, files: dict[str, str]) -> str:
    return guess_shop([write(folder, files)], folder).text


def tables_of(text: str) -> dict[str, object]:
    parsed = yaml.load(text, Loader=yaml.BaseLoader)
    return {name: table for name, table in parsed.items() if name in TABLE_KEYS}


@pytest.mark.parametrize("name", GUESSES)
def test_an_export_is_guessed(folder, name):
    assert tables_of(guess(folder, getattr(shops, name))) == tables_of(GUESSES[name])


@pytest.mark.parametrize("name", ROWS)
def test_a_guess_is_a_mapping_that_ingest_takes(tmp_path, folder, name):
    (folder / "shop.yaml").write_text(guess(folder, getattr(shops, name)), encoding="utf-8")
    rows = ingest(read_mapping(folder / "shop.yaml"), tmp_path / "tables", partitions=1).tables.manifest.rows
    assert (rows["interactions"], rows["items"], rows["users"]) == ROWS[name]
