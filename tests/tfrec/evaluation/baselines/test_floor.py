"""Baselines of the verdict on hand-written shops: settings and the strongest, by validation."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pandas as pd
import pytest

from tfrec import metrics
from tfrec.config import Floor, VerdictConfig
from tfrec.evaluation.baselines.floor import floor_baselines
from tfrec.evaluation.holdout import Holdout, holdout_from_events
from tfrec.schema import DAY_SECONDS

START = 20_000 * DAY_SECONDS  # the validation window's first second, a midnight
TEST_START = START + 28 * DAY_SECONDS
USERS = range(12)

Rows = list[tuple[str, str, str, float]]  # user, item, kind, days from START


def windows(rows: Rows, label_kinds: tuple[str, ...] = ()) -> tuple[Holdout, Holdout]:
    """Validation and test window of a log, 28 days each from START on."""
    users, items, kinds, days = zip(*rows, strict=True)
    seconds = (START + np.array(days) * DAY_SECONDS).astype(np.int64)
    log = pd.DataFrame({"user_id": users, "item_id": items, "kind": kinds, "timestamp": seconds})
    catalog = np.sort(log.item_id.unique())
    return tuple(
        holdout_from_events(
            log[log.timestamp < start],
            log[(log.timestamp >= start) & (log.timestamp < start + 28 * DAY_SECONDS)],
            catalog,
            label_kinds=label_kinds,
        )
        for start in (START, TEST_START)
    )


def repeats() -> Rows:
    """Each user buys a staple of the own every 10 days; everybody buys one of two popular items."""
    staples: Rows = [(f"u{n}", f"staple{n}", "purchase", day) for n in USERS for day in range(-40, 56, 10)]
    return staples + [(f"u{n}", f"hit{(n + day) % 2}", "purchase", day) for n in USERS for day in (-9, -2, 26, 27)]


def ndcg(scores, holdout: Holdout) -> float:
    rows = np.arange(len(holdout.user_ids))
    return float(metrics.ndcg_of_scores(scores(rows), holdout.labels, 20).mean())


def test_personal_frequency_is_the_strongest_where_users_buy_the_same_again():
    validation, test = windows(repeats())
    floor = floor_baselines(validation, test, VerdictConfig())
    assert floor.strongest == "personal_frequency"
    assert ndcg(floor.scorers["personal_frequency"], test) > ndcg(floor.scorers["recent_popularity"], test)


def test_recent_popularity_is_the_strongest_where_users_have_no_history():
    # Each window has users of its own, who buy what was popular before. Equal baselines are in the
    # order of the table.
    rows: Rows = [
        (f"u{window}-{n}", "tea" if n else "mug", "purchase", window * 28 + 1.0)
        for window in (-1, 0, 1)
        for n in range(6)
    ]
    validation, test = windows(rows)
    assert floor_baselines(validation, test, VerdictConfig()).strongest == "recent_popularity"


def test_the_linear_autoencoder_is_the_strongest_where_users_buy_what_similar_users_bought():
    # Two tastes of 16 items each, all equally popular; nobody buys an item twice. User n has bought
    # the first items of the taste, at most 12 of 16, and buys the next one in each window.
    rows: Rows = []
    for n in range(40):
        taste = "tea" if n % 2 else "tool"
        order = np.random.default_rng(n).permutation(16)
        rows += [(f"u{n:02}", f"{taste}{item:02}", "purchase", -20.0 + k) for k, item in enumerate(order[:12])]
        rows += [(f"u{n:02}", f"{taste}{order[12]:02}", "purchase", 3.0)]
        rows += [(f"u{n:02}", f"{taste}{order[13]:02}", "purchase", 30.0)]
    validation, test = windows(rows)
    floor = floor_baselines(validation, test, VerdictConfig(slice="novel"))
    assert floor.strongest == "linear_autoencoder"


def test_carts_count_where_purchases_are_the_labels():
    # Each user has two items in the cart before each window and buys both in it, and leaves others
    # in the cart. Nobody buys twice. By the latest cart, both labels come first.
    rows: Rows = [(f"u{n}", f"left{n}{letter}", "cart", -25.0) for n in USERS for letter in "abcde"]
    for window in (0, 1):
        for n in USERS:
            items = [f"w{window}u{n}{letter}" for letter in "ab"]
            rows += [(f"u{n}", item, "cart", window * 28 - 3.0) for item in items]
            rows += [(f"u{n}", item, "purchase", window * 28 + 2.0) for item in items]
    validation, test = windows(rows, ("purchase",))
    floor = floor_baselines(validation, test, VerdictConfig())
    assert floor.strongest == "personal_frequency"
    assert ndcg(floor.scorers["personal_frequency"], test) == 1
    assert floor.settings["personal_frequency"].startswith("cart 1")


def test_the_half_life_is_selected_by_the_validation_window():
    # Each of ten users bought three old items twice, 100 days ago, and one new item once, 5 days
    # ago, and buys the new item again, in the test window the old ones. Without decay the new item
    # ranks fourth in the history, with a half-life of 60 days or less first.
    rows: Rows = [
        (f"u{n}", f"u{n}-old{k}", "purchase", day) for n in range(10) for k in range(3) for day in (-100, -99)
    ]
    rows += [(f"u{n}", f"u{n}-new", "purchase", day) for n in range(10) for day in (-5, 1)]
    rows += [(f"u{n}", f"u{n}-old0", "purchase", 30) for n in range(10)]
    validation, test = windows(rows)
    settings = floor_baselines(validation, test, VerdictConfig()).settings["personal_frequency"]
    assert settings == "label kinds; half-life 1 days"


def test_scores_are_new_arrays_that_a_caller_may_mask():
    validation, test = windows(repeats())
    scorers = floor_baselines(validation, test, VerdictConfig()).scorers
    assert (*scorers, "strongest") == get_args(Floor)  # those that a verdict may name
    for score in scorers.values():
        score(np.array([0]))[:] = -np.inf
        assert np.isfinite(score(np.array([0]))).all()


@pytest.mark.parametrize("slice_", ["all", "cold", "new_users"])
def test_a_validation_window_without_users_has_a_strongest_baseline_too(slice_):
    rows = [row for row in repeats() if not 0 <= row[3] < 28]
    validation, test = windows(rows)
    assert floor_baselines(validation, test, VerdictConfig(slice=slice_)).strongest == "recent_popularity"
