"""The YAML that a search ends with."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

import pipeline  # noqa: F401  # isort: skip  before TensorFlow
from pipeline.configuration import named_run
from pipeline.experiments.snippet import snippet
from pipeline.experiments.tuning import Tuned
from tests.pipeline.shop_of_two_tastes import SHOP_FILE


def test_the_best_settings_are_yaml_with_the_preset_that_they_were_found_around() -> None:
    tuned = Tuned({"train.learning_rate": 0.003, "ranking.hidden": (64, 32)}, (0.1, 0.125), (0.2, 0.21), 9, 1830.0)
    text = snippet(tuned, {"preset": "retail", "label_kinds": ["purchase"]}, "shop.yaml")
    assert yaml.safe_load(text) == {
        "preset": "retail",
        "label_kinds": ["purchase"],
        "settings": {"train.learning_rate": 0.003, "ranking.hidden": [64, 32]},
    }
    assert "# Found by `tfrec tune` in 9 trials and 30 minutes." in text
    assert "0.1000 with the settings of shop.yaml, 0.1250 with these" in text
    assert "# Ranker, NDCG@20 of held-out users of the validation window: 0.2000, 0.2100 with these." in text


def test_a_shops_file_takes_the_settings_as_they_are_written(tmp_path: Path) -> None:
    tuned = Tuned({"train.learning_rate": 0.003, "ranking.hidden": (64, 32)}, (0.1, 0.125), (0.2, 0.21), 9, 1830.0)
    merged = yaml.safe_load(SHOP_FILE)
    merged["settings"] |= yaml.safe_load(snippet(tuned, {}, "shop.yaml"))["settings"]
    file = tmp_path / "shop.yaml"
    file.write_text(yaml.safe_dump(merged), encoding="utf-8")
    config = named_run(str(file)).config
    assert (config.train.learning_rate, config.ranking.hidden) == (0.003, (64, 32))
    assert config.train.epochs == 3  # as SHOP_FILE has it


@pytest.mark.parametrize("ranker", [None, (0.2, 0.2)])
def test_without_better_settings_the_file_stays_as_it_is(ranker: tuple[float, float] | None) -> None:
    text = snippet(Tuned({}, (0.1, 0.1), ranker, 3, 60.0), {"preset": "retail"}, "shop.yaml")
    assert yaml.safe_load(text) is None
    assert "# No trial was better than the settings of shop.yaml: leave it as it is." in text
    assert ("# Ranker" in text) == (ranker is not None)
