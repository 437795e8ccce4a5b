"""Configuration as it is read: tuples come back, and unknown settings and values are refused."""

from __future__ import annotations

import dataclasses
import json

import pytest

from tfrec.config import Config, EvaluationConfig, TowerConfig, TrainConfig, TuneConfig, config_from_json, with_settings
from tfrec.errors import ConfigError


def test_a_configuration_survives_json():
    config = Config(
        clock="order",
        towers=TowerConfig(dim=16, text_mode="top"),
        train=TrainConfig(mask_positives="repeat"),
        tune=TuneConfig(2, (("towers.dropout", (0.2, 0.4)),)),
    )
    assert config_from_json(config.to_json()) == config


def test_an_unknown_setting_is_refused_with_the_nearest_one():
    raw = json.dumps({"train": {"learning_rat": 0.1}})
    with pytest.raises(
        ConfigError, match=r"TrainConfig has no setting 'learning_rat' \(did you mean 'learning_rate'\?\)"
    ):
        config_from_json(raw)
    with pytest.raises(ConfigError, match=r"Config has no setting 'xyz'; its settings are clock, examples"):
        config_from_json(json.dumps({"xyz": {}}))


@pytest.mark.parametrize(
    ("part", "name", "value", "message"),
    [
        (
            "train",
            "mask_positives",
            "baskets",
            r"`mask_positives` is 'baskets' \(did you mean 'basket'\?\); use one of seq",
        ),
        ("train", "validation_slice", "cold", r"`validation_slice` is 'cold'; use one of all, novel"),
        ("towers", "text_mode", "half", r"`text_mode` is 'half'; use one of frozen, top, lora, full"),
        ("towers", "bert_dtype", "float16", r"`bert_dtype` is 'float16' \(did you mean 'float32'\?\)"),
        ("evaluation", "candidates", "all", r"`candidates` is 'all'; use one of sold, catalog"),
        ("evaluation", "label_kinds", ["buy"], r"`label_kinds` is 'buy'; use one of view, click, cart, purchase"),
        ("verdict", "metric", "ndgc@20", r"`metric` is 'ndgc@20' \(did you mean 'ndcg@20'\?\)"),
        ("verdict", "slice", "novle", r"`slice` is 'novle' \(did you mean 'novel'\?\)"),
        ("verdict", "protected", ["colder"], r"`protected` is 'colder' \(did you mean 'cold'\?\)"),
        ("verdict", "floor", ["recent_popularty"], r"`floor` is 'recent_popularty' \(did you mean 'recent_popularity'"),
    ],
)
def test_an_unknown_value_is_refused_with_the_nearest_one(part, name, value, message):
    with pytest.raises(ConfigError, match=message):
        config_from_json(json.dumps({part: {name: value}}))


def test_values_are_checked_wherever_a_configuration_is_made():
    with pytest.raises(ConfigError, match="`clock` is 'local'; use one of utc, order"):
        Config(clock="local")
    with pytest.raises(ConfigError, match="`candidates` is 'bought'"):
        dataclasses.replace(EvaluationConfig(), candidates="bought")
    with pytest.raises(ConfigError, match="`text_mode` is 'lor'"):
        with_settings(Config(), {"towers.text_mode": "lor"})


@pytest.mark.parametrize(
    ("part", "name", "value", "message"),
    [
        ("train", "epochs", 0, "`epochs` is 0, expected a number of 1 or more"),
        ("train", "learning_rate", 0.0, "`learning_rate` is 0.0, expected a number above 0"),
        ("train", "learning_rate", float("nan"), "`learning_rate` is nan, expected a number above 0"),
        ("towers", "dropout", 1.5, "`dropout` is 1.5, expected a number of 0 or more and below 1"),
        ("ranking", "calibration_share", 1.0, "`calibration_share` is 1.0, expected a number of 0 or more and below 1"),
        ("towers", "text_layers", 0, "`text_layers` is 0, expected a number of 1 or more"),
        ("towers", "id_dropout", -0.1, "`id_dropout` is -0.1, expected a number of 0 or more and of 1 or less"),
        ("ranking", "hidden", [8, 0], "`hidden` is 0, expected a number of 1 or more"),
        ("examples", "stride", 51, "`examples.stride` is 51, expected at most the 50 of `examples.max_events`"),
        ("towers", "heads", 3, "`towers.heads` is 3, expected a divisor of `towers.dim`, 64"),
    ],
)
def test_a_value_outside_its_range_is_refused(part, name, value, message):
    with pytest.raises(ConfigError, match=message):
        config_from_json(json.dumps({part: {name: value}}))
