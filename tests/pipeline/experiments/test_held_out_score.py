"""Users of the validation window that a ranker is scored on, apart from those that fit it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pipeline  # noqa: F401  # isort: skip  before TensorFlow
import pandas as pd
import pytest
import tensorflow as tf

from pipeline.experiments.held_out_score import PARTS, UserParts, held_out_score, split_users
from tfrec.ranking.second_stage import SecondStage


def users_of(path: str) -> list[str]:
    features = {"user_id": tf.io.FixedLenFeature([], tf.string)}
    records = tf.data.TFRecordDataset(path, "GZIP")
    return [tf.io.parse_single_example(record, features)["user_id"].numpy().decode() for record in records]


def test_each_user_is_in_one_part_the_same_whatever_the_files(
    tmp_path: Path, write_records: Callable[[Path, list[dict[str, list[Any]]]], None]
) -> None:
    users = [f"user {number}" for number in range(100)]
    write_records(tmp_path / "one", [{"user_id": [user]} for user in users[:60]])
    write_records(tmp_path / "two", [{"user_id": [user]} for user in users[60:]])
    files = [str(next((tmp_path / name).iterdir())) for name in ("one", "two")]
    parts = split_users(files, tmp_path / "parts")
    fitted, held_out = users_of(parts.fitted), users_of(parts.held_out)
    assert sorted(fitted + held_out) == sorted(users)
    assert 100 / PARTS / 2 < len(held_out) < 100 / PARTS * 2
    # A user's part does not depend on the other users; files that exist are taken as they are.
    again = split_users(files[1:], tmp_path / "other")
    assert set(users_of(again.held_out)) == set(held_out) & set(users[60:])
    assert split_users([], tmp_path / "parts") == parts
    assert users_of(parts.held_out) == held_out


@pytest.mark.slow
def test_held_out_users_are_scored_with_what_was_known_at_the_start_of_the_window(
    two_stage_shop: Any, transformed_shop: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known: list[tuple[int, int | None]] = []
    original = SecondStage.set_known_events

    def set_known_events(stage: SecondStage, events: pd.DataFrame, now: int | None) -> None:
        known.append((int(events.timestamp.max()), now))
        original(stage, events, now)

    monkeypatch.setattr(SecondStage, "set_known_events", set_known_events)
    files = transformed_shop.files
    users = UserParts(files["validation"][0], files["validation"][0])
    score = held_out_score(two_stage_shop.trained, files["train"], users, two_stage_shop.config, str(tmp_path))
    # The fit ends with the whole window's events known; the users are scored before them.
    assert known[-2][1] is None
    last, now = known[-1]
    assert now == 1_707_523_200  # 2024-02-10, the midnight before ann's tea, the first label
    assert last < now < known[-2][0]
    # Eight items, of which each list of 20 holds all: every label is found.
    assert 0 < score <= 1
