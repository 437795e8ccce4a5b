"""The strong baselines on a shop of two tastes: each is tuned on one window and answers for the next."""

from __future__ import annotations

from ctypes.util import find_library

import numpy as np
import pandas as pd
import pytest

from tfrec.evaluation.baselines import tuning
from tfrec.evaluation.baselines.tuning import Baseline, Shop, compare, strong_baselines
from tfrec.evaluation.evaluate import SLICES
from tfrec.evaluation.holdout import Holdout, holdout_from_events
from tfrec.evaluation.scores import Scores
from tfrec.schema import DAY_SECONDS

START = 20_000 * DAY_SECONDS
needs_gomp = pytest.mark.skipif(
    find_library("gomp") is None, reason="the package loads libgomp1; Debian 12: apt-get install libgomp1"
)

# 40 users, half of whom like tools and half tea; 30 items, and one of each taste that is new in each window.
ITEMS = np.array([f"{taste}{number:02}" for taste in ("tea", "tool") for number in range(15)], dtype=object)
NEW = {0: ("tea13", "tool13"), 28: ("tea14", "tool14")}


def shop_of(days: int) -> Shop:
    """What is known when the window of the 28 days from day `days` on begins, and what happened in it."""
    rng = np.random.default_rng(3)
    rows = [
        (f"u{user:02}", f"{('tea', 'tool')[user % 2]}{rng.integers(13):02}", day)
        for user in range(40)
        for day in range(-60, 56, 4)
    ]
    rows += [(f"u{user:02}", new[user % 2], day + 5) for day, new in NEW.items() for user in range(40)]
    events = pd.DataFrame(rows, columns=["user_id", "item_id", "day"]).sort_values(["user_id", "day"])
    events = events.assign(kind="purchase", timestamp=START + events.day * DAY_SECONDS).drop(columns="day")
    start = START + days * DAY_SECONDS
    before, during = events[events.timestamp < start], events[events.timestamp >= start]
    during = during[during.timestamp < start + 28 * DAY_SECONDS]
    holdout: Holdout = holdout_from_events(before, during, ITEMS, clock="utc")
    texts = np.array([("green leaves to brew" if item.startswith("tea") else "steel to turn screws") for item in ITEMS])
    texts = texts[np.isin(ITEMS, holdout.item_ids)]
    vectors = np.eye(2, dtype=np.float32)[[int("steel" in text) for text in texts]]
    return Shop(holdout, texts, vectors)


@pytest.fixture(scope="module")
def compared() -> dict[str, Scores]:
    """Every baseline, tuned on the first window, on the second."""
    return {scores.name: scores for scores in compare(shop_of(0), shop_of(28), lambda _: None)}


@needs_gomp
def test_every_baseline_answers_every_slice(compared):
    assert list(compared) == [*strong_baselines("utc"), "LightGBM over these"]
    assert all(tuple(scores.slices) == tuple(SLICES) for scores in compared.values())
    assert all(scores.slices["all"].users == 40 for scores in compared.values())


@needs_gomp
def test_who_looks_at_tastes_beats_chance_and_popularity(compared):
    ndcg = {name: scores.slices["all"].metrics["ndcg@20"] for name, scores in compared.items()}
    for name in ("personal frequency", "item-kNN", "EASE", "linear autoencoder", "iALS", "frequency + EASE"):
        assert ndcg[name] > max(ndcg["random"], ndcg["popularity"]) + 0.05, name


@needs_gomp
def test_texts_alone_find_what_is_new(compared):
    first = {name: scores.slices["cold_among"].metrics["mrr"] for name, scores in compared.items()}
    assert first["text-kNN"] == first["TF-IDF profile"] == 1  # of the two new items the one of the user's taste
    assert first["random"] < 1


def test_the_setting_that_does_best_on_the_window_is_chosen():
    # `own` ranks what the user chose before, `other` all else.
    shop = shop_of(0)
    history = shop.holdout.history

    def fit(_: Shop, likes: str):
        sign = 1.0 if likes == "own" else -1.0
        return lambda rows: sign * history[rows].toarray().astype(np.float32)

    grid = ({"likes": "own"}, {"likes": "other"})
    chosen = tuning._tune("liking", Baseline(fit, grid), shop)
    assert chosen["all"] == {"likes": "own"}


def test_one_baseline_is_measured_alone_user_by_user():
    (found,) = compare(shop_of(0), shop_of(28), lambda _: None, ["popularity"], ("recall@10",))
    assert found.name == "popularity"
    assert found.slices["all"].per_user["recall@10"].shape == (40,)
