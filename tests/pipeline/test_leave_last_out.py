"""The whole pipeline on dated data split by `split: leave_last_out`, and the verbs beside it."""

from __future__ import annotations

import re

import pytest
import yaml

from pipeline.configuration import named_run
from tests.pipeline.shop_of_two_tastes import BIN, Shop
from tfrec.evaluation.result import Evaluation

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """The shop with a model that is pushed, and what its training printed as train.log."""
    shop = Shop(tmp_path_factory.mktemp("leave_last_out"))
    shop.write_raw_files()
    file = shop.home / "shop.yaml"
    text, found = re.subn(r"verdict\.floor: \[.*\]", "verdict.floor: []", file.read_text(encoding="utf-8"))
    assert found
    file.write_text(text + "split: leave_last_out\n", encoding="utf-8")
    (shop.home / "train.log").write_text(shop.train(), encoding="utf-8")
    return shop


def test_a_shop_is_trained_evaluated_and_pushed_under_leave_last_out(shop: Shop) -> None:
    output = (shop.home / "train.log").read_text(encoding="utf-8")
    assert "second stage epoch 10 of 10" in output
    assert "of earlier windows" not in output  # there is no window before another
    evaluation = Evaluation.read(shop.artifact("evaluate_model", "evaluation") / "evaluation.json")
    assert evaluation.protocol.split == "leave_last_out"
    # Each of the 60 customers came on several days: the last one is held out, none is new.
    assert (evaluation.protocol.users, evaluation.protocol.new_users) == (60, 0)
    assert evaluation.model.slices["all"].users == 60
    # A user of one taste has about 20 of the 40 items to choose from: the model knows the taste.
    recall = {name: scores.slices["all"].metrics["recall@20"] for name, scores in evaluation.scores.items()}
    assert recall[evaluation.model.name] > recall["random"]
    assert len(shop.pushed()) == 1


def test_baselines_are_measured_beside_the_runs_model(shop: Shop) -> None:
    output = shop.call(BIN / "tfrec", "baselines", "shop.yaml", "--only", "EASE", "--only", "popularity")
    rows = output[output.index("\nall: 60 users") :].splitlines()[3:7]
    assert [row[:24].strip() for row in rows] == ["popularity", "EASE", "two-tower", "two stages"]


def test_a_search_within_its_budget_writes_settings_that_the_shops_file_takes(shop: Shop) -> None:
    # The budget is used up by the first trial of each part, which is that of the file's settings.
    output = shop.call(BIN / "tfrec", "tune", "shop.yaml", "--minutes", "0.01")
    assert "towers trial 1: the own settings of the run" in output
    assert "ranker trial 1: the own settings of the run" in output
    tuned = shop.pipeline / "tuned.yaml"
    assert "No trial was better than the settings of shop.yaml" in tuned.read_text(encoding="utf-8")
    # A second call goes on: the trials are stored.
    output = shop.call(BIN / "tfrec", "tune", "shop.yaml", "--minutes", "0.5")
    assert "towers: 1 trials were made before" in output
    assert "towers trial 1:" not in output
    text = tuned.read_text(encoding="utf-8")
    settings = (yaml.safe_load(text) or {}).get("settings", {})
    found = shop.home / "found.yaml"
    described = (shop.home / "shop.yaml").read_text(encoding="utf-8")
    assert "\nsettings:\n" in described
    merged = yaml.safe_load(described)
    merged["settings"] |= settings
    found.write_text(yaml.safe_dump(merged), encoding="utf-8")
    assert named_run(str(found)).config.train.seed == 7  # every setting is read
