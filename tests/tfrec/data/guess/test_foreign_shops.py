"""Exports in other languages and shapes: German orders, nested sessions, orders in two files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from tfrec.data.guess.shop import Guess, guess_shop


def guess(folder: Path, files: dict[str, str]) -> Guess:
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return guess_shop([folder], folder)


def parsed(found: Guess) -> dict[str, Any]:
    return yaml.load(found.text, Loader=yaml.BaseLoader)


def test_german_orders(tmp_path):
    orders = """\
Bestellnummer;Kundennummer;Artikelnummer;Bezeichnung;Menge;Einzelpreis;Bestelldatum
1001;7;A1;Teekanne;1;19,90;03.02.2024
1002;8;A2;Tasse blau;2;7,50;24.06.2024
"""
    found = guess(tmp_path, {"bestellungen.csv": orders, "kunden.csv": "Kundennummer;Ort\n7;Köln\n8;Bonn\n"})
    assert found.n_doubts == 0
    assert parsed(found)["interactions"] == {
        "path": "bestellungen.csv",
        "delimiter": ";",
        "columns": {
            "user_id": "Kundennummer",
            "item_id": "Artikelnummer",
            "timestamp": "Bestelldatum",
            "session": "Bestellnummer",
            "quantity": "Menge",
            "price": "Einzelpreis",
        },
        "kind": "purchase",
        "timestamp_format": "%d.%m.%Y",
    }
    assert parsed(found)["users"]["columns"] == {"user_id": "Kundennummer", "ort": "Ort"}


def test_sessions_with_a_list_of_events(tmp_path):
    rows = """\
{"session":1,"events":[{"aid":10,"ts":1661724000278,"type":"clicks"},{"aid":11,"ts":1661724000378,"type":"carts"}]}
{"session":2,"events":[{"aid":10,"ts":1669724000278,"type":"clicks"},{"aid":12,"ts":1672724000278,"type":"orders"}]}
"""
    found = parsed(guess(tmp_path, {"train.jsonl": rows}))["interactions"]
    assert found["explode"] == "events"
    assert found["columns"]["item_id"] == "events.aid"
    assert found["kinds"] == {"clicks": "click", "carts": "cart", "orders": "purchase"}


def test_orders_whose_users_are_in_another_file(tmp_path):
    found = guess(
        tmp_path,
        {
            "orders.csv": "order_id,user_id,order_dow\n1,1,2\n2,1,3\n3,2,3\n",
            "order_products.csv": "order_id,product_id,add_to_cart_order\n1,33,1\n1,28,2\n2,33,1\n3,28,1\n",
        },
    )
    text = " ".join(found.text.replace("#", " ").split())
    assert "orders.csv has the user (user_id) of each order_id; join the two into one file" in text
    assert parsed(found)["interactions"]["path"] == "order_products.csv"


def test_carts_that_are_undone_are_dropped_without_a_doubt(tmp_path):
    log = """\
event_time,event_type,product_id,category_code,brand,price,user_id,user_session
2019-10-01 00:00:00 UTC,view,446,furniture.living_room.sofa,shiseido,35.79,541,s1
2019-10-01 00:00:01 UTC,cart,390,appliances.kitchen.oven,aqua,33.20,554,s2
2019-11-05 00:00:01 UTC,remove_from_cart,390,appliances.kitchen.oven,aqua,33.20,554,s2
2020-03-25 00:00:01 UTC,purchase,446,furniture.living_room.sofa,shiseido,35.79,519,s3
"""
    found = guess(tmp_path, {"2019-Oct.csv": log})
    assert found.n_doubts == 0
    assert "# rows of remove_from_cart are no kind of tfrec and are dropped\n" in found.text
    assert parsed(found)["items"]["columns"]["brand"] == "brand"


def test_days_without_a_year_are_an_order(tmp_path):
    log = "user_id,item_id,time_stamp,action\nu1,a,0829,click\nu1,b,1030,click\nu2,a,1111,buy\n"
    found = parsed(guess(tmp_path, {"log.csv": log}))["interactions"]
    assert found["order"] == "time_stamp"
    assert "timestamp" not in found["columns"]


def test_a_book_with_an_author_is_an_item(tmp_path):
    books = "book_id,title,author,publication_date\n1,Tea,Ann,2001-01-05\n2,Mugs,Bob,2002-02-06\n"
    ratings = "user,book_id,stars,date\nu1,1,5,2024-01-05\nu2,1,4,2024-02-05\nu2,2,3,2024-06-05\n"
    found = parsed(guess(tmp_path, {"books.csv": books, "ratings.csv": ratings}))
    assert (found["interactions"]["path"], found["items"]["path"]) == ("ratings.csv", "books.csv")


def test_the_column_and_table_that_join_the_most_rows_are_taken(tmp_path):
    # sku is the better name, but only 1 of 3 rows has a sku of the outlet; all have a code.
    orders = "user,sku,article_code,order_date\nu1,s1,7,2024-01-05\nu1,s2,8,2024-02-05\nu2,s3,9,2024-06-05\n"
    outlet = "sku,title\ns1,Tea\ns8,Mug\n"
    assortment = "article_code,label\n7,Tea\n8,Mug\n9,Lamp\n"
    found = parsed(guess(tmp_path, {"orders.csv": orders, "outlet.csv": outlet, "range.csv": assortment}))
    assert found["interactions"]["columns"]["item_id"] == "article_code"
    assert (found["items"]["path"], found["items"]["columns"]["item_id"]) == ("range.csv", "article_code")
