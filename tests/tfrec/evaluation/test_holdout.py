"""Holdouts from records and tables written by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import tfrec  # noqa: F401  before TensorFlow
from tfrec.errors import ConfigError, DataError
from tfrec.evaluation.holdout import Holdout, holdout_from_events, read_holdout
from tfrec.schema import DAY_SECONDS

START = 20_000 * DAY_SECONDS  # the test window's first second, a midnight
CATALOG = ["pasta", "西湖龙井", "sauce", "mug", "lamp", "fern"]  # the lamp has no event

# (user, [(item, kind, days from START, is_target)])
Example = tuple[str, list[tuple[str, str, float, int]]]

TRAIN: list[Example] = [
    # ann's history fills two examples: the second repeats the end of the first as context.
    ("ann", [("pasta", "purchase", -90, 1), ("西湖龙井", "view", -80, 1)]),
    ("ann", [("西湖龙井", "view", -80, 0), ("pasta", "purchase", -70, 1)]),
    ("bob", [("", "search", -60, 1)]),
]
VALIDATION: list[Example] = [("ann", [("pasta", "purchase", -70, 0), ("sauce", "purchase", -20, 1)])]
TEST: list[Example] = [
    ("fay", [("fern", "purchase", 1.5, 1), ("fern", "purchase", 2, 1), ("pasta", "click", 2, 1)]),
    ("ann", [("sauce", "purchase", -20, 0), ("西湖龙井", "purchase", 0.5, 1), ("pasta", "view", 3, 1)]),
    ("bob", [("mug", "purchase", 4, 1)]),
]


def write_split(root: Path, split: str, examples: list[Example]) -> None:
    features = [
        {
            "user_id": [user],
            "event_item_id": [item for item, _, _, _ in events],
            "event_kind": [kind for _, kind, _, _ in events],
            "event_timestamp": [START + int(day * DAY_SECONDS) for _, _, day, _ in events],
            "event_price": [0.0 for _ in events],
            "event_is_target": [is_target for _, _, _, is_target in events],
        }
        for user, events in examples
    ]
    write_records(root / f"Split-{split}", features)


def write_records(folder: Path, examples: list[dict[str, list]]) -> None:
    import tensorflow as tf

    folder.mkdir(parents=True, exist_ok=True)
    path = str(folder / "data_tfrecord-00000-of-00001.gz")
    with tf.io.TFRecordWriter(path, tf.io.TFRecordOptions(compression_type="GZIP")) as writer:
        for example in examples:
            features = {name: feature(values) for name, values in example.items()}
            message = tf.train.Example(features=tf.train.Features(feature=features))
            writer.write(message.SerializeToString())


def feature(values: list):
    import tensorflow as tf

    if isinstance(values[0], str):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value.encode() for value in values]))
    if isinstance(values[0], float):
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


@pytest.fixture(scope="module")
def examples_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("examples")
    for split, examples in (("train", TRAIN), ("validation", VALIDATION), ("test", TEST)):
        write_split(root, split, examples)
    write_records(root / "Split-catalog", [{"item_id": [item], "item_title": ["?"]} for item in CATALOG])
    return root


def pairs(holdout: Holdout, matrix) -> dict[tuple[str, str], float]:
    coo = matrix.tocoo()
    users, items = holdout.user_ids[coo.row], holdout.item_ids[coo.col]
    return dict(zip(zip(users, items, strict=True), coo.data.tolist(), strict=True))


def test_labels_are_the_windows_own_events(examples_dir):
    holdout = read_holdout(examples_dir)
    assert holdout.user_ids.tolist() == ["ann", "bob", "fay"]
    assert pairs(holdout, holdout.labels) == {
        ("ann", "西湖龙井"): 1,
        ("ann", "pasta"): 1,
        ("bob", "mug"): 1,
        ("fay", "fern"): 1,  # twice
        ("fay", "pasta"): 1,
    }


def test_history_is_every_target_before_the_window_once(examples_dir):
    # The view of the tea is a target of one example and context of the next: one event.
    holdout = read_holdout(examples_dir)
    expected = {("ann", "pasta"): 2, ("ann", "西湖龙井"): 1, ("ann", "sauce"): 1}
    assert pairs(holdout, holdout.history) == expected
    assert len(holdout.event_item) == 4


def test_candidates_are_the_items_with_an_event_sorted_by_id(examples_dir):
    assert read_holdout(examples_dir).item_ids.tolist() == ["fern", "mug", "pasta", "sauce", "西湖龙井"]
    assert read_holdout(examples_dir, candidates="catalog").item_ids.tolist() == sorted(CATALOG)


def test_an_item_without_an_earlier_event_is_cold(examples_dir):
    holdout = read_holdout(examples_dir)
    assert holdout.item_ids[holdout.is_cold].tolist() == ["fern", "mug"]


def test_a_user_without_an_earlier_event_is_new_and_a_search_is_an_event(examples_dir):
    holdout = read_holdout(examples_dir)
    assert holdout.user_ids[holdout.is_new].tolist() == ["fay"]


def test_the_window_starts_at_the_midnight_before_its_first_event(examples_dir):
    assert read_holdout(examples_dir).window_start == START


def test_the_validation_window_holds_no_event_of_the_test_window(examples_dir):
    holdout = read_holdout(examples_dir, "validation")
    assert pairs(holdout, holdout.labels) == {("ann", "sauce"): 1}
    assert pairs(holdout, holdout.history) == {("ann", "pasta"): 2, ("ann", "西湖龙井"): 1}
    assert holdout.item_ids.tolist() == ["pasta", "sauce", "西湖龙井"]


def test_label_kinds_select_labels_and_history(examples_dir):
    holdout = read_holdout(examples_dir, label_kinds=["purchase"])
    # ann viewed the tea before and buys it now: a label outside of her history, not a cold item.
    assert ("ann", "西湖龙井") in pairs(holdout, holdout.labels)
    assert ("ann", "西湖龙井") not in pairs(holdout, holdout.history)
    assert not holdout.is_cold[holdout.item_ids == "西湖龙井"][0]
    assert ("ann", "pasta") not in pairs(holdout, holdout.labels)


def table(rows: list[tuple[str, str, int]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"]).assign(kind="purchase")


def test_users_without_labels_are_numbered_behind_those_with_labels():
    before = table([("zoe", "mug", START - 5), ("ann", "mug", START - 4)])
    holdout = holdout_from_events(before, table([("zoe", "mug", START)]), np.array(["mug"], dtype=object))
    assert holdout.user_ids.tolist() == ["zoe"]
    assert holdout.event_user.tolist() == [0, 1]


def test_timestamps_of_1970_are_an_order():
    # Leave-last-out: ann's last event is her second, bob's his ninth.
    before = table([("ann", "mug", 1), ("bob", "mug", 8)])
    holdout = holdout_from_events(before, table([("ann", "mug", 2), ("bob", "mug", 9)]), np.array(["mug"], object))
    assert holdout.clock == "order"
    assert holdout.window_start == 2


def test_an_earlier_event_with_a_later_timestamp_than_the_window_is_refused():
    before, during = table([("ann", "mug", START + 9)]), table([("bob", "mug", START + 3)])
    with pytest.raises(DataError, match="split by time again"):
        holdout_from_events(before, during, np.array(["mug"], object))


# Leave-last-out: ann's last basket is of day 0, bob's of day 10; dee has a single one, of day 20.
LAST_OUT_BEFORE = [("ann", "mug", START - 2 * DAY_SECONDS), ("bob", "mug", START), ("dee", "mug", START + 20)]
LAST_OUT_DURING = [("ann", "pen", START + 7), ("bob", "pen", START + 10 * DAY_SECONDS)]


def test_under_leave_last_out_each_user_is_queried_at_their_own_held_out_basket():
    items = np.array(["mug", "pen"], object)
    holdout = holdout_from_events(table(LAST_OUT_BEFORE), table(LAST_OUT_DURING), items, split="leave_last_out")
    assert not holdout.has_windows
    assert holdout.user_ids.tolist() == ["ann", "bob"]
    assert holdout.query_times.tolist() == [START + 7, START + 10 * DAY_SECONDS]
    # Each event's age is counted to its own user's query, that of dee to her last event.
    ages = np.array([2 * DAY_SECONDS + 7, 10 * DAY_SECONDS, 0]) / DAY_SECONDS
    np.testing.assert_allclose(holdout.age_days(holdout.event_user, holdout.event_timestamp), ages)


def test_with_windows_every_query_and_age_is_as_of_the_windows_start():
    before = table([("ann", "mug", START - DAY_SECONDS), ("dee", "mug", START - 3 * DAY_SECONDS)])
    holdout = holdout_from_events(before, table([("ann", "mug", START + 9)]), np.array(["mug"], object))
    assert holdout.has_windows
    assert holdout.query_times.tolist() == [START]
    assert holdout.age_days(holdout.event_user, holdout.event_timestamp).tolist() == [1, 3]


def test_under_leave_last_out_only_a_users_own_later_event_is_refused():
    before = table([*LAST_OUT_BEFORE, ("ann", "mug", START + 7)])
    with pytest.raises(DataError, match=rf"user 'ann' has an earlier event at second {START + 7}, not before the held"):
        holdout_from_events(before, table(LAST_OUT_DURING), np.array(["mug", "pen"], object), split="leave_last_out")


def test_an_item_missing_from_the_catalog_is_named():
    with pytest.raises(DataError, match=r"item 'tea' has events but is not in the catalog \(1 such items\)"):
        holdout_from_events(table([("ann", "tea", START)]), table([]), np.array(["mug"], object))


def test_an_empty_window_is_a_holdout_without_users():
    before = table([("ann", "mug", START - 5)])
    holdout = holdout_from_events(before, table([]), np.array(["mug"], object))
    assert holdout.labels.shape == (0, 1)
    assert holdout.window_start == START - 4


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"window": "train"}, "`window` is 'train'; use one of validation, test"),
        ({"label_kinds": ["buy"]}, "`label_kinds` is 'buy'; use one of view, click, cart, purchase"),
        ({"candidates": "all"}, "`candidates` is 'all'; use one of sold, catalog"),
        ({"clock": "local"}, "`clock` is 'local'; use one of utc, order"),
        ({"split": "random"}, "`split` is 'random'; use one of time, leave_last_out"),
    ],
)
def test_an_unknown_value_of_a_setting_is_refused(examples_dir, settings, sentence):
    with pytest.raises(ConfigError, match=sentence):
        read_holdout(examples_dir, **settings)


def test_a_missing_split_is_named(tmp_path):
    with pytest.raises(DataError, match="holds no Split-train; give the folder that ExampleGen wrote"):
        read_holdout(tmp_path)


def test_a_file_that_is_not_records_is_named(tmp_path):
    (tmp_path / "Split-train").mkdir()
    (tmp_path / "Split-train" / "data.gz").write_bytes(b"not gzip")
    with pytest.raises(DataError, match=r"data\.gz is not a file of tfrec's examples"):
        read_holdout(tmp_path)


def test_a_split_without_examples_gives_a_holdout_without_users(tmp_path):
    write_split(tmp_path, "train", TRAIN)
    for split in ("validation", "test"):
        (tmp_path / f"Split-{split}").mkdir()
    write_records(tmp_path / "Split-catalog", [{"item_id": [item]} for item in CATALOG])
    assert len(read_holdout(tmp_path).user_ids) == 0


def test_an_item_that_is_twice_in_the_catalog_is_named(tmp_path):
    for split in ("train", "validation", "test"):
        write_split(tmp_path, split, [])
    write_records(tmp_path / "Split-catalog", [{"item_id": ["mug"]}, {"item_id": ["mug"]}])
    with pytest.raises(DataError, match="the catalog holds item 'mug' twice"):
        read_holdout(tmp_path)
