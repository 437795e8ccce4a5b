"""The whole pipeline on dated data that is split by `split: leave_last_out`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pipeline.shop_of_two_tastes import BIN, Shop
from tfrec.evaluation.result import Evaluation

pytestmark = pytest.mark.slow


def test_a_shop_is_trained_evaluated_and_pushed_under_leave_last_out(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.write_raw_files()
    file = tmp_path / "shop.yaml"
    file.write_text(file.read_text(encoding="utf-8") + "split: leave_last_out\nfloor: []\n", encoding="utf-8")
    output = shop.train()
    assert "second stage epoch 10 of 10" in output
    assert "of earlier windows" not in output  # there is no window before another
    evaluation = Evaluation.read(shop.artifact("evaluate_model", "evaluation") / "evaluation.json")
    assert evaluation.protocol.split == "leave_last_out"
    # Each of the 60 customers came on several days: the last one is held out, none is new. 19 items
    # of each taste are sold in the training days, so "all" has a label for each user.
    assert (evaluation.protocol.users, evaluation.protocol.new_users) == (60, 0)
    assert evaluation.model.slices["all"].users == 60
    # A user of one taste has about 20 of the 40 items to choose from: the model knows the taste.
    assert (
        evaluation.model.slices["all"].metrics["recall@20"]
        > evaluation.scores["random"].slices["all"].metrics["recall@20"]
    )
    assert len(shop.pushed()) == 1
    baselines = shop.call(BIN / "tfrec", "baselines", "shop.yaml", "--only", "EASE")
    rows = baselines[baselines.index("\nall: 60 users") :].splitlines()[3:6]
    assert [row[:24].strip() for row in rows] == ["EASE", "two-tower", "two stages"]
