"""Logged candidates of an exported ranker, with their labels, on the shop of tests/conftest.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tfrec.errors import ModelError
from tfrec.evaluation.analysis.candidate_log import NEGATIVES_PER_KEPT, ranked_candidates
from tfrec.evaluation.exported_model import EVENTS
from tfrec.examples.read import read_histories

PROFILE = ("age", "city")

pytestmark = pytest.mark.slow


def test_each_candidate_is_a_row_for_each_head_with_its_label(exported_two_stages, raw_examples):
    # Among the positives of the test window ann's pasta and eve's soap are repeats, hence
    # candidates.
    rows = ranked_candidates(exported_two_stages, raw_examples, 100, "utc")
    again = rows[(rows.label == 1) & (rows.is_repeat == "yes")]
    assert again.department.tolist() == ["Food", "none"]
    assert set(rows["head"]) == {"purchase"}
    assert set(rows.activity) == {"none", "1 to 9"}
    assert set(rows.weight[rows.label == 1]) == {1}
    assert set(rows.weight[rows.label == 0]) == {NEGATIVES_PER_KEPT}
    midnight = 1_709_596_800  # 2024-03-05, before the first target
    probabilities = _scores_at(exported_two_stages, raw_examples, midnight)
    assert again.probability.tolist() == pytest.approx(
        [probabilities[b"ann", b"pasta"], probabilities[b"eve", b"soap"]], rel=1e-4
    )


def _scores_at(folder: str, raw: Path, query_time: int) -> dict[tuple[bytes, bytes], float]:
    """(user, item) -> score of `all_scores`."""
    model = tf.saved_model.load(folder)
    sent = read_histories(raw, "test", EVENTS, [f"user_{column}" for column in PROFILE])
    users = len(sent["user_id"])
    inputs = {name: tf.constant(values) for name, values in sent.items()}
    scores = model.all_scores(**inputs, timestamp=tf.fill([users], np.int64(query_time)), query=tf.fill([users], ""))
    ids = model.item_ids.numpy()
    return {
        (user, item): score
        for user, row in zip(sent["user_id"], scores.numpy(), strict=True)
        for item, score in zip(ids, row, strict=True)
    }


def test_more_users_give_more_candidates(exported_two_stages, raw_examples):
    counts = [len(ranked_candidates(exported_two_stages, raw_examples, users, "utc")) for users in (0, 1, 100)]
    assert counts[0] == 0
    assert counts[0] < counts[1] < counts[2]


def test_a_model_without_a_ranker_is_refused(exported_shop, raw_examples):
    with pytest.raises(ModelError, match=r"holds no ranker .*train one with ranking.epochs"):
        ranked_candidates(exported_shop.folder, raw_examples, 100, "utc")
