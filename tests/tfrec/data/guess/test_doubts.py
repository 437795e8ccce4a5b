"""What the files do not say is marked, and what fits nothing is left out by name."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tfrec.config import Config, SplitConfig
from tfrec.data.guess.shop import Guess, guess_shop
from tfrec.errors import DataError
from tfrec.setting_names import with_named

EVENTS = """\
user_id,item_id,timestamp,kind
u1,a,2024-01-05,purchase
u1,b,2024-02-06,purchase
u2,a,2024-06-07,purchase
"""


def guess(folder: Path, files: dict[str, str]) -> Guess:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return guess_shop([folder], folder)


def interactions(found: Guess) -> dict[str, object]:
    return yaml.load(found.text, Loader=yaml.BaseLoader)["interactions"]


def doubts(found: Guess) -> str:
    """The marked comments, each on one line."""
    lines: list[str] = []
    is_doubt = False
    for line in found.text.splitlines():
        text = line.strip()
        is_doubt = text.startswith("# ? ") or (is_doubt and text.startswith("#   "))
        if text.startswith("# ? "):
            lines.append(text.removeprefix("# ? "))
        elif is_doubt:
            lines[-1] += f" {text.removeprefix('#   ')}"
    return "\n".join(lines)


def test_a_log_that_says_all_has_no_doubt(tmp_path):
    found = guess(tmp_path, {"log.csv": EVENTS})
    assert (found.n_doubts, doubts(found), found.ignored) == (0, "", {})


def test_events_of_an_unknown_kind_are_marked(tmp_path):
    found = guess(tmp_path, {"log.csv": "user,item,time\nu1,a,2024-01-05\nu2,b,2024-06-05\n"})
    assert "nothing says what these events are; the kinds are view, click, cart" in doubts(found)
    assert interactions(found)["kind"] == "purchase"


def test_codes_for_kinds_are_marked(tmp_path):
    rows = ["u1,a,2024-01-05,1", "u1,a,2024-02-05,1", "u2,b,2024-03-05,1", "u2,b,2024-06-05,4"]
    found = guess(tmp_path, {"log.csv": "\n".join(["user,item,time,behavior_type", *rows, ""])})
    assert "behavior_type holds codes (1, 4); write what each means under kinds" in doubts(found)


def test_day_and_month_that_no_value_tells_apart_are_marked(tmp_path):
    found = guess(tmp_path, {"orders.csv": "user,item,date\nu1,a,01/02/2024\nu2,b,03/04/2024\n"})
    assert "no value tells the day from the month; check one, or write timestamp_format: '%d/%m/%Y'" in doubts(found)


def test_users_that_most_rows_lack_are_marked(tmp_path):
    rows = ["s1;NA;a;2024-01-05", "s1;NA;b;2024-01-05", "s2;7;a;2024-06-05", "s3;NA;b;2024-06-07"]
    found = guess(tmp_path, {"views.csv": "\n".join(["sessionId;userId;itemId;eventdate", *rows, ""])})
    assert "75 % of the rows name no user and are dropped; user_id: [userId, sessionId]" in doubts(found)
    assert interactions(found)["missing"] == ["NA"]


def test_users_that_the_first_line_of_an_order_names_are_no_doubt(tmp_path):
    rows = ["#1,a@x,s1,2024-01-05", "#1,,s2,", "#1,,s3,", "#2,b@x,s1,2024-06-05", "#2,,s2,", "#2,,s3,"]
    found = guess(tmp_path, {"orders.csv": "\n".join(["Name,Email,Lineitem sku,Created at", *rows, ""])})
    assert "name no user" not in doubts(found)
    assert "user_id" in interactions(found)["per_session"]


def test_sessions_stand_for_users_that_no_column_names(tmp_path):
    found = guess(tmp_path, {"clicks.csv": "session,item,time\ns1,a,2024-01-05\ns1,b,2024-06-05\n"})
    assert doubts(found) == "no column names the user; sessions are taken for users"
    assert interactions(found)["columns"] == {
        "user_id": "session",
        "item_id": "item",
        "timestamp": "time",
        "session": "session",
    }


def test_a_span_too_short_to_hold_out_days_is_marked(tmp_path):
    found = guess(tmp_path, {"log.csv": EVENTS.replace("-06-07", "-01-06").replace("-02-06", "-01-05")})
    assert "the data spans less than three days, expected some weeks" in doubts(found)


def test_a_short_span_gets_short_windows(tmp_path):
    # From January 5 to February 6 there are 32 days; a sixth of them is 5.
    found = guess(tmp_path, {"log.csv": EVENTS.replace("-06-07", "-02-06")})
    config = with_named(Config(), yaml.load(found.text, Loader=yaml.BaseLoader)["settings"])
    assert config.examples.split == SplitConfig(test_days=5, validation_days=5)


def test_files_that_fit_no_table_are_left_out_by_name(tmp_path):
    found = guess(
        tmp_path,
        {
            "log.csv": EVENTS,
            "notes/countries.csv": "country,currency\nDE,EUR\nFR,EUR\n",
            "empty.csv": "",
            "header.csv": "user_id,item_id,timestamp,kind,price\n",
            "held_out.csv": "user_id,item_id\nu1,b\nu2,b\n",
            "ranks.csv": "user_id,item_id,position,kind\nu1,b,1,view\nu2,b,2,view\n",
            "properties.csv": "timestamp,itemid,property,value\n1433041200000,a,color,7\n1433041200000,a,size,9\n",
        },
    )
    assert found.ignored == {
        "empty.csv": "is empty; leave it out",
        "header.csv": "it has a header but no rows",
        "held_out.csv": "it has no times, which the other interactions have",
        "notes/countries.csv": "none of its columns looks like an item or a user",
        "ranks.csv": "it has no times, which the other interactions have",
        "properties.csv": "it holds a property a row; write an item a row, with a column for each property, to use it",
    }
    assert all(f"# Left out {name}: " in found.text for name in found.ignored)


def test_parts_of_the_log_for_training_and_test_are_left_out(tmp_path):
    lines = EVENTS.splitlines(keepends=True)
    found = guess(tmp_path, {"all.csv": EVENTS, "train.csv": "".join(lines[:3]), "test.csv": lines[0] + lines[3]})
    assert interactions(found)["path"] == "all.csv"
    assert found.ignored["test.csv"] == "all of its rows are in all.csv too"


def test_the_days_of_a_log_are_one_table(tmp_path):
    days = {f"logs/2024-0{m}-05.csv": EVENTS.replace("2024-0", f"202{m}-0") for m in range(1, 4)}
    found = guess(tmp_path, {**days, "items.csv": "item_id,title\na,Tea\nb,Mug\n"})
    assert interactions(found)["path"] == "logs/2024-0*-05.csv"


def test_orders_and_clicks_are_two_tables_of_interactions(tmp_path):
    found = guess(
        tmp_path,
        {
            "clicks.csv": "user_id,item_id,time\nu1,a,2024-01-05\nu1,b,2024-02-06\nu2,a,2024-06-07\n",
            "orders.csv": "customer,sku,ordered_qty,order_date\nu1,a,1,2024-01-05\nu2,a,2,2024-06-08\n",
        },
    )
    tables = yaml.load(found.text, Loader=yaml.BaseLoader)["interactions"]
    assert [(table["path"], table["kind"]) for table in tables] == [("clicks.csv", "click"), ("orders.csv", "purchase")]
    assert yaml.safe_load(found.text)["label_kinds"] == ["purchase"]


def test_partition_folders_are_columns(tmp_path):
    rows = "user_id,item_id\nu1,a\nu2,b\n"
    found = guess(tmp_path, {"sales/dt=2024-01-05/part-0.csv": rows, "sales/dt=2024-06-05/part-0.csv": rows})
    assert interactions(found)["path"] == "sales"
    assert interactions(found)["columns"] == {"user_id": "user_id", "item_id": "item_id", "timestamp": "dt"}


def test_columns_of_a_chinese_shop_are_known(tmp_path):
    text = "用户ID,商品ID,行为类型,时间\n1,2,浏览,2024-01-05 10:00:00\n1,2,购买,2024-06-05 10:00:00\n"
    found = guess(tmp_path, {"日志.csv": text})
    assert interactions(found)["columns"] == {
        "user_id": "用户ID",
        "item_id": "商品ID",
        "timestamp": "时间",
        "kind": "行为类型",
    }
    assert interactions(found)["kinds"] == {"浏览": "view", "购买": "purchase"}


def test_comments_of_hostile_names_and_values_stay_comments(tmp_path):
    text = EVENTS.replace("timestamp,kind", 'timestamp,"kind: [x] # no"').replace("purchase", '"buy\u2028it: now"', 1)
    found = guess(tmp_path, {"log #1: [a].csv": text})
    parsed = interactions(found)
    assert parsed["path"] == "log #1: [a].csv"


def test_a_folder_without_interactions_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"holds no interactions, expected a file with a user, an item and a time"):
        guess(tmp_path, {"items.csv": "item_id,title\na,Tea\nb,Mug\n"})


def test_the_files_do_not_change_while_guessing(tmp_path):
    guess(tmp_path, {"log.csv": EVENTS})
    assert [path.name for path in tmp_path.iterdir()] == ["log.csv"]


def test_numbers_and_the_context_of_events_are_known(tmp_path):
    items = "".join(f"i{n},Tea {n},{n}.5\n" for n in range(12))
    log = "user,item,time,event,device.category\nu1,i1,2024-01-05,view,phone\nu2,i2,2024-06-05,view,desktop\n"
    found = guess(tmp_path, {"items.csv": "item_id,title,weight\n" + items, "log.csv": log})
    assert interactions(found)["context"] == {"device": "device.category"}
    assert yaml.load(found.text, Loader=yaml.BaseLoader)["items"]["numbers"] == {"weight": "weight"}


def test_prices_over_time_are_item_states(tmp_path):
    prices = "item_id,valid_from,valid_to,price\na,01/01/2024,31/01/2024,5\na,01/02/2024,28/02/2024,4\n"
    parsed = yaml.load(guess(tmp_path, {"log.csv": EVENTS, "prices.csv": prices}).text, Loader=yaml.BaseLoader)
    assert parsed["item_states"] == {
        "path": "prices.csv",
        "columns": {"item_id": "item_id", "from": "valid_from", "until": "valid_to", "price": "price"},
        "timestamp_format": "%d/%m/%Y",
    }


def test_reviews_beside_a_log_are_a_table_of_their_own(tmp_path):
    reviews = "asin,reviewerID,overall,reviewText,unixReviewTime\na,u1,5,Good tea for the morning,1704067200\n"
    found = guess(tmp_path, {"log.csv": EVENTS, "reviews.csv": reviews})
    parsed = yaml.load(found.text, Loader=yaml.BaseLoader)
    assert interactions(found)["path"] == "log.csv"
    assert parsed["reviews"]["columns"] == {
        "user_id": "reviewerID",
        "item_id": "asin",
        "timestamp": "unixReviewTime",
        "stars": "overall",
        "text": "reviewText",
    }


def test_the_levels_of_a_category_are_parted_by_what_most_cells_hold(tmp_path):
    items = "a,Tea,food.drinks\nb,Mug,home.kitchen\nc,Lamp,home.light\nd,Cup,home.kitchen\n"
    found = guess(tmp_path, {"log.csv": EVENTS, "items.csv": "item_id,title,category_code\n" + items})
    assert yaml.load(found.text, Loader=yaml.BaseLoader)["items"]["category_levels"] == "."


def test_a_log_of_searches_beside_one_of_views(tmp_path):
    searches = "customer,search_term,time\nu1,green tea,2024-01-05\nu2,mug,2024-06-05\n"
    views = "customer,sku,time\nu1,a,2024-01-05\nu1,b,2024-02-05\nu2,a,2024-06-05\n"
    found = guess(tmp_path, {"searches.csv": searches, "views.csv": views})
    views_table, searches_table = yaml.load(found.text, Loader=yaml.BaseLoader)["interactions"]
    assert (views_table["kind"], found.n_doubts) == ("view", 0)
    assert searches_table == {
        "path": "searches.csv",
        "columns": {"user_id": "customer", "timestamp": "time", "query": "search_term"},
        "kind": "search",
    }


ITEMS = "item_id,title\n" + "".join(f"{item},Thing {item}\n" for item in "abcdef")


@pytest.mark.parametrize(("sold", "is_doubt"), [("abcdefghij", True), ("abcdeabcde", False)])
def test_items_that_describe_few_of_the_ids_are_marked(tmp_path, sold, is_doubt):
    # 6 of the first 10 ids are described; all of the second.
    events = "".join(f"u{n % 3},{item},2024-0{1 + n % 6}-05,purchase\n" for n, item in enumerate(sold))
    found = guess(tmp_path, {"log.csv": "user_id,item_id,timestamp,kind\n" + events, "items.csv": ITEMS})
    sentence = "the others stay undescribed; name another column if it has the ids of items.csv"
    assert (sentence in doubts(found)) is is_doubt


@pytest.mark.parametrize(("users", "is_doubted"), [(("Ann", "Bob Lee"), True), (("ann7", "b@example.org"), False)])
def test_names_of_people_are_doubtful_ids(tmp_path, users, is_doubted):
    log = "author,sku,time\n" + "".join(f"{user},a,2024-0{1 + n}-05\n" for n, user in enumerate(users))
    found = guess(tmp_path, {"log.csv": log})
    assert interactions(found)["columns"]["user_id"] == "author"
    assert ("namesakes become one user" in found.text) is is_doubted
