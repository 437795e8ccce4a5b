"""Baselines that combine baselines."""

from __future__ import annotations

from ctypes.util import find_library

import numpy as np
import pandas as pd
import pytest

from tfrec.evaluation.baselines.hybrid import boosted, hybrid, with_fallback
from tfrec.evaluation.holdout import Holdout, holdout_from_events
from tfrec.schema import DAY_SECONDS

START = 20_000 * DAY_SECONDS

needs_gomp = pytest.mark.skipif(
    find_library("gomp") is None, reason="the package loads libgomp1; Debian 12: apt-get install libgomp1"
)


def constant(scores: list[float]):
    return lambda user_rows: np.tile(np.array(scores, np.float32), (len(user_rows), 1))


def test_a_hybrid_scales_both_to_their_best_and_weights_the_second():
    score = hybrid(constant([4, 2, 0]), constant([0, 5, 10]), share=0.5)
    np.testing.assert_allclose(score(np.array([0])), [[1, 0.75, 0.5]])
    np.testing.assert_allclose(hybrid(constant([0, 0]), constant([0, 1]), 1.0)(np.array([0])), [[0, 1]])


def events(rows: list[tuple[str, str]], day: int) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["user_id", "item_id"])
    return frame.assign(kind="purchase", timestamp=START + day * DAY_SECONDS)


def test_only_users_without_history_get_the_fallback():
    items = np.array(["tea", "mug"], dtype=object)
    holdout = holdout_from_events(events([("ann", "tea")], -1), events([("ann", "mug"), ("fay", "tea")], 1), items)
    score = with_fallback(constant([1, 2]), constant([9, 8]), holdout)
    assert score(np.array([0, 1])).tolist() == [[1, 2], [9, 8]]


def world(users: int, seed: int) -> tuple[Holdout, dict]:
    """Holdout of users with one label each; `right` scores it, `noise` is random and larger."""
    rng = np.random.default_rng(seed)
    items = np.array([f"i{n}" for n in range(10)], dtype=object)
    tastes = rng.integers(0, 10, users)
    names = [f"u{n:03}" for n in range(users)]
    before = events([(name, str(rng.choice(items))) for name in names], -1)
    during = events([(name, str(items[taste])) for name, taste in zip(names, tastes, strict=True)], 1)
    noise = rng.normal(size=(users, 10)).astype(np.float32)
    holdout = holdout_from_events(pd.concat([before, events([("z", item) for item in items], -2)]), during, items)
    return holdout, {
        "noise": lambda rows: 9 * noise[rows],
        "right": lambda rows: np.eye(10, dtype=np.float32)[tastes[rows]],
    }


@needs_gomp
def test_boosting_fits_on_an_earlier_window_which_scorer_is_right():
    (earlier_holdout, earlier), (now_holdout, now) = world(300, 1), world(200, 2)
    scores = boosted(earlier, earlier_holdout, now)(np.arange(200))
    labels = now_holdout.labels.toarray() > 0
    assert (scores.argmax(axis=1) == labels.argmax(axis=1)).mean() > 0.95
