"""The fit of the second stage on the shop of tests/conftest.py: windows, heads, known events."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tfrec.config import Config, EvaluationConfig
from tfrec.errors import DataError
from tfrec.ranking import fit_second_stage as fit_second_stage_module
from tfrec.ranking.blend import BLENDS, Blend
from tfrec.ranking.fit_ranker import fit_ranker
from tfrec.ranking.fit_second_stage import fit_second_stage
from tfrec.ranking.ranker import Ranker
from tfrec.ranking.second_stage import SecondStage
from tfrec.ranking.training_data import Examples
from tfrec.training.learning_curve import LearningCurve

Fit = Callable[..., SecondStage]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def fit(two_stage_shop, transformed_shop, tmp_path_factory) -> Fit:
    """Fits anew, with other settings of the ranker, on the validation window or another split."""

    def run(config: Config = two_stage_shop.config, window: str = "validation", **ranking: object) -> SecondStage:
        config = dataclasses.replace(config, ranking=dataclasses.replace(config.ranking, **ranking))
        files, folder = transformed_shop.files, str(tmp_path_factory.mktemp("ranker"))
        return fit_second_stage(two_stage_shop.trained, files["train"], files[window], config, folder)

    return run


@dataclasses.dataclass(frozen=True)
class Fitted:
    """A stage fitted with the settings of `two_stage_shop`."""

    stage: SecondStage
    output: str
    known: list[tuple[int, int | None]]
    """Last second of the known events, and the query time, whenever they were set."""


@pytest.fixture(scope="module")
def fitted(fit) -> Fitted:
    known: list[tuple[int, int | None]] = []
    original = SecondStage.set_known_events

    def set_known_events(stage: SecondStage, events: pd.DataFrame, now: int | None) -> None:
        known.append((int(events.timestamp.max()), now))
        original(stage, events, now)

    with (
        pytest.MonkeyPatch.context() as monkeypatch,
        contextlib.redirect_stdout(io.StringIO()) as output,
        contextlib.redirect_stderr(output),
    ):
        monkeypatch.setattr(SecondStage, "set_known_events", set_known_events)
        stage = fit()
    return Fitted(stage, output.getvalue(), known)


def with_labels(config: Config, *kinds: str) -> Config:
    return dataclasses.replace(config, evaluation=EvaluationConfig(label_kinds=kinds))


def test_the_epochs_of_the_ranker_join_the_learning_curve(two_stage_shop):
    epochs = two_stage_shop.trained.curve.epochs
    assert [(epoch.phase, epoch.number) for epoch in epochs] == [("second stage", 1)]
    assert epochs[0].loss > 0
    assert np.isnan(epochs[0].ndcg)


def test_a_finished_fit_does_not_run_again(two_stage_shop, transformed_shop, capfd):
    files, shop = transformed_shop.files, two_stage_shop
    stage = fit_second_stage(shop.trained, files["train"], files["validation"], shop.config, shop.checkpoints)
    output = capfd.readouterr()
    assert "second stage epoch" not in output.out + output.err
    for weight, expected in zip(stage.ranker.get_weights(), shop.stage.ranker.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, expected)


def test_at_an_earlier_window_nothing_is_known_of_later_events(fitted, two_stage_shop):
    known = fitted.known
    start = known[1][1]
    begin = start - two_stage_shop.config.examples.split.validation_days * 86_400
    # The window before validation, validation, and in the end all events.
    assert [now for _, now in known] == [begin, start, None]
    assert known[0][0] < begin <= known[1][0] < start <= known[2][0]


@pytest.mark.parametrize("without", [{"earlier_windows": 0}, {"n_repeat": 0, "short_histories": 0.0}])
def test_without_repeats_and_short_histories_no_earlier_window_is_collected(fit, capfd, without):
    fit(**without)
    output = capfd.readouterr()
    assert "of earlier windows" not in output.out + output.err
    assert "second stage epoch 1" in output.out + output.err


def test_without_windows_no_earlier_window_is_collected_and_queries_come_with_the_labels(
    fit, two_stage_shop, capfd, monkeypatch
):
    starts: list[int | None] = []
    original = fit_second_stage_module.collect_candidates
    monkeypatch.setattr(
        fit_second_stage_module,
        "collect_candidates",
        lambda stage, data, start: starts.append(start) or original(stage, data, start),
    )
    split = dataclasses.replace(two_stage_shop.config.examples.split, method="leave_last_out")
    examples = dataclasses.replace(two_stage_shop.config.examples, split=split)
    fit(dataclasses.replace(two_stage_shop.config, examples=examples))
    output = capfd.readouterr()
    assert "of earlier windows" not in output.out + output.err
    assert starts == [None]


def test_repeats_and_short_histories_of_earlier_windows_are_collected(fit, fitted, capfd):
    fit(short_histories=0.0)
    output = capfd.readouterr()
    assert "2 candidates of earlier windows" in output.out + output.err
    assert "11 candidates of earlier windows" in fitted.output


def test_the_ranker_is_fitted_without_the_towers_scores_of_earlier_windows(fit, monkeypatch):
    fitted_on: list[Examples] = []

    def fit_on(ranker: Ranker, examples: Examples, *arguments: Any) -> LearningCurve:
        fitted_on.append(examples)
        return fit_ranker(ranker, examples, *arguments)

    monkeypatch.setattr("tfrec.ranking.cross_fit.fit_ranker", fit_on)
    names = fit(short_histories=0.0).features.names
    features = fitted_on[0].features
    columns = [names.index("towers"), names.index("towers_below_best")]
    # The first two candidates are of an earlier window.
    window = features[2:, columns]
    repeats = window[features[2:, names.index("repeat")] > 0]
    assert 0 < len(repeats) < len(window)
    np.testing.assert_allclose(features[:2, columns], [repeats.mean(axis=0)] * 2, rtol=1e-5)
    assert len(np.unique(window[:, 0])) > 1


def test_held_out_users_choose_the_blend(fitted):
    assert {Blend(*row) for row in fitted.stage.ranker.blend.numpy().tolist()} <= set(BLENDS)
    assert "candidates after short histories" in fitted.output
    figures = r"held-out histories; the ranker [01]\.\d{4}, the towers [01]\.\d{4}, recent popularity [01]\.\d{4}"
    assert re.search(figures, fitted.output)


def test_kinds_of_events_that_are_no_positives_have_auxiliary_heads(fit, two_stage_shop):
    # The training split holds views, clicks, carts, purchases and a rating.
    stage = fit(with_labels(two_stage_shop.config, "purchase"), window="train")
    assert stage.positive_heads == ("purchase",)
    assert stage.ranker.heads[-1] == "purchase"
    assert set(stage.ranker.heads) == {"view", "click", "cart", "rating", "purchase"}


def test_the_towers_catch_up_only_after_the_fit_of_the_ranker(fit, fitted, two_stage_shop, monkeypatch):
    model = two_stage_shop.trained.model
    stored = [(weight, weight.numpy()) for weight in model.weights]
    expected = fitted.stage.ranker.get_weights()
    before = model.all_candidates().numpy()
    rate = dataclasses.replace(model.config.train, catch_up_rate=0.1)
    monkeypatch.setattr(model, "config", dataclasses.replace(model.config, train=rate))
    try:
        stage = fit()
        after = model.all_candidates().numpy()
        assert np.abs(after - before).max() > 0.01
        np.testing.assert_array_equal(stage.generator.embeddings, after)  # candidates come from the new embeddings
        for weight, value in zip(stage.ranker.get_weights(), expected, strict=True):
            np.testing.assert_allclose(weight, value, atol=1e-4)
    finally:
        for weight, value in stored:
            weight.assign(value)


def test_a_window_without_positives_is_an_error_with_its_cure(fit, two_stage_shop):
    with pytest.raises(DataError, match=r"window holds no positive.*set ranking\.epochs to 0"):
        fit(with_labels(two_stage_shop.config, "rating"))
