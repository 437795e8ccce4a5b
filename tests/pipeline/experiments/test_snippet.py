"""The YAML that a search ends with."""

from __future__ import annotations

import pytest
import yaml

import pipeline  # noqa: F401  # isort: skip  before TensorFlow
from pipeline.experiments.snippet import snippet
from pipeline.experiments.tuning import Tuned


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


@pytest.mark.parametrize("ranker", [None, (0.2, 0.2)])
def test_without_better_settings_the_file_stays_as_it_is(ranker: tuple[float, float] | None) -> None:
    text = snippet(Tuned({}, (0.1, 0.1), ranker, 3, 60.0), {"preset": "retail"}, "shop.yaml")
    assert yaml.safe_load(text) is None
    assert "# No trial was better than the settings of shop.yaml: leave it as it is." in text
    assert ("# Ranker" in text) == (ranker is not None)
