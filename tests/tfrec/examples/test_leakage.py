"""The leak audit finds each planted leak, and nothing in sound examples."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tfrec.errors import DataError
from tfrec.examples.leakage import find_leaks, find_state_leaks

VALIDATION, TEST = 1000, 2000
Event = tuple[str, int, int]  # item, timestamp, is_target

SOUND: dict[str, list[tuple[str, list[Event]]]] = {
    # Two chunks of ann; her basket at second 300 holds tea twice and is cut by a chunk's end.
    "train": [
        ("ann", [("tea", 100, 1), ("mug", 200, 1), ("tea", 300, 1)]),
        ("ann", [("mug", 200, 0), ("tea", 300, 0), ("tea", 300, 1), ("pen", 999, 1)]),
        ("bob", [("tea", 100, 1)]),
    ],
    "validation": [("ann", [("mug", 200, 0), ("tea", 300, 0), ("tea", 1000, 1), ("mug", 1999, 1)])],
    # She buys tea again, and so it is in her history.
    "test": [("ann", [("tea", 1000, 0), ("mug", 1999, 0), ("tea", 2000, 1)]), ("eve", [("pen", 2500, 1)])],
}

PLANTED: dict[str, tuple[str, int, tuple[str, list[Event]], str]] = {
    "target after the split": ("train", 2, ("bob", [("tea", 1000, 1)]), "1 train targets from second 1000 on"),
    "context after the split": (
        "train",
        2,
        ("bob", [("mug", 1001, 0), ("tea", 1500, 0)]),
        "2 train context from second 1000 on",
    ),
    "target before the window": (
        "test",
        1,
        ("eve", [("pen", 1999, 1)]),
        "1 test targets before second 2000, where it starts, "
        "the first of them user 'eve', item 'pen', purchase at 1999",
    ),
    "target behind the window": (
        "validation",
        0,
        ("ann", [("tea", 2000, 1)]),
        "validation targets from second 2000 on",
    ),
    "window in the context": (
        "test",
        1,
        ("eve", [("mug", 2001, 0), ("pen", 2500, 1)]),
        "test context from second 2000",
    ),
    "target in history": (
        "test",
        1,
        ("eve", [("pen", 2500, 0), ("pen", 2500, 1)]),
        "1 test targets in their own history",
    ),
    "basket in the context": (
        "validation",
        0,
        ("ann", [("pen", 1500, 0), ("tea", 1500, 1)]),
        "1 validation context at the time of a target or later",
    ),
    "disorder": ("train", 0, ("ann", [("mug", 200, 1), ("tea", 100, 1)]), "1 train events out of time order"),
    "two examples of a user": ("test", 1, ("ann", [("pen", 2500, 1)]), "1 users with more than one example in test"),
    "one target in two splits": ("test", 1, ("eve", [("tea", 100, 1)]), "test targets before second 2000"),
}


@pytest.fixture
def write(tmp_path: Path, write_records: Any) -> Callable[..., Path]:
    """Writes the splits as ExampleGen does."""

    def as_records(splits: dict[str, list[tuple[str, list[Event]]]]) -> Path:
        for split, examples in splits.items():
            records = [
                {
                    "user_id": [user],
                    "event_item_id": [item for item, _, _ in events],
                    "event_kind": ["purchase"] * len(events),
                    "event_timestamp": [timestamp for _, timestamp, _ in events],
                    "event_is_target": [is_target for _, _, is_target in events],
                }
                for user, events in examples
            ]
            write_records(tmp_path / f"Split-{split}", records)
        return tmp_path

    return as_records


def test_sound_examples_have_no_leak(write):
    assert find_leaks(write(SOUND), VALIDATION, TEST) == []


@pytest.mark.parametrize("leak", PLANTED)
def test_a_planted_leak_is_reported_with_an_example(write, leak):
    split, position, example, sentence = PLANTED[leak]
    examples = [*SOUND[split]]
    examples[position] = example
    leaks = find_leaks(write(SOUND | {split: examples}), VALIDATION, TEST)
    assert any(sentence in line for line in leaks), leaks


def test_sound_splits_without_timestamps_have_no_leak(write):
    splits = {
        "train": [("ann", [("tea", 0, 1), ("mug", 1, 1)])],
        "validation": [("ann", [("tea", 0, 0), ("mug", 1, 0), ("pen", 2, 1)])],
        "test": [("ann", [("tea", 0, 0), ("mug", 1, 0), ("pen", 2, 0), ("cup", 3, 1)])],
    }
    assert find_leaks(write(splits), None, None) == []


def test_without_timestamps_an_event_of_two_splits_is_a_leak_too(write):
    splits = {
        "train": [("ann", [("tea", 0, 1), ("mug", 1, 1)])],
        "validation": [("ann", [("tea", 0, 0), ("mug", 1, 1)])],
        "test": [("ann", [("tea", 0, 0), ("cup", 3, 1)])],
    }
    first, *_ = find_leaks(write(splits), None, None)
    assert first.startswith("1 events that are targets of two splits, the first of them user 'ann', item 'mug'")


def test_without_timestamps_the_rest_of_a_targets_basket_in_its_context_is_a_leak(write):
    splits = {
        "train": [("ann", [("tea", 0, 1)])],
        "validation": [],
        "test": [("ann", [("tea", 0, 0), ("mug", 1, 0), ("cup", 1, 1)])],
    }
    (leak,) = find_leaks(write(splits), None, None)
    assert leak == (
        "1 test context at the time of a target or later, the first of them user 'ann', item 'mug', purchase at 1"
    )


LEAVE_LAST_OUT: dict[str, list[tuple[str, list[Event]]]] = {
    # bob's training events are later than ann's test event: only a user's own order counts.
    "train": [("ann", [("tea", 100, 1)]), ("bob", [("tea", 900, 1)])],
    "validation": [("ann", [("tea", 100, 0), ("mug", 200, 1)])],
    "test": [("ann", [("tea", 100, 0), ("mug", 200, 0), ("pen", 300, 1)])],
}


def test_without_windows_later_events_of_other_users_are_no_leak(write):
    assert find_leaks(write(LEAVE_LAST_OUT), None, None) == []


@pytest.mark.parametrize(
    ("split", "example", "sentence"),
    [
        ("train", [("tea", 100, 1), ("cup", 200, 1)], "1 train targets at the user's validation targets or later"),
        ("train", [("tea", 100, 1), ("cup", 301, 1)], "1 train targets at the user's test targets or later"),
        ("validation", [("tea", 100, 0), ("cup", 300, 1)], "1 validation targets at the user's test targets or later"),
    ],
)
def test_without_windows_a_target_at_the_users_later_ones_is_a_leak(write, split, example, sentence):
    splits = LEAVE_LAST_OUT | {split: [("ann", example)]}
    leaks = find_leaks(write(splits), None, None)
    assert any(line.startswith(f"{sentence}, the first of them user 'ann', item 'cup'") for line in leaks), leaks


def test_empty_splits_are_sound_and_a_missing_one_is_an_error(write, tmp_path):
    root = write({"train": SOUND["train"], "validation": [], "test": []})
    assert find_leaks(root, VALIDATION, TEST) == []
    (root / "Split-test").rename(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="holds no Split-test"):
        find_leaks(root, VALIDATION, TEST)


def test_a_state_of_an_item_at_or_before_the_one_in_front_of_it_is_a_leak(write_records, tmp_path):
    def leaks(name: str, *times: list[int]) -> list[str]:
        items = [{"item_id": [item], "state_from": seconds} for item, seconds in zip("ab", times, strict=True)]
        write_records(tmp_path / name / "Split-catalog", [item for item in items if item["state_from"]])
        return find_state_leaks(tmp_path / name)

    for name in ("sound", "late", "twice"):
        (tmp_path / name).mkdir()
    assert leaks("sound", [100, 200], [50]) == []
    assert leaks("late", [100], [50, 70, 60]) == [
        "1 states of items out of time order, the first of them of item 'b' at 60"
    ]
    assert len(leaks("twice", [100, 100], [50])) == 1


def test_a_catalog_without_states_has_no_leak(toy_examples):
    assert find_state_leaks(toy_examples) == []
