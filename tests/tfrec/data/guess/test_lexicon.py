"""Names of columns, kinds and files in several languages."""

from __future__ import annotations

import pytest

from tfrec.data.guess.lexicon import kind_of, kind_of_file, role_score


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("visitorid", "user_id"),
        ("CustomerID", "user_id"),
        ("household_key", "user_id"),
        ("Kundennummer", "user_id"),
        ("用户ID", "user_id"),
        ("StockCode", "item_id"),
        ("Lineitem sku", "item_id"),
        ("items.item_id", "item_id"),
        ("product.id", "item_id"),
        ("Artículo", "item_id"),
        ("event_params[key=ga_session_id]", "session"),
        ("fk_order_id", "session"),
        ("Stückpreis", "price"),
        ("créé_created_at", "timestamp"),
    ],
)
def test_a_name_fits_its_role(name, role):
    assert role_score(name, role) > 0.5


@pytest.mark.parametrize("name", ["user_agent", "item_count", "username_changed", "x"])
def test_a_name_that_only_holds_the_word_fits_no_id(name):
    assert role_score(name, "user_id") == role_score(name, "item_id") == 0


def test_kinds_are_known_by_the_words_of_shops():
    words = ["pv", "Product Added", "ADD_TO_CART", "transaction", "купить", "浏览", "view_item"]
    assert [kind_of(word) for word in words] == ["view", "cart", "cart", "purchase", "purchase", "view", "view"]


def test_files_name_the_kind_of_their_rows():
    names = ["orders_export_1.csv", "train-item-views.csv", "ratings.dat", "yoochoose-clicks.dat", "log.csv"]
    assert [kind_of_file(name) for name in names] == ["purchase", "view", "rating", "click", None]
