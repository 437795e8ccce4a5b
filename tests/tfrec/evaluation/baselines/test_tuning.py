"""Strong baselines on a shop of two tastes: tuned on one window, evaluated on the next."""

from __future__ import annotations

from ctypes.util import find_library

import numpy as np
import pandas as pd
import pytest

from tfrec.errors import ConfigError
from tfrec.evaluation.baselines import tuning
from tfrec.evaluation.baselines.shop import Shop
from tfrec.evaluation.baselines.tuning import Baseline, compare, select_names, strong_baselines
from tfrec.evaluation.evaluate import SLICES
from tfrec.evaluation.holdout import Holdout, holdout_from_events
from tfrec.evaluation.scores import Scores
from tfrec.schema import DAY_SECONDS

START = 20_000 * DAY_SECONDS
needs_gomp = pytest.mark.skipif(
    find_library("gomp") is None, reason="the package loads libgomp1; Debian 12: apt-get install libgomp1"
)

# 40 users, half of whom like tools and half tea; 30 items, and one of each taste that is new in
# each window.
ITEMS = np.array([f"{taste}{number:02}" for taste in ("tea", "tool") for number in range(15)], dtype=object)
NEW = {0: ("tea13", "tool13"), 28: ("tea14", "tool14")}


def shop_of(days: int) -> Shop:
    """Shop whose window is the 28 days from day `days` on."""
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
def test_every_baseline_has_scores_of_every_slice(compared):
    assert list(compared) == [*strong_baselines("utc"), "LightGBM over these"]
    assert all(tuple(scores.slices) == tuple(SLICES) for scores in compared.values())
    assert all(scores.slices["all"].users == 40 for scores in compared.values())


@needs_gomp
def test_personalized_baselines_beat_random_and_popularity(compared):
    ndcg = {name: scores.slices["all"].metrics["ndcg@20"] for name, scores in compared.items()}
    for name in ("personal frequency", "item-kNN", "EASE", "linear autoencoder", "iALS", "frequency + EASE"):
        assert ndcg[name] > max(ndcg["random"], ndcg["popularity"]) + 0.05, name


@needs_gomp
def test_content_baselines_rank_cold_items(compared):
    first = {name: scores.slices["cold_among"].metrics["mrr"] for name, scores in compared.items()}
    assert (
        first["text-kNN"] == first["TF-IDF profile"] == 1
    )  # the first of the two cold items is the one of the user's taste
    assert first["random"] < 1


def test_the_best_setting_is_tuned_for_each_target():
    # `old` ranks the history first and cold items last, `cold` the other way round. Most labels are
    # in the history, and most novel ones are cold items.
    shop = shop_of(0)
    history, is_cold = shop.holdout.history, shop.holdout.is_cold

    def fit(_: Shop, first: str):
        sign = 1.0 if first == "old" else -1.0
        return lambda rows: sign * (history[rows].toarray() - is_cold).astype(np.float32)

    settings = tuning.tune("either", Baseline(fit, ({"first": "old"}, {"first": "cold"})), shop)
    assert settings == {"all": {"first": "old"}, "novel": {"first": "cold"}}


def test_a_single_baseline_is_compared_with_values_per_user():
    (scores,) = compare(shop_of(0), shop_of(28), lambda _: None, ["popularity"], ("recall@10",))
    assert scores.name == "popularity"
    assert scores.slices["all"].per_user["recall@10"].shape == (40,)


def test_baselines_are_selected_by_name_whatever_their_case_and_in_the_order_of_the_table():
    assert select_names(["ease", "Item kNN"]) == ["item-kNN", "EASE"]
    assert select_names([]) == list(strong_baselines("utc"))  # LightGBM, which fits all of them, only by name
    assert select_names(["lightgbm over these"]) == ["LightGBM over these"]
    with pytest.raises(ConfigError, match=r"--only is 'EASI' \(did you mean 'EASE'\?\); use one of random"):
        select_names(["EASI"])
    assert list(strong_baselines("utc")) == list(strong_baselines("order"))
