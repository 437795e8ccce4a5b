"""The command line against the shop and a real server of a toy model whose answers are counted by hand.

The toy scores an item by how often it is in the history, + 100 where the query is its title, + 0.5 for fern
where the city is Lyon; of equal scores the item that comes first in the shop's list wins. `similar_items`
gives the items in the list's order, but nothing for an item that is not in it. `recommend` leaves out what is
excluded, and of the categories knows the widest level; variety adds as much as it is to lamp. `ctr` gives a tenth
of the score for a click, a hundredth for a purchase. The embedding of a query is a tenth of the numbers of events and
of characters of query and age; that of an item the lengths of its texts, and its price.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tfrec.cli.main import VERBS, main
from tfrec.errors import DataError
from tfrec.evaluation.evaluate import METRICS
from tfrec.evaluation.scores import Evaluation, Protocol, Scores, SliceScores, Verdict

BIN = Path(sys.executable).parent
ITEMS = ["pasta", "sauce", "tea", "mug", "lamp", "book", "soap", "fern"]
CATEGORIES = ["Food", "Food", "Food", "Home", "Home", "Books", "", "Home"]
TITLES = [
    "Penne, 500 g",
    "Tomato sauce",
    "西湖龙井 绿茶",
    'Mug "Blue"',
    "Desk lamp",
    "Learning to cook",
    "Soap",
    "Fern in a pot",
]


def test_help_names_every_verb_and_imports_nothing_heavy():
    code = (
        "import sys\nfrom tfrec.cli.main import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "heavy = {'numpy', 'pandas', 'pyarrow', 'yaml', 'grpc', 'tensorflow', 'tfx'}\n"
        "print(*heavy & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == ""
    for command, _ in VERBS:
        assert f"\n    {command.__name__}" in done.stdout


def test_an_error_is_one_line_without_a_traceback_and_exit_code_2(capsys, tmp_path):
    assert main(["recommend", "--user", "ann", "--tables", str(tmp_path)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"tfrec: error: {tmp_path} holds no ingested tables")
    assert len(err.splitlines()) == 1


def test_an_unknown_user_gets_a_sentence(capsys, shop):
    assert main(["recommend", "--user", "zoe", "--tables", str(shop.root)]) == 2
    assert "user 'zoe' is not in" in capsys.readouterr().err


def test_a_server_that_is_not_there_gets_a_sentence(capsys, shop):
    assert main(["recommend", "--user", "ann", "--tables", str(shop.root), "--server", "127.0.0.1:1"]) == 2
    assert "no model server answers there" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["recommend"], "the following arguments are required: --user"),
        (["recommend", "--user", "ann", "--k", "0"], "'0' is not a whole number from 1 on"),
        (["recommend", "--user", "ann", "--until", "soon"], "'soon' is not a date such as 2017-12-04"),
        (["recommend", "--user", "ann", "--diversity", "1.1"], "'1.1' is not a number from 0 to 1"),
        (["search", "tea", "--diversity", "much"], "'much' is not a number from 0 to 1"),
        (["search", "tea", "--diversity", "nan"], "'nan' is not a number from 0 to 1"),
        (["rank", "--user", "ann"], "the following arguments are required: item_id"),
        (["similar", "tea", "--version", "1", "--label", "stable"], "not allowed with argument --version"),
        (["status", "--timeout", "soon"], "'soon' is not a number from 0 to 86400"),
        (["canary", "7", "--share", "101", "--model_config_file", "x"], "'101' is not a number from 0 to 100"),
        (["promote", "7"], "the following arguments are required: --model_config_file"),
        (["frobnicate"], "invalid choice: 'frobnicate'"),
    ],
)
def test_a_wrong_flag_is_named(capsys, words, said):
    with pytest.raises(SystemExit, match="2"):
        main(words)
    assert said in capsys.readouterr().err


def test_interrupted_it_says_how_to_go_on_and_exits_with_130(tmp_path):
    mapping = tmp_path / "mapping of a shop.yaml"
    os.mkfifo(mapping)  # whoever reads it waits until somebody writes
    child = subprocess.Popen(
        [BIN / "tfrec", "ingest", mapping],
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background job, as CI may be, ignores SIGINT, and its children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    writer = _writer_once_read(mapping)
    for _ in range(10):  # a signal that comes just before the reader begins to wait does not wake it
        child.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(timeout=10)
            break
    os.close(writer)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 130
    assert err.splitlines()[-1] == f"tfrec: interrupted; to resume: tfrec ingest '{mapping}'"


def test_report_writes_a_page_of_an_evaluation_that_was_kept(capsys, tmp_path):
    slices = {"all": SliceScores(3, 0.1, dict.fromkeys(METRICS, 0.1234))}
    protocol = Protocol("test", 0, "utc", ("purchase",), "sold", 3, 0, 5, 0, "", "")
    evaluation = Evaluation(protocol, {"two-tower": Scores("two-tower", slices, 1.0)}, Verdict(True, ("good",)))
    kept, out = tmp_path / "evaluation.json", tmp_path / "page.html"
    kept.write_text(evaluation.to_json(), encoding="utf-8")
    assert main(["report", str(kept), "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"report: {out}\n"
    assert "0.1234" in out.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("no.json", "there is no file no.json; give the evaluation.json"),
        ("nosuch", "run 'nosuch' is not one of"),
        ("tiny", "run tiny has no evaluation yet; make one: `tfrec train --run tiny`"),
    ],
)
def test_report_of_nothing_is_one_sentence(capsys, tmp_path, monkeypatch, name, said):
    monkeypatch.chdir(tmp_path)
    assert main(["report", name]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert len(err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_ingest_by_flags_reads_a_shops_own_columns(capsys, tmp_path):
    # Three lines, the second and third alike: one of them is dropped.
    log = tmp_path / "log.csv"
    log.write_text("who,what,when\nann,tea,2024-01-05\nbob,mug,2024-01-06\nbob,mug,2024-01-06\n", encoding="utf-8")
    columns = [word for pair in ("user_id=who", "item_id=what", "timestamp=when") for word in ("--column", pair)]
    out = ["--out", str(tmp_path / "tables"), "--partitions", "2"]
    assert main(["ingest", "--interactions", str(log), *columns, "--kind", "purchase", *out]) == 0
    assert "2 partitions" in capsys.readouterr().out
    from tfrec.schema import read_table_set

    assert read_table_set(tmp_path / "tables").manifest.rows["interactions"] == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["ingest"], "--interactions is missing; give a file, or name a SOURCE"),
        (["ingest", "movielens"], "--path is missing; give the folder"),
        (["ingest", "no.yaml"], "mapping no.yaml can't be read"),
    ],
)
def test_ingest_without_what_it_needs_says_what_is_missing(capsys, words, said):
    assert main(words) == 2
    assert said in capsys.readouterr().err


def test_recommendations_are_for_the_users_whole_history(capsys, shop, address):
    # ann: pasta 2, tea 2 (a view and a purchase), sauce 1, fern 1 + 0.5 for Lyon.
    assert main(["recommend", "--user", "ann", "--k", "4", "--tables", str(shop.root), "--server", address]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "rank     score  item   title",
        "   1     2.000  pasta  Penne, 500 g",
        "   2     2.000  tea    西湖龙井 绿茶",
        "   3     1.500  fern   Fern in a pot",
        "   4     1.000  sauce  Tomato sauce",
    ]


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--exclude", "pasta", "--exclude", "sofa"], ["2.000 tea", "1.500 fern"]),
        (["--category", "Home", "--category", "Nowhere"], ["1.500 fern", "0.000 mug"]),
        (["--not-category", "Food"], ["1.500 fern", "0.000 mug"]),
        (["--not-category", "Food", "--diversity", "0.25"], ["1.500 fern", "0.250 lamp"]),
    ],
)
def test_wishes_are_flags(capsys, shop, address, flags, expected):
    # ann: pasta 2, tea 2, sauce 1, fern 1.5
    words = ["recommend", "--user", "ann", "--k", "2", "--tables", str(shop.root), "--server", address]
    assert main([*words, *flags]) == 0
    assert [" ".join(line.split()[1:3]) for line in capsys.readouterr().out.splitlines()[1:]] == expected


def test_a_category_that_leaves_nothing_gets_a_sentence(capsys, shop, address):
    words = ["recommend", "--user", "ann", "--k", "2", "--tables", str(shop.root), "--server", address]
    assert main([*words, "--category", "Pasta", "--category", "Tea"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("tfrec: error: --category 'Pasta' 'Tea' leaves no item that may be shown; name the path")


def test_a_search_has_wishes_too_unless_the_model_is_older(capsys, address):
    assert main(["search", "Soap", "--k", "1", "--exclude", "soap", "--server", address]) == 2
    assert "exclude is ['soap'] but the served model takes no exclude_item_id" in capsys.readouterr().err


def test_rank_orders_the_named_items_for_a_user(capsys, shop, address):
    words = ["--user", "ann", "--tables", str(shop.root), "--server", address]
    assert main(["rank", "lamp", "sauce", "fern", *words]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "rank     score  item   title",
        "   1     1.500  fern   Fern in a pot",
        "   2     1.000  sauce  Tomato sauce",
        "   3     0.000  lamp   Desk lamp",
    ]
    assert main(["rank", "lamp", "sofa", *words]) == 2
    assert "the served catalogue does not hold 'sofa'; leave it out" in capsys.readouterr().err


def test_rank_until_a_day_knows_only_what_was_known_and_shows_what_came(capsys, shop, address):
    # Before 4 March ann has tea 2, pasta 1; fern has 0.5 for Lyon. Then she buys pasta and fern.
    words = ["rank", "pasta", "fern", "tea", "--user", "ann", "--until", "2024-03-04", "--tables", str(shop.root)]
    assert main([*words, "--server", address]) == 0
    assert capsys.readouterr().out.splitlines()[:5] == [
        "rank     score  then      item   title",
        "   1     2.000            tea    西湖龙井 绿茶",
        "   2     1.000  purchase  pasta  Penne, 500 g",
        "   3     0.500  purchase  fern   Fern in a pot",
        "",
    ]


def test_ctr_gives_the_chance_of_each_kind_in_the_order_of_the_items(capsys, shop, address):
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
    assert "the served catalogue does not hold 'sofa'; leave it out" in capsys.readouterr().err


def test_embed_prints_a_line_of_json_for_a_query_a_user_and_each_item(capsys, shop, address):
    # A history of none is one event without an item; ann has 6 and is 25-34; "tea" has 3 characters.
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
    ("flags", "said"),
    [([], "nothing is named to embed; give a query, --user or --item"), (["--item", "sofa"], "item 'sofa' is not in")],
)
def test_embed_of_nothing_is_one_sentence(capsys, shop, flags, said):
    assert main(["embed", *flags, "--tables", str(shop.root)]) == 2
    assert said in capsys.readouterr().err


def test_by_rest_the_answers_are_the_same(capsys, shop, addresses):
    of_ann = ["--user", "ann", "--tables", str(shop.root)]
    verbs = [
        ["recommend", *of_ann, "--k", "3"],
        ["search", "Soap", "--k", "2"],
        ["rank", "lamp", "fern", *of_ann],
        ["ctr", "lamp", "fern", *of_ann],
        ["similar", "tea", "--k", "3"],
        ["embed", "tea", "--item", "mug", *of_ann],
    ]
    by_grpc, by_rest = addresses
    for words in verbs:
        assert main([*words, "--server", by_grpc]) == 0
        told = capsys.readouterr().out
        for flags in (["--rest", "--server", by_rest], ["--server", f"http://{by_rest}"]):
            assert main([*words, *flags]) == 0
            assert capsys.readouterr().out == told


def test_a_version_or_a_label_can_be_named(capsys, address):
    assert main(["search", "Soap", "--k", "1", "--version", "1", "--server", address]) == 0
    assert main(["search", "Soap", "--k", "1", "--version", "7", "--server", address]) == 2
    assert main(["search", "Soap", "--k", "1", "--label", "stable", "--server", address]) == 2
    err = capsys.readouterr().err.splitlines()
    assert "Servable not found for request: Specific(tfrec, 7)" in err[0]
    assert "Unrecognized servable version label: stable" in err[1]


def test_a_question_takes_no_longer_than_it_may(capsys):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        words = ["--timeout", "0.3", "--server", f"127.0.0.1:{silent.getsockname()[1]}"]
        assert main(["similar", "tea", *words]) == 2
    assert "did not answer its metadata within timeout_seconds=0.3" in capsys.readouterr().err


def test_until_a_day_only_what_was_known_is_asked_with_and_the_rest_is_shown_as_truth(capsys, shop, address):
    # Before 4 March ann has tea 2, pasta 1, sauce 1; fern has 0.5 for Lyon. Then she buys pasta and fern.
    words = ["recommend", "--user", "ann", "--until", "2024-03-04", "--k", "3"]
    assert main([*words, "--tables", str(shop.root), "--server", address]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out == [
        "rank     score  then      item   title",
        "   1     2.000            tea    西湖龙井 绿茶",
        "   2     1.000  purchase  pasta  Penne, 500 g",
        "   3     1.000            sauce  Tomato sauce",
        "",
        "What really came next: 2 different items, 2 of them:",
        "      2024-03-10  purchase  pasta  Penne, 500 g",
        "      2024-03-20  purchase  fern  Fern in a pot",
    ]


def test_what_came_next_is_told_by_its_kind_the_weightiest_of_several(capsys, shop, address):
    # Nothing was known of fay; she clicks tea and mug, then buys tea and fern.
    words = ["recommend", "--user", "fay", "--until", "2024-03-25", "--k", "4"]
    assert main([*words, "--tables", str(shop.root), "--server", address]) == 0
    out = capsys.readouterr().out.splitlines()
    assert [line[16:24].strip() for line in out[1:5]] == ["", "", "purchase", "click"]  # pasta, sauce, tea, mug
    assert out[6:] == [
        "What really came next: 3 different items, 3 of them:",
        '      2024-03-25  click  mug  Mug "Blue"',
        "      2024-03-31  purchase  tea  西湖龙井 绿茶",
        "      2024-03-31  purchase  fern  Fern in a pot",
    ]


def test_a_day_can_not_be_named_where_events_have_an_order_alone(capsys, write_tables, tmp_path, address):
    tables = write_tables(tmp_path, clock="order")
    words = ["recommend", "--user", "ann", "--until", "2024-03-04", "--tables", str(tables.root)]
    assert main([*words, "--server", address]) == 2
    assert "--until is a date but the events of" in capsys.readouterr().err


def test_where_events_have_an_order_alone_the_moment_is_left_to_the_model(write_tables, tmp_path, monkeypatch):
    # A clock's second, or the place behind another user's last event, would make all of the history long past.
    from serving.client import Client

    asked = {}

    def remember(_, history, **named):
        asked.update(named, events=len(history))
        raise DataError("enough")

    tables = write_tables(tmp_path, clock="order")
    monkeypatch.setattr(Client, "recommend", remember)
    assert main(["recommend", "--user", "ann", "--tables", str(tables.root)]) == 2
    assert (asked["now"], asked["events"]) == (0, 6)


def test_a_server_of_another_shop_is_noticed(capsys, write_tables, tmp_path, address):
    tables = write_tables(
        tmp_path,
        interactions=[("ann", "sofa", "purchase", "2024-01-05 10:00:00", 1.0, 1.5, None, "a1", None)],
        items=[("sofa", "Sofa", None, None, None, 1.0, None)],
    )
    words = ["recommend", "--user", "ann", "--k", "3", "--tables", str(tables.root)]
    assert main([*words, "--server", address]) == 2
    assert "the server has another shop's model" in capsys.readouterr().err


def test_a_search_for_nothing_gets_a_sentence(capsys):
    assert main(["search", " "]) == 2
    assert "the query is ' ' but must hold a word" in capsys.readouterr().err


def test_serving_a_folder_that_is_not_there_gets_a_sentence(capsys, tmp_path):
    assert main(["serve", "--model", str(tmp_path / "nosuch")]) == 2
    assert "there is no such folder" in capsys.readouterr().err


def test_search_ranks_what_the_query_names_first(capsys, shop, address):
    assert main(["search", "Soap", "--k", "1", "--server", address]) == 0
    assert capsys.readouterr().out.splitlines()[1] == "   1   100.000  soap  Soap"


def test_search_for_a_user_knows_the_history(capsys, shop, address):
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
        ["101.000", "mug"],
        ["3.000", "soap"],
    ]


def test_similar_lists_neighbours_and_an_unknown_item_gets_a_sentence(capsys, address):
    assert main(["similar", "tea", "--k", "2", "--server", address]) == 0
    assert [line.split()[2] for line in capsys.readouterr().out.splitlines()[1:]] == ["pasta", "sauce"]
    assert main(["similar", "sofa", "--k", "2", "--server", address]) == 2
    assert "item 'sofa' is not in the served catalogue" in capsys.readouterr().err


def test_status_says_what_is_served(capsys, address, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["status", "--server", address]) == 0
    assert capsys.readouterr().out == f"server   {address}: version 1 AVAILABLE\n"
    assert main(["status", "--server", "127.0.0.1:1"]) == 1


@pytest.mark.slow
def test_serve_says_where_it_answers_and_ends_well_at_an_interrupt(capsys, served):
    command = [BIN / "tfrec", "serve", "--model", served, "--port", "0", "--rest-port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        address = child.stdout.readline().split()[4]
        assert main(["search", "Tomato sauce", "--k", "1", "--server", address]) == 0
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=60)
    assert "Tomato sauce" in capsys.readouterr().out
    assert child.returncode == 0
    assert "Traceback" not in err


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model_base_path with the toy model as version 1."""
    root = tmp_path_factory.mktemp("toy")
    _export_toy(root / "1")
    return root


@pytest.fixture(scope="module")
def addresses(served: Path) -> Iterator[tuple[str, str]]:
    """A server of the toy model, its gRPC and its REST."""
    from serving.lifecycle.model_config import single
    from serving.server.embedded import start

    with start(single("tfrec", served)) as server:
        yield f"127.0.0.1:{server.port}", f"127.0.0.1:{server.rest_api_port}"


@pytest.fixture(scope="module")
def address(addresses: tuple[str, str]) -> str:
    return addresses[0]


def _export_toy(folder: Path) -> None:
    import tensorflow as tf

    def texts(name: str, *shape: int | None) -> tf.TensorSpec:
        return tf.TensorSpec([None, *shape], tf.string, name)

    def named(names: tf.Tensor, of_items: list[str]) -> tf.Tensor:
        return tf.reduce_any(names[:, :, None] == tf.constant(of_items), axis=1)

    shopper = [texts("event_item_id", None), texts("query"), texts("user_city"), texts("user_age")]

    class Toy(tf.Module):
        @tf.function(input_signature=shopper)
        def search(self, event_item_id, query, user_city, user_age):
            return self.best(self.scores(event_item_id, query, user_city))

        @tf.function(
            input_signature=[
                *shopper,
                *(texts(name, None) for name in ("exclude_item_id", "allow_category", "deny_category")),
                tf.TensorSpec([None], tf.float32, "diversity"),
            ]
        )
        def recommend(
            self, event_item_id, query, user_city, user_age, exclude_item_id, allow_category, deny_category, diversity
        ):
            denied = named(exclude_item_id, ITEMS) | named(deny_category, CATEGORIES)
            allowed = named(allow_category, CATEGORIES) | tf.reduce_all(allow_category == "", axis=1, keepdims=True)
            lamp = diversity[:, None] * tf.one_hot([ITEMS.index("lamp")], len(ITEMS))
            scores = self.scores(event_item_id, query, user_city) + lamp
            return self.best(tf.where(denied | ~allowed, scores.dtype.min, scores))

        @tf.function(input_signature=[*shopper, texts("candidate_item_id", None)])
        def rank(self, event_item_id, query, user_city, user_age, candidate_item_id):
            is_given = named(candidate_item_id, ITEMS)
            return self.best(tf.where(is_given, self.scores(event_item_id, query, user_city), tf.float32.min))

        @tf.function(input_signature=[*shopper, texts("candidate_item_id", None)])
        def ctr(self, event_item_id, query, user_city, user_age, candidate_item_id):
            is_item = candidate_item_id[:, :, None] == tf.constant(ITEMS)
            scores = self.scores(event_item_id, query, user_city)[:, None]
            of_items = tf.reduce_sum(tf.where(is_item, scores, 0.0), axis=2)
            known = tf.where(tf.reduce_any(is_item, axis=2), candidate_item_id, "")
            return {"item_id": known, "purchase": of_items / 100.0, "click": of_items / 10.0}

        @tf.function(input_signature=shopper)
        def embed_query(self, event_item_id, query, user_city, user_age):
            lengths = [tf.shape(event_item_id)[1:], tf.strings.length(query), tf.strings.length(user_age)]
            return {"embedding": tf.cast(tf.stack(lengths, axis=1), tf.float32) / 10.0}

        @tf.function(
            input_signature=[
                *(texts(name) for name in ("item_id", "item_title", "item_description", "item_category")),
                *(texts(name) for name in ("item_brand", "item_maker")),
                tf.TensorSpec([None], tf.float32, "item_price"),
            ]
        )
        def embed_item(self, item_id, item_title, item_description, item_category, item_brand, item_maker, item_price):
            read = (item_id, item_title, item_description, item_category, item_brand, item_maker)
            lengths = [tf.cast(tf.strings.length(text), tf.float32) for text in read]
            return {"embedding": tf.stack([*lengths, item_price], axis=1)}

        def scores(self, event_item_id, query, user_city):
            counts = tf.reduce_sum(tf.cast(event_item_id[:, :, None] == tf.constant(ITEMS), tf.float32), axis=1)
            titled = 100.0 * tf.cast(query[:, None] == tf.constant(TITLES), tf.float32)
            fern = 0.5 * tf.one_hot([len(ITEMS) - 1], len(ITEMS)) * tf.cast(user_city == "Lyon", tf.float32)[:, None]
            return counts + titled + fern

        def best(self, scores):
            best, rows = tf.math.top_k(scores, len(ITEMS))
            ids = tf.where(best > tf.float32.min, tf.gather(ITEMS, rows), "")
            return {"item_id": ids, "title": tf.gather(TITLES, rows), "score": best}

        @tf.function(input_signature=[texts("item_id")])
        def similar_items(self, item_id):
            is_known = tf.reduce_any(item_id[:, None] == tf.constant(ITEMS), axis=1, keepdims=True)
            ids, titles = tf.constant([ITEMS]), tf.constant([TITLES])
            scores = tf.zeros([tf.size(item_id), len(ITEMS)])
            return {
                "item_id": tf.where(is_known, ids, ""),
                "title": tf.where(is_known, titles, ""),
                "score": scores,
            }

    toy = Toy()
    names = ("recommend", "search", "rank", "ctr", "similar_items", "embed_query", "embed_item")
    signatures = {name: getattr(toy, name) for name in names}
    tf.saved_model.save(toy, str(folder), signatures=signatures)


def _writer_once_read(fifo: Path) -> int:
    """The writing end of a pipe, as soon as somebody has opened it to read."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            assert time.monotonic() < deadline, "nobody read the pipe within 60 seconds"
            time.sleep(0.05)
