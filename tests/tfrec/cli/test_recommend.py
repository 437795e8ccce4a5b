"""The verbs that send requests, against a real server of the toy model (toy.py)."""

from __future__ import annotations

import json
import socket

import pytest

from tfrec.cli.main import main
from tfrec.errors import DataError


def test_an_unknown_user_is_an_error(capsys, shop):
    assert main(["recommend", "--user", "zoe", "--tables", str(shop.root)]) == 2
    assert "user 'zoe' is not in" in capsys.readouterr().err


def test_an_unreachable_server_is_an_error(capsys, shop):
    assert main(["recommend", "--user", "ann", "--tables", str(shop.root), "--server", "127.0.0.1:1"]) == 2
    assert "no model server answers there" in capsys.readouterr().err


def test_recommend_uses_the_users_whole_history(capsys, shop, address):
    # ann: pasta 2, tea 2 (a view and a purchase), sauce 1, fern 1 + 0.5 for Lyon.
    assert main(["recommend", "--user", "ann", "--k", "4", "--tables", str(shop.root), "--server", address]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "rank     score  item   title",
        "   1    2.0000  pasta  Penne, 500 g",
        "   2    2.0000  tea    西湖龙井 绿茶",
        "   3    1.5000  fern   Fern in a pot",
        "   4    1.0000  sauce  Tomato sauce",
    ]


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--exclude", "pasta", "--exclude", "sofa"], ["2.0000 tea", "1.5000 fern"]),
        (["--category", "Home", "--category", "Nowhere"], ["1.5000 fern", "0.0000 mug"]),
        (["--not-category", "Food"], ["1.5000 fern", "0.0000 mug"]),
        (["--not-category", "Food", "--diversity", "0.25"], ["1.5000 fern", "0.2500 lamp"]),
        (["--not-category", "Food", "--list-calibration", "0.5"], ["1.5000 fern", "0.5000 mug"]),
    ],
)
def test_flags_set_the_constraints(capsys, shop, address, flags, expected):
    # ann: pasta 2, tea 2, sauce 1, fern 1.5
    words = ["recommend", "--user", "ann", "--k", "2", "--tables", str(shop.root), "--server", address]
    assert main([*words, *flags]) == 0
    assert [" ".join(line.split()[1:3]) for line in capsys.readouterr().out.splitlines()[1:]] == expected


def test_a_category_that_leaves_no_item_is_an_error(capsys, shop, address):
    words = ["recommend", "--user", "ann", "--k", "2", "--tables", str(shop.root), "--server", address]
    assert main([*words, "--category", "Pasta", "--category", "Tea"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("tfrec: error: --category 'Pasta' 'Tea' leaves no item that may be shown; give the path")


def test_search_has_constraints_unless_the_model_lacks_them(capsys, address):
    assert main(["search", "Soap", "--k", "1", "--exclude", "soap", "--server", address]) == 2
    assert "exclude is ['soap'] but the served model takes no exclude_item_id" in capsys.readouterr().err


def test_rank_orders_the_named_items_for_a_user(capsys, shop, address):
    words = ["--user", "ann", "--tables", str(shop.root), "--server", address]
    assert main(["rank", "lamp", "sauce", "fern", *words]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "rank     score  item   title",
        "   1    1.5000  fern   Fern in a pot",
        "   2    1.0000  sauce  Tomato sauce",
        "   3    0.0000  lamp   Desk lamp",
    ]
    assert main(["rank", "lamp", "sofa", *words]) == 2
    assert "the served catalog does not hold 'sofa'; leave it out" in capsys.readouterr().err


def test_rank_until_a_day_uses_the_history_before_and_shows_later_events(capsys, shop, address):
    # Before 4 March ann has tea 2, pasta 1; fern has 0.5 for Lyon. Then she buys pasta and fern.
    words = ["rank", "pasta", "fern", "tea", "--user", "ann", "--until", "2024-03-04", "--tables", str(shop.root)]
    assert main([*words, "--server", address]) == 0
    assert capsys.readouterr().out.splitlines()[:5] == [
        "rank     score  then      item   title",
        "   1    2.0000            tea    西湖龙井 绿茶",
        "   2    1.0000  purchase  pasta  Penne, 500 g",
        "   3    0.5000  purchase  fern   Fern in a pot",
        "",
    ]


def test_ctr_prints_the_probability_of_each_kind_in_the_order_of_the_items(capsys, shop, address):
    # ann: fern 1.5, pasta 2, lamp none.
    words = ["--user", "ann", "--tables", str(shop.root), "--server", address]
    assert main(["ctr", "fern", "lamp", "pasta", *words]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "   click  purchase  item   title",
        "  0.1500    0.0150  fern   Fern in a pot",
        "  0.0000    0.0000  lamp   Desk lamp",
        "  0.2000    0.0200  pasta  Penne, 500 g",
    ]
    assert main(["ctr", "lamp", "sofa", *words]) == 2
    assert "the served catalog does not hold 'sofa'; leave it out" in capsys.readouterr().err


def test_embed_prints_a_line_of_json_for_a_query_a_user_and_each_item(capsys, shop, address):
    # An empty history is one event without an item; ann has 6 and is 25-34; "tea" has 3 characters.
    words = ["--tables", str(shop.root), "--server", address]
    assert main(["embed", "tea", *words]) == 0
    assert main(["embed", "--user", "ann", "--item", "mug", "--item", "fern", *words]) == 0
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [
        {"query": "tea", "embedding": [0.1, 0.3, 0.0]},
        {"user_id": "ann", "query": "", "embedding": [0.6, 0.0, 0.5]},
        # Of mug, 'Mug "Blue"', "Holds 300 ml", "Home > Kitchen", "Clay & Co" and "M2"; 6.0.
        {"item_id": "mug", "embedding": [3.0, 10.0, 12.0, 14.0, 9.0, 2.0, 6.0]},
        # Of fern, "Fern in a pot", "Likes shade", "Home > Plants".
        {"item_id": "fern", "embedding": [4.0, 13.0, 11.0, 13.0, 0.0, 0.0, 0.0]},
    ]


@pytest.mark.parametrize(
    ("flags", "text"),
    [([], "nothing is named to embed; give a query, --user or --item"), (["--item", "sofa"], "item 'sofa' is not in")],
)
def test_embed_needs_a_query_a_user_or_a_known_item(capsys, shop, flags, text):
    assert main(["embed", *flags, "--tables", str(shop.root)]) == 2
    assert text in capsys.readouterr().err


def test_rest_gives_the_same_output_as_grpc(capsys, shop, addresses):
    ann = ["--user", "ann", "--tables", str(shop.root)]
    verbs = [
        ["recommend", *ann, "--k", "3"],
        ["search", "Soap", "--k", "2"],
        ["rank", "lamp", "fern", *ann],
        ["ctr", "lamp", "fern", *ann],
        ["similar", "tea", "--k", "3"],
        ["embed", "tea", "--item", "mug", *ann],
    ]
    by_grpc, by_rest = addresses
    for words in verbs:
        assert main([*words, "--server", by_grpc]) == 0
        output = capsys.readouterr().out
        for flags in (["--rest", "--server", by_rest], ["--server", f"http://{by_rest}"]):
            assert main([*words, *flags]) == 0
            assert capsys.readouterr().out == output


def test_flags_choose_a_version_or_a_label(capsys, address):
    assert main(["search", "Soap", "--k", "1", "--version", "1", "--server", address]) == 0
    assert main(["search", "Soap", "--k", "1", "--version", "7", "--server", address]) == 2
    assert main(["search", "Soap", "--k", "1", "--label", "stable", "--server", address]) == 2
    err = capsys.readouterr().err.splitlines()
    assert "Servable not found for request: Specific(tfrec, 7)" in err[0]
    assert "Unrecognized servable version label: stable" in err[1]


def test_timeout_limits_a_request(capsys):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        words = ["--timeout", "0.3", "--server", f"127.0.0.1:{silent.getsockname()[1]}"]
        assert main(["similar", "tea", *words]) == 2
    assert "did not answer its metadata within timeout_seconds=0.3" in capsys.readouterr().err


def test_recommend_until_a_day_shows_the_later_events(capsys, shop, address):
    # Before 4 March ann has tea 2, pasta 1, sauce 1; fern has 0.5 for Lyon. Then she buys pasta and
    # fern.
    words = ["recommend", "--user", "ann", "--until", "2024-03-04", "--k", "3"]
    assert main([*words, "--tables", str(shop.root), "--server", address]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out == [
        "rank     score  then      item   title",
        "   1    2.0000            tea    西湖龙井 绿茶",
        "   2    1.0000  purchase  pasta  Penne, 500 g",
        "   3    1.0000            sauce  Tomato sauce",
        "",
        "What really came next: 2 different items, 2 of them:",
        "      2024-03-10  purchase  pasta  Penne, 500 g",
        "      2024-03-20  purchase  fern  Fern in a pot",
    ]


def test_of_several_later_events_with_an_item_the_weightiest_is_shown(capsys, shop, address):
    # fay has no history before; she clicks tea and mug, then buys tea and fern.
    words = ["recommend", "--user", "fay", "--until", "2024-03-25", "--k", "4"]
    assert main([*words, "--tables", str(shop.root), "--server", address]) == 0
    out = capsys.readouterr().out.splitlines()
    # pasta, sauce, tea, mug
    assert [line[16:24].strip() for line in out[1:5]] == ["", "", "purchase", "click"]
    assert out[6:] == [
        "What really came next: 3 different items, 3 of them:",
        '      2024-03-25  click  mug  Mug "Blue"',
        "      2024-03-31  purchase  tea  西湖龙井 绿茶",
        "      2024-03-31  purchase  fern  Fern in a pot",
    ]


def test_until_needs_timestamps(capsys, write_tables, tmp_path, address):
    tables = write_tables(tmp_path, clock="order")
    words = ["recommend", "--user", "ann", "--until", "2024-03-04", "--tables", str(tables.root)]
    assert main([*words, "--server", address]) == 2
    assert "--until is a date but the events of" in capsys.readouterr().err


def test_without_timestamps_the_model_sets_the_query_time(write_tables, tmp_path, monkeypatch):
    # The clock, or the position after another user's last event, would make all of the history old.
    from serving.client import Client

    arguments = {}

    def record(_, history, **named):
        arguments.update(named, events=len(history))
        raise DataError("enough")

    tables = write_tables(tmp_path, clock="order")
    monkeypatch.setattr(Client, "recommend", record)
    assert main(["recommend", "--user", "ann", "--tables", str(tables.root)]) == 2
    assert (arguments["now"], arguments["events"]) == (0, 6)


def test_a_server_of_another_shop_is_an_error(capsys, write_tables, tmp_path, address):
    tables = write_tables(
        tmp_path,
        interactions=[("ann", "sofa", "purchase", "2024-01-05 10:00:00", 1.0, 1.5, None, "a1", None)],
        items=[("sofa", "Sofa", None, None, None, 1.0, None)],
    )
    words = ["recommend", "--user", "ann", "--k", "3", "--tables", str(tables.root)]
    assert main([*words, "--server", address]) == 2
    assert "the server has another shop's model" in capsys.readouterr().err


@pytest.mark.parametrize("flags", [[], ["--user", "ann"], ["--rest"]])
@pytest.mark.parametrize("query", ["", " ", "\u3000"])
def test_a_blank_query_is_an_error(capsys, shop, query, flags):
    assert main(["search", query, "--tables", str(shop.root), *flags]) == 2
    assert f"the query is {query!r} but must hold a word; `recommend` needs no query" in capsys.readouterr().err
    assert main(["embed", query, "--tables", str(shop.root)]) == 2
    assert "nothing is named to embed" in capsys.readouterr().err


def test_search_ranks_the_item_of_the_query_first(capsys, shop, address):
    assert main(["search", "Soap", "--k", "1", "--server", address]) == 0
    assert capsys.readouterr().out.splitlines()[1] == "   1  100.0000  soap  Soap"


def test_search_for_a_user_uses_the_history(capsys, shop, address):
    # eve bought soap three times; her search for a mug adds 100 to the one she viewed.
    words = [
        "search",
        'Mug "Blue"',
        "--user",
        "eve",
        "--k",
        "2",
        "--tables",
        str(shop.root),
        "--server",
        address,
    ]
    assert main(words) == 0
    assert [line.split()[1:3] for line in capsys.readouterr().out.splitlines()[1:]] == [
        ["101.0000", "mug"],
        ["3.0000", "soap"],
    ]


def test_similar_lists_neighbors_and_an_unknown_item_is_an_error(capsys, address):
    assert main(["similar", "tea", "--k", "2", "--server", address]) == 0
    assert [line.split()[2] for line in capsys.readouterr().out.splitlines()[1:]] == ["pasta", "sauce"]
    assert main(["similar", "sofa", "--k", "2", "--server", address]) == 2
    assert "item 'sofa' is not in the served catalog" in capsys.readouterr().err


def test_status_shows_the_served_versions(capsys, address, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["status", "--server", address]) == 0
    assert capsys.readouterr().out == f"server   {address}: version 1 AVAILABLE\n"
    assert main(["status", "--server", "127.0.0.1:1"]) == 1


def test_a_shops_file_names_the_tables(capsys, shop, address, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop.yaml").write_text(f"tables: {shop.root}\n", encoding="utf-8")
    # ann: pasta 2, tea 2 (a view and a purchase), sauce 1, fern 1 + 0.5 for Lyon.
    for words in (["recommend", "shop.yaml"], ["recommend", "--run", "shop.yaml"]):
        assert main([*words, "--user", "ann", "--k", "1", "--server", address]) == 0
        assert capsys.readouterr().out.splitlines()[1:] == ["   1    2.0000  pasta  Penne, 500 g"]
    assert main(["rank", "shop.yaml", "lamp", "fern", "--user", "ann", "--server", address]) == 0
    assert "1.5000  fern" in capsys.readouterr().out
    assert main(["search", "shop.yaml", "--user", "ann", "Soap", "--k", "1", "--server", address]) == 0
    assert "soap" in capsys.readouterr().out
    assert main(["recommend", "no.yaml", "--user", "ann", "--server", address]) == 2
    assert "no.yaml can't be read" in capsys.readouterr().err


def test_status_of_a_shops_file_shows_its_own_tables_and_models(capsys, shop, address, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop.yaml").write_text(f"tables: {shop.root}\n", encoding="utf-8")
    for name in ("shop", "other"):
        (tmp_path / "out/serving" / name / "7").mkdir(parents=True)
        (tmp_path / "out/serving" / name / "7/saved_model.pb").touch()
    assert main(["status", "shop.yaml", "--server", address]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"tables   {shop.root}: 24 interactions, 8 items, 5 user profiles"
    assert lines[1] == f"pushed   {tmp_path}/out/serving/shop/7"
    assert len(lines) == 3
