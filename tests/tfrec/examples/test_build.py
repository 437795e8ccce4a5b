"""Examples: the split by time, the chunks, the searches, and no knowledge of later events."""

from __future__ import annotations

import dataclasses
import math
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tfrec.config import ExamplesConfig, SplitConfig
from tfrec.errors import ConfigError, DataError
from tfrec.examples.build import ENCODE_ROWS, build_catalog, build_partition, build_sequences, encode
from tfrec.examples.split import Boundaries, boundaries
from tfrec.schema import INTERACTIONS, Manifest, TableSet

VALIDATION = 1000  # windows of the tests that write their own rows, in seconds of 1970
TEST = 2000
BOUNDS = Boundaries(VALIDATION, TEST)
MINUTE = 60
FEB_5, MARCH_4, APRIL_1 = 1707091200, 1709510400, 1711929600  # midnights of 2024, UTC


def event(
    user: str,
    item: str | None,
    second: float,
    kind: str = "purchase",
    price: float | None = None,
    query: str | None = None,
    session: str | None = None,
) -> dict[str, Any]:
    """A row of the interactions table."""
    milliseconds = int(second * 1000)
    row = {"user_id": user, "item_id": item, "kind": kind, "timestamp": milliseconds, "price": price}
    return row | {"query": query, "session": session}


def search(user: str, second: float, query: str, session: str | None = None) -> dict[str, Any]:
    return event(user, None, second, "search", query=query, session=session)


def table(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, INTERACTIONS)


def sequences(
    rows: list[dict[str, Any]], max_events: int = 4, stride: int = 2, bounds: Boundaries = BOUNDS
) -> dict[str, list[dict[str, Any]]]:
    """Split -> examples as dictionaries of lists."""
    config = ExamplesConfig(max_events=max_events, stride=stride)
    batches = build_sequences(table(rows), None, (), bounds, config)
    return {split: batch.to_pylist() for split, batch in batches.items()}


def marked(examples: list[dict[str, Any]]) -> list[str]:
    """Each example as its item ids, targets with a star."""
    return [
        " ".join(
            item.decode() + "*" * target
            for item, target in zip(example["event_item_id"], example["event_is_target"], strict=True)
        )
        for example in examples
    ]


def training_events(count: int) -> list[dict[str, Any]]:
    """Events 0, 1, ... of one user, one a second."""
    return [event("u", str(second), second) for second in range(count)]


def shop_examples(shop: TableSet, split: str) -> dict[str, dict[str, Any]]:
    """User -> example of the shop under the default settings."""
    by_user: dict[str, dict[str, Any]] = {}
    bounds = boundaries(shop.manifest, SplitConfig())
    for index in range(shop.manifest.partitions):
        interactions = pq.read_table(shop.part("interactions", index))
        users = pq.read_table(shop.part("users", index))
        batches = build_sequences(interactions, users, ("age", "city"), bounds, ExamplesConfig())
        by_user |= {example["user_id"][0].decode(): example for example in batches[split].to_pylist()}
    return by_user


def test_the_windows_are_whole_days_up_to_the_midnight_after_the_last_event(shop: TableSet) -> None:
    # The last event is of 2024-03-31 12:00, so the test window ends on 1 April: 28 days before is 4
    # March, and 28 days before that is 5 February (2024 is a leap year).
    assert boundaries(shop.manifest, SplitConfig()) == Boundaries(FEB_5, MARCH_4)
    assert boundaries(shop.manifest, SplitConfig(test_days=1, validation_days=1)).test_start == APRIL_1 - 86400


def test_an_event_at_midnight_belongs_to_the_new_day() -> None:
    manifest = Manifest("", "", "utc", 1, {}, 0, 10 * 86400, (), (), [])
    # Day 10 has begun, so it ends at day 11; one day of test is day 10, one of validation is day 9.
    assert boundaries(manifest, SplitConfig(1, 1)) == Boundaries(9 * 86400, 10 * 86400)


def test_windows_that_leave_nothing_to_train_on_are_refused(shop: TableSet) -> None:
    with pytest.raises(ConfigError, match=r"test_days 60 and validation_days 28 cover all 86\.1 days"):
        boundaries(shop.manifest, SplitConfig(test_days=60))


def test_each_user_of_the_shop_is_in_the_splits_of_its_events(shop: TableSet) -> None:
    # dee has training events only, cai none in February, fay only in March.
    assert sorted(shop_examples(shop, "train")) == ["ann", "bob", "cai", "dee", "eve"]
    assert sorted(shop_examples(shop, "validation")) == ["ann", "bob", "eve"]
    assert sorted(shop_examples(shop, "test")) == ["ann", "cai", "eve", "fay"]


def test_a_test_example_holds_the_whole_history_and_then_its_targets(shop: TableSet) -> None:
    assert shop_examples(shop, "test")["ann"] == {
        "user_id": [b"ann"],
        "user_age": [b"25-34"],
        "user_city": [b"Lyon"],
        "event_item_id": [b"pasta", b"sauce", b"tea", b"tea", b"pasta", b"fern"],
        "event_kind": [b"purchase", b"purchase", b"view", b"purchase", b"purchase", b"purchase"],
        "event_price": [1.5, 2.5, 0.0, 8.0, 1.75, 12.0],
        "event_query": [b""] * 6,
        # `date -u -d '2024-01-05 10:00' +%s` and so on: the basket, 20 January, 10 February, 10 and
        # 20 March.
        "event_timestamp": [1704448800, 1704448800, 1705741200, 1707588000, 1710064800, 1710928800],
        "event_is_target": [0, 0, 0, 0, 1, 1],
    }


def test_unknown_profile_values_are_empty(shop: TableSet) -> None:
    train = shop_examples(shop, "train")
    assert (train["bob"]["user_age"], train["bob"]["user_city"]) == ([b"35-44"], [b""])  # a null city
    assert (train["eve"]["user_age"], train["eve"]["user_city"]) == ([b""], [b""])  # no row
    assert train["cai"]["user_city"] == ["杭州".encode()]


def test_a_search_of_the_shop_becomes_the_query_of_the_click_after_it(shop: TableSet) -> None:
    bob = shop_examples(shop, "train")["bob"]
    assert bob["event_item_id"] == [b"tea", b"mug"]
    assert bob["event_query"] == [b"green tea", b""]


@pytest.mark.parametrize(
    ("count", "chunks"),
    [
        (1, ["0*"]),
        (4, ["0* 1* 2* 3*"]),
        (5, ["0* 1* 2* 3*", "2 3 4*"]),
        (9, ["0* 1* 2* 3*", "2 3 4* 5*", "4 5 6* 7*", "6 7 8*"]),
    ],
)
def test_a_long_history_is_cut_into_chunks_in_which_each_event_is_a_target_once(count: int, chunks: list[str]) -> None:
    assert marked(sequences(training_events(count), max_events=4, stride=2)["train"]) == chunks


def test_chunks_with_the_largest_stride_share_no_event() -> None:
    assert marked(sequences(training_events(7), max_events=3, stride=3)["train"]) == [
        "0* 1* 2*",
        "3* 4* 5*",
        "6*",
    ]


def test_a_window_has_all_its_events_as_targets_behind_a_bounded_history() -> None:
    seconds = [1, 2, 3, VALIDATION, VALIDATION + 1, TEST - 1, TEST, TEST + 1, TEST + 2]
    rows = [event("u", str(number), second) for number, second in enumerate(seconds)]
    splits = sequences(rows, max_events=2, stride=1)
    assert marked(splits["train"]) == ["0* 1*", "1 2*"]
    assert marked(splits["validation"]) == ["1 2 3* 4* 5*"]
    assert marked(splits["test"]) == ["4 5 6* 7* 8*"]


def test_users_do_not_share_a_history() -> None:
    rows = [event("a", "x", 1), event("a", "y", TEST), event("b", "z", 2), event("b", "w", VALIDATION)]
    splits = sequences(rows)
    assert marked(splits["train"]) == ["x*", "z*"]
    assert marked(splits["validation"]) == ["z w*"]
    assert marked(splits["test"]) == ["x y*"]
    assert [example["user_id"] for example in splits["test"]] == [[b"a"]]


def test_a_fraction_of_a_second_before_the_window_is_before_it() -> None:
    rows = [event("u", "before", TEST - 0.001), event("u", "at", TEST)]
    splits = sequences(rows)
    assert marked(splits["test"]) == ["before at*"]
    assert splits["test"][0]["event_timestamp"] == [TEST - 1, TEST]


def test_without_timestamps_the_last_event_is_test_and_the_one_before_validation() -> None:
    rows = [
        event(user, str(second), second) for user, count in [("a", 1), ("b", 2), ("c", 4)] for second in range(count)
    ]
    splits = sequences(rows, bounds=boundaries(Manifest("", "", "order", 1, {}, 0, 3, (), (), []), SplitConfig()))
    # a's only event is training; b's second is test, its first training, none validation.
    assert marked(splits["train"]) == ["0*", "0*", "0* 1*"]
    assert marked(splits["validation"]) == ["0 1 2*"]
    assert marked(splits["test"]) == ["0 1*", "0 1 2 3*"]


def test_without_timestamps_a_return_is_no_basket_to_hold_out() -> None:
    kinds = {"a": ["purchase"] * 3 + ["return"], "b": ["return", "purchase", "dislike"], "c": ["return"]}
    rows = [
        event(user, f"{user}{rank}", rank, kind) for user, of_user in kinds.items() for rank, kind in enumerate(of_user)
    ]
    splits = sequences(rows, bounds=boundaries(Manifest("", "", "order", 1, {}, 0, 3, (), (), []), SplitConfig()))
    # a's last purchase is test, though a return follows it. b's only purchase is training.
    assert marked(splits["train"]) == ["a0*", "b0 b1* b2", "c0"]
    assert marked(splits["validation"]) == ["a0 a1*"]
    assert marked(splits["test"]) == ["a0 a1 a2*"]


def test_without_timestamps_a_basket_of_equal_ranks_is_held_out_as_a_whole() -> None:
    ranks = {"a": [0, 0, 1, 1, 2, 2, 2], "b": [0, 0, 0], "c": [0, 0, 1, 1]}
    rows = [event(user, f"{user}{n}", rank) for user, of_user in ranks.items() for n, rank in enumerate(of_user)]
    splits = sequences(rows, bounds=boundaries(Manifest("", "", "order", 1, {}, 0, 2, (), (), []), SplitConfig()))
    # a has 3 baskets: train, validation, test. b's only basket is training. c's second is test,
    # none validation.
    assert marked(splits["train"]) == ["a0* a1*", "b0* b1* b2*", "c0* c1*"]
    assert marked(splits["validation"]) == ["a0 a1 a2* a3*"]
    assert marked(splits["test"]) == ["a0 a1 a2 a3 a4* a5* a6*", "c0 c1 c2* c3*"]


def test_leave_last_out_holds_out_each_users_last_two_baskets_of_dated_events(shop: TableSet) -> None:
    bounds = boundaries(shop.manifest, SplitConfig(method="leave_last_out"))
    assert bounds == Boundaries(None, None)
    examples: dict[str, list[str]] = {split: [] for split in ("train", "validation", "test")}
    for index in range(shop.manifest.partitions):
        interactions = pq.read_table(shop.part("interactions", index))
        for split, batch in build_sequences(interactions, None, (), bounds, ExamplesConfig()).items():
            rows = batch.to_pylist()
            users = [row["user_id"][0].decode() for row in rows]
            examples[split] += [f"{user}: {row}" for user, row in zip(users, marked(rows), strict=True)]
    # fay's tea and fern of one second are one basket; dee has two events, of which none is
    # validation. Events of the same split lie weeks apart: eve's test mug is of 03-15, bob's of
    # 02-20.
    assert sorted(examples["test"]) == [
        *("ann: pasta sauce tea tea pasta fern*", "bob: tea mug mug*", "cai: lamp lamp book soap*"),
        *("dee: book soap*", "eve: soap soap soap mug*", "fay: tea mug tea* fern*"),
    ]
    assert sorted(examples["validation"]) == [
        *("ann: pasta sauce tea tea pasta*", "bob: tea mug*", "cai: lamp lamp book*"),
        *("eve: soap soap soap*", "fay: tea mug*"),
    ]
    assert sorted(examples["train"]) == [
        *("ann: pasta* sauce* tea* tea*", "bob: tea*", "cai: lamp* lamp*", "dee: book*"),
        *("eve: soap* soap*", "fay: tea*"),
    ]


def test_impressions_are_neither_targets_nor_history_nor_between_search_and_click() -> None:
    rows = [
        event("u", "a", 1),
        search("u", 2, "tea"),
        event("u", "x", 3, "impression"),
        event("u", "b", 8, "click"),
        event("v", "x", TEST, "impression"),
    ]
    splits = sequences(rows)
    assert marked(splits["train"]) == ["a* b*"]
    assert splits["train"][0]["event_query"] == [b"", b"tea"]
    assert splits["test"] == []


def test_dislikes_and_returns_are_history_but_no_targets() -> None:
    rows = [
        event("u", "a", 1, "favorite"),
        event("u", "b", 2, "dislike"),
        event("u", "c", 3, "share"),
        event("u", "c", VALIDATION, "return"),
        event("u", "d", VALIDATION + 1),
        event("u", "d", TEST, "return"),
        event("v", "a", TEST, "dislike"),
    ]
    splits = sequences(rows)
    assert marked(splits["train"]) == ["a* b c*"]
    assert marked(splits["validation"]) == ["a b c d*"]  # the return is not known before the window
    assert splits["test"] == []  # neither user has a target
    later = sequences([*rows[:-1], event("u", "e", TEST + 1)], max_events=8)
    assert marked(later["test"]) == ["a b c c d e*"]
    assert later["test"][0]["event_kind"] == [b"favorite", b"dislike", b"share", b"return", b"purchase", b"purchase"]


def test_a_low_rating_is_a_dislike() -> None:
    rows = table([event("u", item, second, "rating") for second, item in enumerate("abc")] + [event("u", "d", 9)])
    rated = rows.append_column("rating", pa.array([1.0, 2.5, None, 1.0], pa.float32()))
    train = build_sequences(rated, None, (), BOUNDS, ExamplesConfig(low_rating=2.0))["train"].to_pylist()
    assert marked(train) == ["a b* c* d*"]
    assert train[0]["event_kind"] == [b"dislike", b"rating", b"rating", b"purchase"]


def test_a_low_rating_without_ratings_is_refused(shop: TableSet) -> None:
    with pytest.raises(DataError, match=r"`examples.low_rating` is 2, but the interactions have no ratings"):
        next(iter(build_partition(shop, 0, ExamplesConfig(low_rating=2.0))))


def test_events_with_the_same_timestamp_stay_in_the_order_of_the_table() -> None:
    rows = [event("u", item, second) for item, second in [("c", 5), ("a", 5), ("b", 5), ("d", 6)]]
    assert marked(sequences(rows)["train"]) == ["c* a* b* d*"]


@pytest.mark.parametrize(
    ("rows", "queries"),
    [
        pytest.param(
            [
                search("u", 1, "tea", "s"),
                event("u", "a", 7200, session="s"),
                event("u", "b", 7201, session="s"),
            ],
            ["tea", ""],
            id="the next event of the session has it, hours later too, and no other",
        ),
        pytest.param(
            [search("u", 1, "tea", "s"), event("u", "a", 2, session="t"), event("u", "b", 3, session="s")],
            ["", "tea"],
            id="an event of another session does not",
        ),
        pytest.param(
            [search("u", 1, "tea"), event("u", "a", 1 + 30 * MINUTE)],
            ["tea"],
            id="without sessions 30 minutes count",
        ),
        pytest.param(
            [search("u", 1, "tea"), event("u", "a", 1.001 + 30 * MINUTE)],
            [""],
            id="and a millisecond more does not",
        ),
        pytest.param(
            [search("u", 1, "tea"), search("u", 2, "mug"), event("u", "a", 3)],
            ["mug"],
            id="the last search counts",
        ),
        pytest.param(
            [search("u", 1, "tea"), event("u", "a", 2, query="own"), event("u", "b", 3)],
            ["own", ""],
            id="an event keeps its own query",
        ),
        pytest.param([event("u", "a", 1), search("u", 1, "tea")], [""], id="a search after the event does not"),
        pytest.param([search("t", 1, "tea"), event("u", "a", 2)], [""], id="another user's search does not"),
        pytest.param(
            [search("u", 1, "tea"), search("u", 2, ""), event("u", "a", 3)],
            ["tea"],
            id="an empty search is none",
        ),
    ],
)
def test_a_search_becomes_the_query_of_the_next_event(rows: list[dict[str, Any]], queries: list[str]) -> None:
    bounds = Boundaries(10**6, 10**6)
    decoded = [
        query.decode() for example in sequences(rows, bounds=bounds)["train"] for query in example["event_query"]
    ]
    assert decoded == queries


def test_a_search_before_the_window_is_the_query_of_an_event_in_it() -> None:
    rows = [event("u", "a", 1), search("u", TEST - 5, "tea"), event("u", "b", TEST)]
    splits = sequences(rows)
    assert (marked(splits["train"]), marked(splits["test"])) == (["a*"], ["a b*"])
    assert splits["test"][0]["event_query"] == [b"", b"tea"]


def test_a_user_who_only_searched_has_no_example() -> None:
    assert sequences([search("u", 1, "tea")]) == {"train": [], "validation": [], "test": []}


def test_an_unknown_price_is_zero() -> None:
    rows = [
        event("u", "a", 1, price=None),
        event("u", "b", 2, price=math.nan),
        event("u", "c", 3, price=1.25),
    ]
    assert sequences(rows)["train"][0]["event_price"] == [0.0, 0.0, 1.25]


def test_an_empty_partition_gives_no_example() -> None:
    batches = build_sequences(table([]), None, ("age",), BOUNDS, ExamplesConfig())
    assert [encode(batch) for batch in batches.values()] == [[], [], []]
    assert batches["test"].schema.names[:2] == ["user_id", "user_age"]


@pytest.mark.parametrize(
    "rows",
    [
        [event("a", "x", 2), event("a", "y", 1)],
        [event("a", "x", 1), event("b", "x", 1), event("a", "x", 2)],
    ],
    ids=["time", "user"],
)
def test_rows_out_of_order_are_refused(rows: list[dict[str, Any]]) -> None:
    with pytest.raises(DataError, match="not sorted by user and time"):
        sequences(rows)


def test_a_missing_profile_column_is_named() -> None:
    users = pa.table({"user_id": ["a"], "age": ["25-34"]})
    with pytest.raises(DataError, match=r"lacks the profile columns \['city'\]"):
        build_sequences(table([event("a", "x", 1)]), users, ("age", "city"), BOUNDS, ExamplesConfig())


@pytest.mark.parametrize("seed", range(30))
def test_later_events_change_no_earlier_example(seed: int) -> None:
    """Drop, change and add events from a random time on.

    Earlier targets and their context stay the same, in the same order.
    """
    rng = random.Random(seed)
    rows = sorted((random_event(rng, 0, 3000) for _ in range(120)), key=by_user_and_time)
    now = rng.choice([VALIDATION, TEST, rng.randrange(3000)])
    past = [row for row in rows if row["timestamp"] < now * 1000]
    kept = [row for row in rows if row["timestamp"] >= now * 1000 and rng.random() < 0.5]
    changed = [row | {"item_id": "changed", "kind": "view", "query": "changed"} for row in kept]
    added = [random_event(rng, now, 3100) for _ in range(40)]
    other_future = sorted(past + changed + added, key=by_user_and_time)
    assert len(past) > 0
    assert seen_before(now, sequences(rows)) == seen_before(now, sequences(other_future))
    assert seen_before(now, sequences(rows)) == seen_before(now, sequences(past))


def random_event(rng: random.Random, first: int, end: int) -> dict[str, Any]:
    user, session = rng.choice("abcd"), rng.choice([None, "s", "t"])
    second = rng.randrange(first, end) // 10 * 10 if rng.random() < 0.5 else rng.randrange(first, end)
    second = max(second, first)
    if rng.random() < 0.3:
        return search(user, second, rng.choice(["tea", "mug"]), session)
    query = rng.choice([None, None, "own"])
    return event(user, rng.choice("xyzw"), second, rng.choice(["view", "cart"]), 1.0, query, session)


def by_user_and_time(row: dict[str, Any]) -> tuple[str, int]:
    return row["user_id"], row["timestamp"]


def seen_before(now: int, splits: dict[str, list[dict[str, Any]]]) -> list[tuple]:
    """For each target before `now`: its split, user and all events of its example up to itself."""
    seen = []
    for split, examples in splits.items():
        for example in examples:
            features = ("event_item_id", "event_kind", "event_price", "event_query", "event_timestamp")
            events = list(zip(*(example[name] for name in features), strict=True))
            for position, is_target in enumerate(example["event_is_target"]):
                if is_target and example["event_timestamp"][position] < now:
                    seen.append((split, example["user_id"], events[: position + 1]))
    return seen


def test_a_catalog_example_holds_the_columns_of_its_item(shop: TableSet) -> None:
    items = pa.concat_tables(pq.read_table(path) for path in shop.parts("items"))
    rows = {row["item_id"][0]: row for row in build_catalog(items).to_pylist()}
    assert len(rows) == 8
    assert rows[b"tea"] == {
        "item_id": [b"tea"],
        "item_title": ["西湖龙井 绿茶".encode()],
        "item_description": [b"Green tea from Hangzhou"],
        "item_category": [b"Food > Drinks"],
        "item_brand": [b""],
        "item_price": [8.0],
    }
    assert (rows[b"fern"]["item_price"], rows[b"soap"]["item_category"]) == ([0.0], [b""])


def test_a_catalog_example_has_no_value_for_an_unknown_number_or_vector() -> None:
    items = pa.table(
        {
            "item_id": ["a", "b", "c"],
            **{name: ["", "", ""] for name in ("title", "description", "category", "brand", "maker")},
            "price": pa.array([1.0, 2.0, 3.0], pa.float32()),
            "weight": pa.array([0.5, None, float("nan")], pa.float32()),
            "image": pa.array([None, [1.0, 2.0], [3.0, 4.0]], pa.list_(pa.float32())),
        }
    )
    rows = build_catalog(items, ("maker", "weight", "image")).to_pylist()
    assert [row["item_weight"] for row in rows] == [[0.5], [], []]
    assert [row["item_image"] for row in rows] == [[], [1, 2], [3, 4]]


def test_tensorflow_parses_an_encoded_example() -> None:
    from tensorflow.core.example import example_pb2

    rows = [event("u", "绿茶", 1, price=2.5, query="tea"), event("u", "b", 2)]
    batches = build_sequences(table(rows), None, (), BOUNDS, ExamplesConfig())
    [serialized] = encode(batches["train"])
    feature = example_pb2.Example.FromString(serialized).features.feature
    assert list(feature["event_item_id"].bytes_list.value) == ["绿茶".encode(), b"b"]
    assert list(feature["event_query"].bytes_list.value) == [b"tea", b""]
    assert list(feature["event_price"].float_list.value) == [2.5, 0.0]
    assert list(feature["event_timestamp"].int64_list.value) == [1, 2]
    assert list(feature["event_is_target"].int64_list.value) == [1, 1]
    assert list(feature["user_id"].bytes_list.value) == [b"u"]


def test_a_catalog_larger_than_one_encoding_batch_is_complete(tmp_path: Path, write_tables: Any) -> None:
    from tensorflow.core.example import example_pb2

    items = [(str(number), "长" * 10_000, None, None, None, None, None) for number in range(ENCODE_ROWS + 3)]
    tables = write_tables(tmp_path, items=items, partitions=1)
    features = [
        example_pb2.Example.FromString(serialized).features.feature
        for split, examples in build_partition(tables, 0, ExamplesConfig())
        for serialized in examples
        if split == "catalog"
    ]
    assert [int(feature["item_id"].bytes_list.value[0]) for feature in features] == list(range(ENCODE_ROWS + 3))
    assert {feature["item_title"].bytes_list.value[0].decode() for feature in features} == {"长" * 10_000}


def test_each_partition_of_a_table_set_gives_its_own_examples(shop: TableSet) -> None:
    counts = dict.fromkeys(["train", "validation", "test", "catalog"], 0)
    for index in range(2):
        for split, examples in build_partition(shop, index, ExamplesConfig()):
            counts[split] += len(examples)
    # Users with events in each window, as above; 8 items.
    assert counts == {"train": 5, "validation": 3, "test": 4, "catalog": 8}


def test_a_windows_request_has_the_context_of_its_first_target() -> None:
    # The store of a training chunk's targets is that of the events alone.
    rows = [event("u", "a", 1), event("u", "b", VALIDATION), event("u", "c", VALIDATION + 1), event("u", "d", TEST)]
    stores = ["north", "south", "east", None]
    interactions = table(rows).append_column("store", pa.array(stores))
    config = ExamplesConfig(max_events=4, stride=2, context_columns=("store",))
    batches = build_sequences(interactions, None, (), BOUNDS, config)
    examples = {split: batch.to_pylist()[0] for split, batch in batches.items()}
    assert {split: example["user_store"] for split, example in examples.items()} == {
        "train": [b""],
        "validation": [b"south"],
        "test": [b""],
    }
    assert examples["test"]["event_store"] == [b"north", b"south", b"east", b""]


def test_a_split_without_examples_has_no_context() -> None:
    interactions = table([event("u", "a", 1)]).append_column("store", pa.array(["north"]))
    config = ExamplesConfig(context_columns=("store",))
    batches = build_sequences(interactions, None, (), BOUNDS, config)
    assert {split: batch.num_rows for split, batch in batches.items()} == {"train": 1, "validation": 0, "test": 0}
    assert "user_store" in batches["test"].schema.names


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ({"interaction_columns": ("store", "rating")}, "names 'shop', but the context columns .* are store; name it"),
        ({"interaction_columns": ("shop",), "profile_columns": ("shop",)}, "is a column of the users table too"),
        ({}, "the context columns of the interactions are none"),
    ],
)
def test_a_context_column_that_no_request_can_name_is_refused(
    shop: TableSet, manifest: dict[str, Any], message: str
) -> None:
    tables = dataclasses.replace(shop, manifest=dataclasses.replace(shop.manifest, **manifest))
    with pytest.raises(DataError, match=message):
        _ = [*build_partition(tables, 0, ExamplesConfig(context_columns=("shop",)))]


def test_a_context_column_of_the_name_of_the_user_is_refused(shop: TableSet) -> None:
    tables = dataclasses.replace(shop, manifest=dataclasses.replace(shop.manifest, interaction_columns=("id",)))
    with pytest.raises(DataError, match="names 'id', whose input of a request would be `user_id`"):
        _ = [*build_partition(tables, 0, ExamplesConfig(context_columns=("id",)))]


def test_states_of_items_are_refused_where_a_shop_has_none(shop: TableSet) -> None:
    with pytest.raises(DataError, match="is true, but the shop has no dated table"):
        _ = [*build_partition(shop, 0, ExamplesConfig(item_states=True))]
