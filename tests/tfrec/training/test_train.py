"""Training: phases, early stopping, best weights, and resuming a killed run."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from tfrec.config import Config, TrainConfig
from tfrec.errors import ConfigError, ModelError
from tfrec.examples.dataset import load_catalog, read_events, sequences
from tfrec.examples.preprocessing import Transformed
from tfrec.retrieval.two_tower import TwoTower
from tfrec.training.lazy_adam import LazyAdam
from tfrec.training.popularity_trend import trend
from tfrec.training.progress import Phase, Progress
from tfrec.training.train import Trained, batch_size_of, catch_up, phases, train
from tfrec.training.validation import Validation, ValidationScores

# The training split has 6 users (tests/tfrec/conftest.py), so an epoch has 2 steps, of 4 and 2
# users.
STEPS = 2


@pytest.fixture
def run(transformed_shop, tmp_path):
    """Train on the shop with other settings of towers and training; a second call resumes."""
    return lambda towers=None, **settings: train_shop(transformed_shop, tmp_path, towers, **settings)


def train_shop(shop, folder: Path, towers: dict | None = None, **settings: object) -> Trained:
    return train(shop.job(folder, configured(shop.config, towers, **settings)))


def configured(config: Config, towers: dict | None = None, **settings: object) -> Config:
    return dataclasses.replace(
        config,
        towers=dataclasses.replace(config.towers, **(towers or {})),
        train=dataclasses.replace(config.train, **settings),
    )


def epochs(printed: str, phase: str = "towers") -> list[int]:
    """Epochs whose end was logged."""
    return [int(number) for number in re.findall(rf"^tfrec: {phase} epoch (\d+):", printed, re.MULTILINE)]


@dataclasses.dataclass(frozen=True)
class Finished:
    """A run of two epochs over fixed texts, its output and its folder."""

    trained: Trained
    printed: str
    folder: Path


SETTINGS = {"epochs": 2, "text_steps": 2}  # a frozen BERT has no text steps


@pytest.fixture(scope="module")
def finished(transformed_shop, tmp_path_factory) -> Finished:
    folder = tmp_path_factory.mktemp("finished")
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        trained = train_shop(transformed_shop, folder, **SETTINGS)
    return Finished(trained, printed.getvalue(), folder)


def test_a_run_logs_its_progress(finished):
    assert "tfrec: encoding 11 distinct texts of 8 items with the BERT" in finished.printed
    assert epochs(finished.printed) == [1, 2]
    line = r"epoch 2: mean loss \d+\.\d+, [\d,]+ examples/s, validation NDCG@20 [01]\.\d{4}"
    assert re.search(line, finished.printed)
    assert list((finished.folder / "logs" / "towers").rglob("events.out.tfevents*"))


def test_a_run_returns_a_model_with_a_score(finished):
    assert 0.0 <= finished.trained.validation_ndcg <= 1.0
    assert finished.trained.catalog.rows == 9
    assert np.isfinite(finished.trained.model.all_candidates()).all()


def test_a_run_encodes_the_words_of_items(finished):
    model, catalog = finished.trained.model, finished.trained.catalog
    vectors = model.texts.word_encoder(tf.constant(catalog.tokens)).numpy()
    assert np.abs(vectors[1:]).max(axis=1).min() > 0.1
    np.testing.assert_allclose(model.texts.word_vectors, vectors, atol=1e-5)


def test_a_run_returns_its_learning_curve(finished):
    curve = finished.trained.curve.epochs
    assert [(epoch.phase, epoch.number) for epoch in curve] == [("towers", 1), ("towers", 2)]
    logged = re.findall(r"epoch \d: mean loss ([\d.]+), .*NDCG@20 ([\d.]+), (\S+) on items new", finished.printed)
    assert [(f"{e.loss:.3f}", f"{e.ndcg:.4f}", f"{e.ndcg_novel:.4f}") for e in curve] == logged
    assert max(epoch.ndcg for epoch in curve) == pytest.approx(finished.trained.validation_ndcg)
    assert all(epoch.seconds > 0 for epoch in curve)
    assert [[step for step, _ in epoch.steps] for epoch in curve] == [list(range(1, STEPS + 1))] * 2
    assert [np.mean([loss for _, loss in epoch.steps]) for epoch in curve] == pytest.approx([e.loss for e in curve])


def test_a_finished_run_trains_no_more(finished, transformed_shop, capsys):
    again = train_shop(transformed_shop, finished.folder, **SETTINGS)
    assert epochs(capsys.readouterr().out) == []
    assert again.validation_ndcg == finished.trained.validation_ndcg
    assert repr(again.curve.epochs) == repr(finished.trained.curve.epochs)  # NaN equals nothing
    np.testing.assert_array_equal(again.model.all_candidates(), finished.trained.model.all_candidates())


def test_the_model_has_the_weights_that_its_score_was_measured_with(finished, transformed_shop):
    model = finished.trained.model
    score = Validation(transformed_shop.files["validation"], model.config).ndcg(model)[0]
    assert score == pytest.approx(finished.trained.validation_ndcg, abs=1e-6)


@pytest.mark.parametrize(("slice_", "best"), [("all", 0.5), ("novel", 0.9)])
def test_the_validation_slice_selects_the_epoch(run, monkeypatch, slice_, best):
    # Scores on all targets and on novel ones: the first rises, the second falls.
    scores = iter([ValidationScores(0.1, 0.9), ValidationScores(0.5, 0.3)])
    monkeypatch.setattr(Validation, "ndcg", lambda *_: next(scores))
    assert run(epochs=2, validation_slice=slice_).validation_ndcg == pytest.approx(best)


def test_the_learning_rate_falls_to_a_hundredth_at_the_last_step(finished):
    rate = float(finished.trained.model.optimizer.learning_rate)
    assert rate == pytest.approx(Config().train.learning_rate / 100)


@pytest.mark.slow
@pytest.mark.parametrize(("days", "clock"), [(7.0, "utc"), (0.0, "utc"), (7.0, "order")])
def test_the_trend_covers_training_and_validation_events_at_the_end(transformed_shop, tmp_path, days, clock):
    shop = dataclasses.replace(transformed_shop, config=dataclasses.replace(transformed_shop.config, clock=clock))
    trained = train_shop(shop, tmp_path, epochs=1, trend_half_life_days=days)
    if days == 0.0 or clock == "order":
        np.testing.assert_array_equal(trained.model.trend, 0.0)
        return
    events = [read_events(shop.files[split], trained.catalog) for split in ("train", "validation")]
    expected = trend(pd.concat(events), trained.catalog.rows, days)
    np.testing.assert_allclose(trained.model.trend, expected, atol=1e-6)
    assert np.abs(expected - trend(events[0], trained.catalog.rows, days)).max() > 0.1  # the window matters


@pytest.mark.slow
def test_training_stops_when_the_score_stops_improving(run, capsys):
    # With a learning rate of next to 0 no epoch is better than the first; the patience is two more
    # epochs.
    run(epochs=50, learning_rate=1e-30, patience=2)
    assert epochs(capsys.readouterr().out) == [1, 2, 3]


def target_loss(model: TwoTower, files: list[str]) -> float:
    (batch,) = sequences(files, model.config.features.profile_columns, 100)
    tf.keras.utils.set_random_seed(1)
    return float(model.compute_loss(batch, training=False))


@pytest.mark.slow
def test_catching_up_trains_on_the_validation_window(run, transformed_shop):
    files = transformed_shop.files["validation"]
    model = run(epochs=1, catch_up_rate=0.1, uniform_negatives=64).model
    before = target_loss(model, files)
    catch_up(model, files)
    assert target_loss(model, files) < before - 0.1


def test_without_a_catch_up_rate_the_model_stays_as_it_is(finished, transformed_shop):
    model = finished.trained.model
    before = model.all_candidates().numpy()
    catch_up(model, transformed_shop.files["validation"])
    np.testing.assert_array_equal(model.all_candidates(), before)


@pytest.mark.slow
def test_a_nan_loss_of_catching_up_is_an_error(run, transformed_shop):
    # The loss of a step is from before it. The validation window has users for two steps of one.
    model = run(epochs=1, catch_up_rate=1e30, batch_size=1).model
    with pytest.raises(ModelError, match=r"the loss of catching up is nan; lower train\.catch_up_rate \(1e\+30\)"):
        catch_up(model, transformed_shop.files["validation"])


def test_a_loss_that_is_not_finite_is_an_error(run):
    with pytest.raises(ModelError, match=r"the loss of step \d is (nan|inf); lower learning_rate \(1e\+30\)"):
        run(epochs=3, learning_rate=1e30)


def bert(model: TwoTower) -> list[np.ndarray]:
    return [weight.numpy() for weight in model.texts.encoder.weights if "mean" not in weight.name]


def fresh(transformed_shop, config: Config) -> TwoTower:
    """A model before training."""
    catalog = load_catalog(
        transformed_shop.files["catalog"],
        transformed_shop.files["train"],
        Transformed(transformed_shop.folder),
        config.features,
    )
    return TwoTower(catalog, config)


@pytest.mark.slow
def test_the_text_phase_trains_the_bert(run, transformed_shop, capsys):
    # Without validation users the last epoch counts as the best, so the weights of the text phase
    # stay.
    trained = run({"text_mode": "full"}, epochs=1, text_steps=2, text_learning_rate=0.01, validation_users=0)
    assert epochs(capsys.readouterr().out, "text") == [1]
    before = bert(fresh(transformed_shop, trained.model.config))
    assert max(np.abs(new - old).max() for new, old in zip(bert(trained.model), before, strict=True)) > 1e-3
    tokens = tf.constant(trained.catalog.tokens)
    np.testing.assert_allclose(trained.model.texts.text_vectors, trained.model.texts.encoder(tokens), atol=1e-4)


def test_a_frozen_bert_does_not_change(finished, transformed_shop):
    assert epochs(finished.printed, "text") == []
    before = bert(fresh(transformed_shop, finished.trained.model.config))
    for new, old in zip(bert(finished.trained.model), before, strict=True):
        np.testing.assert_array_equal(new, old)


def test_a_text_phase_follows_unless_the_bert_is_frozen():
    towers = Phase("towers", 8, 32, 1e-3)
    assert phases(Config()) == [towers]
    with_text = configured(Config(), {"text_mode": "top"}, text_steps=60, text_batch_size=2)
    assert phases(with_text) == [towers, Phase("text", 1, 2, 2e-5, steps=60, live_text=True)]
    assert phases(configured(Config(), text_steps=60)) == [towers]


@pytest.mark.parametrize(
    ("sequences", "min_steps", "expected"),
    [(32_000, 100, 32), (3_200, 100, 32), (1_600, 100, 16), (50, 100, 8), (0, 100, 8), (50, 0, 32)],
)
def test_a_small_shop_has_smaller_batches(sequences, min_steps, expected):
    assert batch_size_of(TrainConfig(batch_size=32, min_steps=min_steps), sequences) == expected


def test_batches_that_are_small_already_stay():
    assert batch_size_of(TrainConfig(batch_size=4, min_steps=100), 50) == 4


def test_a_text_mode_that_trains_needs_text_steps():
    with pytest.raises(ConfigError, match="text_mode is 'top' but text_steps and text_pair_steps are 0, so no text"):
        phases(configured(Config(), {"text_mode": "top"}))


# Interruption.

KILLED = """
import json, os, signal, sys
import tfrec
from tfrec.config import config_from_json
from tfrec.examples.preprocessing import Transformed
from tfrec.training.progress import Progress
from tfrec.training.train import TrainingJob, train

save = Progress.save

def save_and_die(self):
    save(self)
    if (int(self.epoch), int(self.step)) == (1, 1):
        os.kill(os.getpid(), signal.SIGKILL)

Progress.save = save_and_die
files, graph, config, folder = json.load(sys.stdin)
train(TrainingJob(*files, Transformed(graph), config_from_json(config), folder + "/checkpoints", folder + "/logs"))
"""
"""A training that kills itself after the checkpoint of the first step of epoch 2."""


@pytest.mark.slow
def test_a_killed_run_resumes(run, transformed_shop, capsys, tmp_path):
    settings = {"epochs": 3, "patience": 99, "checkpoint_seconds": 0.0}
    config = configured(transformed_shop.config, **settings)
    files = [transformed_shop.files[split] for split in ("train", "validation", "catalog")]
    task = json.dumps([files, transformed_shop.folder, config.to_json(), str(tmp_path)])
    killed = subprocess.run([sys.executable, "-c", KILLED], input=task, capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert epochs(killed.stdout) == [1]

    trained = run(**settings)
    printed = capsys.readouterr().out
    assert "with the BERT" not in printed
    assert "resuming at phase 0, epoch 2, step 1" in printed
    assert epochs(printed) == [2, 3]
    assert np.isfinite(trained.validation_ndcg)
    assert np.abs(trained.model.texts.word_vectors).max() > 0.1
    # The resumed epoch has its second step only.
    assert [[step for step, _ in epoch.steps] for epoch in trained.curve.epochs] == [[1, 2], [2], [1, 2]]


@pytest.fixture
def progress_of(transformed_shop, tmp_path):
    """A fresh model and its progress in the folder of `run`, like in a new process."""

    def make(**settings: object) -> tuple[TwoTower, Progress]:
        model = fresh(transformed_shop, configured(transformed_shop.config, **settings))
        return model, Progress(model, str(tmp_path / "checkpoints"))

    return make


@pytest.mark.slow
def test_a_run_killed_after_the_last_step_of_an_epoch_finishes_the_epoch(run, progress_of, capsys):
    # That is likely: all texts are encoded again and the validation users are scored then.
    model, progress = progress_of()
    model.texts.encode_texts()
    progress.track(LazyAdam(0.001))
    progress.step.assign(STEPS)
    progress.save()
    run(epochs=2)
    printed = capsys.readouterr().out
    assert f"resuming at phase 0, epoch 1, step {STEPS}" in printed
    assert epochs(printed) == [1, 2]


def test_a_checkpoint_of_another_model_is_refused(run, progress_of, tmp_path):
    model, _ = progress_of()
    other = tf.train.Checkpoint(**model.checkpointed(with_text_vectors=False))
    tf.train.CheckpointManager(other, str(tmp_path / "checkpoints" / "latest"), max_to_keep=1).save()
    with pytest.raises(ModelError, match=r"checkpoints/latest/ckpt-1 is of another model .*; delete the folder"):
        run()


def test_the_best_weights_are_kept_instead_of_the_last(progress_of):
    model, progress = progress_of()
    for weight, score in ((1.0, 0.5), (2.0, 0.75), (3.0, 0.25), (4.0, 0.75)):
        model.texts.text_vectors.assign(tf.fill(model.texts.text_vectors.shape, weight))
        progress.end_epoch(score)
    for after_a_kill in (False, True):
        if after_a_kill:
            model, progress = progress_of()
        assert (int(progress.epoch), int(progress.waited), float(progress.best)) == (4, 2, 0.75)
        progress.restore_best()
        np.testing.assert_array_equal(model.texts.text_vectors, 2.0)


def test_without_scores_the_last_weights_are_kept(progress_of):
    model, progress = progress_of()
    for weight in (1.0, 2.0):
        model.texts.text_vectors.assign(tf.fill(model.texts.text_vectors.shape, weight))
        progress.end_epoch(float("nan"))
    progress.restore_best()
    np.testing.assert_array_equal(model.texts.text_vectors, 2.0)
    assert int(progress.waited) == 0


def start(progress_of, phase: Phase) -> tuple[Progress, LazyAdam]:
    """Start a phase like a new process."""
    model, progress = progress_of()
    return progress, with_optimizer(model, progress, phase)


def with_optimizer(model: TwoTower, progress: Progress, phase: Phase) -> LazyAdam:
    model.texts.set_live(phase.live_text)
    optimizer = LazyAdam(phase.learning_rate)
    progress.track(optimizer)
    return optimizer


TOWERS, TEXT = Phase("towers", 1, 4, 0.001), Phase("text", 1, 4, 0.00002, live_text=True)


def test_the_optimizer_of_a_phase_resumes_after_a_kill(progress_of):
    progress, optimizer = start(progress_of, TOWERS)
    optimizer.iterations.assign(7)
    progress.step.assign(1)
    progress.save()  # killed here
    progress, optimizer = start(progress_of, TOWERS)
    assert (int(progress.step), int(optimizer.iterations)) == (1, 7)


def test_a_new_phase_has_a_new_optimizer_after_a_kill(progress_of):
    progress, optimizer = start(progress_of, TOWERS)
    optimizer.iterations.assign(7)
    progress.next_phase()  # killed here
    progress, optimizer = start(progress_of, TEXT)
    assert int(progress.phase) == 1
    assert int(optimizer.iterations) == 0
    assert float(optimizer.learning_rate) == pytest.approx(0.00002)


def test_the_phase_after_a_resumed_one_has_a_new_optimizer(progress_of):
    progress, optimizer = start(progress_of, TOWERS)
    optimizer.iterations.assign(7)
    progress.step.assign(1)
    progress.save()  # killed here
    model, progress = progress_of()
    assert int(with_optimizer(model, progress, TOWERS).iterations) == 7
    progress.next_phase()
    optimizer = with_optimizer(model, progress, TEXT)
    assert int(optimizer.iterations) == 0
    assert float(optimizer.learning_rate) == pytest.approx(0.00002)
