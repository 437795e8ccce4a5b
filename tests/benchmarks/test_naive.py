"""The benchmark against TFRS and KerasHub as their tutorials write it: its data."""

from __future__ import annotations

import pandas as pd

from benchmarks.naive import HISTORY, naive_examples, sample  # sets the Keras version

import tensorflow as tf  # isort: skip


def test_a_sample_holds_all_events_of_its_users_and_their_items(tmp_path):
    interactions = pd.DataFrame({"user_id": ["a", "a", "b", "c"], "item_id": ["x", "y", "y", "z"]})
    interactions.to_parquet(tmp_path / "interactions.parquet")
    pd.DataFrame({"item_id": ["x", "y", "z", "never sold"]}).to_parquet(tmp_path / "items.parquet")
    folder = sample(str(tmp_path), 2, tmp_path / "sample")
    kept = pd.read_parquet(folder / "interactions.parquet")
    assert kept.user_id.nunique() == 2
    assert len(kept) == interactions.user_id.isin(kept.user_id).sum()
    assert set(pd.read_parquet(folder / "items.parquet").item_id) == set(kept.item_id)


def test_an_example_is_a_target_with_the_items_before_it():
    batch = {
        "event_item_id": tf.constant([[b"x", b"y", b"z"], [b"y", b"unknown", b""]]),
        "event_is_target": tf.constant([[0, 1, 1], [1, 1, 0]]),
    }
    histories, items = naive_examples([batch], [b"", b"x", b"y", b"z"])
    padding = [0] * (HISTORY - 2)
    assert items.tolist() == [2, 3, 2]
    assert histories.tolist() == [[*padding, 0, 1], [*padding, 1, 2], [*padding, 0, 0]]
