"""Two models compared user by user, with hand-written scores."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from tests.tfrec.reports.evaluation_by_hand import EVALUATION
from tfrec.errors import DataError
from tfrec.evaluation.analysis.user_differences import ModelOfUsers, group_differences, largest
from tfrec.evaluation.analysis.user_scores import UserScores, user_scores
from tfrec.evaluation.holdout import holdout_from_events
from tfrec.evaluation.result import PRODUCTION
from tfrec.evaluation.scores import Scores, SliceScores
from tfrec.reports.user_comparison import compare_users
from tfrec.schema import DAY_SECONDS

ITEMS = np.array(["book", "mug", "pen", "tea"], dtype=object)
TITLES = np.array(["A book", "A mug", "", "西湖龙井"], dtype=object)
BOOK, MUG, PEN, TEA = range(4)
LABELS = [("ann", "tea"), ("bob", "tea"), ("cai", "pen"), ("dee", "mug"), ("eve", "mug")]


def scores(name: str, ndcg: list[float], first: list[int]) -> Scores:
    """NDCG@20 of the five users; the first two are those of the novel slice and the group."""
    values = np.array(ndcg, np.float32)

    def part(users: int) -> SliceScores:
        return SliceScores(users, 0.1, {}, per_user={"ndcg@20": values[:users]}, user_rows=np.arange(users))

    lists = np.array([[item, BOOK, -1] for item in first])
    slices = {"all": part(5), "novel": part(2), "cold": part(0)}
    return Scores(name, slices, 1.0, {"activity": {"1": part(2)}}, (), lists)


@pytest.fixture
def users() -> UserScores:
    events = pd.DataFrame(LABELS, columns=["user_id", "item_id"]).assign(kind="purchase")
    start = 20_000 * DAY_SECONDS
    holdout = holdout_from_events(
        events.assign(timestamp=start - 5), events.assign(timestamp=start), ITEMS, candidates="catalog", clock="utc"
    )
    old = scores(PRODUCTION, [0.2, 0.5, 0.5, 0.0, 0.4], [PEN, TEA, PEN, BOOK, MUG])
    new = scores("model", [0.9, 0.5, 0.2, 0.0, 0.5], [TEA, TEA, BOOK, BOOK, MUG])
    return user_scores(holdout, {PRODUCTION: old, "model": new}, TITLES)


def test_each_slice_and_group_has_its_users_gains_and_losses(users):
    rows = group_differences(ModelOfUsers(PRODUCTION, users), ModelOfUsers("model", users))
    assert [(row.partition, row.group, row.users, row.gained, row.lost) for row in rows] == [
        ("slice", "all", 5, 2, 1),
        ("slice", "novel", 2, 1, 0),
        ("activity", "1", 2, 1, 0),
    ]
    # all: 1.6 / 5 and 2.1 / 5. novel: gains of 0.7 and 0, Student's t of 1 degree of freedom is
    # 12.706, so the interval reaches beyond 1 and is cut there.
    assert (rows[0].first, rows[0].second) == (pytest.approx(0.32), pytest.approx(0.42))
    assert (rows[1].low, rows[1].high) == (-1, 1)


def test_the_largest_gains_come_first_and_the_largest_loss_last(users):
    shown = largest(ModelOfUsers(PRODUCTION, users), ModelOfUsers("model", users), 10)
    assert [user.user_id for user in shown] == ["ann", "eve", "cai"]
    assert (shown[0].labels, shown[0].first_items, shown[0].second_items) == (
        [("西湖龙井", True)],
        [("pen", False), ("A book", False)],
        [("西湖龙井", True), ("A book", False)],
    )
    assert [user.user_id for user in largest(ModelOfUsers(PRODUCTION, users), ModelOfUsers("model", users), 1)] == [
        "ann",
        "cai",
    ]


def test_scores_of_users_come_back_from_their_files(users, tmp_path):
    users.write(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["user_lists.parquet", "user_scores.parquet"]
    copy = UserScores.read(tmp_path)
    assert copy is not None
    assert copy.scores.equals(users.scores)
    assert copy.lists.equals(users.lists)
    (tmp_path / "user_lists.parquet").write_bytes(b"half a file")
    with pytest.raises(DataError, match="holds damaged scores of users"):
        UserScores.read(tmp_path)
    (tmp_path / "user_lists.parquet").unlink()
    assert UserScores.read(tmp_path) is None


def test_an_evaluation_is_compared_with_its_model_in_production_or_another_evaluation(users):
    both = {name: Scores(name, {}, 1.0) for name in (PRODUCTION, "model")}
    one = dataclasses.replace(EVALUATION, scores=both, users=users)
    (block,) = compare_users({"new": one})
    lines = block.splitlines()
    assert lines[0] == "User by user: first is in production, second is model"
    assert lines[3].split()[:5] == ["all", "5", "0.3200", "0.4200", "+0.1000"]
    assert "user ann: 0.2000 -> 0.9000" in lines
    assert "  first   pen; A book" in lines
    assert "  second  *西湖龙井; A book" in lines
    (block,) = compare_users({"old": one, "new": one})
    assert block.splitlines()[3].split()[:5] == ["all", "5", "0.4200", "0.4200", "+0.0000"]
    assert "user" not in block.splitlines()[-1]


def test_without_scores_of_users_there_is_no_block():
    assert compare_users({"old": EVALUATION, "new": EVALUATION}) == []
    assert compare_users({"new": EVALUATION}) == []
