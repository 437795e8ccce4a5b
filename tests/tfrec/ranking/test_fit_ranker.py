"""The ranker's fit, and resuming it after a kill."""

from __future__ import annotations

import dataclasses
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tfrec.config import Config, RankingConfig, TrainConfig
from tfrec.errors import ModelError
from tfrec.examples.catalog import Catalog
from tfrec.ranking.blend import FEATURES
from tfrec.ranking.fit_ranker import fit_ranker
from tfrec.ranking.ranker import Ranker
from tfrec.ranking.training_data import Examples

EPOCHS, STEPS = 3, 4  # 16 examples in batches of 4
CONFIG = Config(
    ranking=RankingConfig(epochs=EPOCHS, batch_size=4, hidden=(8,), cross_rank=4, embedding_dim=2, dropout=0.0),
    train=TrainConfig(checkpoint_seconds=0.0),
)


def examples_of(labels: np.ndarray) -> Examples:
    """Candidates of ten users with random features and these labels [n] of the one head."""
    random, n = np.random.default_rng(3), len(labels)
    features, rows = random.normal(size=(n, len(FEATURES))).astype(np.float32), random.integers(1, 3, n)
    profile = {"user_city": random.integers(0, 3, n)}
    return Examples(np.arange(n) * 10 // n, features, rows, labels[:, None].astype(np.float32), profile, users=10)


EXAMPLES = examples_of(np.tile([1, 0, 0, 0], 4))


@pytest.fixture(scope="module")
def catalog(make_catalog) -> Catalog:
    category = np.array([[0, 0], [1, 2], [1, 3]])
    return make_catalog([[5], [6]], category=category, category_size=4, profile_sizes={"user_city": 3})


def make_ranker(catalog: Catalog) -> Ranker:
    return Ranker(catalog, FEATURES, ("purchase",), 2, CONFIG.ranking)


@pytest.fixture
def ranker(catalog) -> Ranker:
    return make_ranker(catalog)


def steps_taken(folder: Path) -> int:
    latest = tf.train.latest_checkpoint(str(folder / "latest"))
    return int(tf.train.load_variable(latest, "optimizer/_iterations/.ATTRIBUTES/VARIABLE_VALUE"))


def test_a_fit_takes_each_step_once_and_records_each_epoch(ranker, tmp_path):
    curve = fit_ranker(ranker, EXAMPLES, CONFIG, str(tmp_path))
    assert steps_taken(tmp_path) == EPOCHS * STEPS
    assert [(epoch.phase, epoch.number) for epoch in curve.epochs] == [("second stage", n + 1) for n in range(EPOCHS)]
    assert [[step for step, _ in epoch.steps] for epoch in curve.epochs] == [[1, 2, 3, 4]] * EPOCHS
    assert all(np.isfinite(epoch.loss) for epoch in curve.epochs)
    assert not list(tmp_path.glob("best/*"))  # the last epoch's weights count


def test_only_the_kept_examples_are_fitted(ranker, tmp_path):
    labels = EXAMPLES.labels.copy()
    labels[8:] = np.nan  # would make the loss NaN
    curve = fit_ranker(ranker, dataclasses.replace(EXAMPLES, labels=labels), CONFIG, str(tmp_path), np.arange(8))
    assert steps_taken(tmp_path) == EPOCHS * 2
    assert all(np.isfinite(epoch.loss) for epoch in curve.epochs)


def test_an_infinite_loss_is_an_error_with_its_cure(ranker, tmp_path):
    config = dataclasses.replace(CONFIG, ranking=dataclasses.replace(CONFIG.ranking, learning_rate=1e30))
    with pytest.raises(ModelError, match=r"the loss of step \d is .*lower ranking\.learning_rate \(1e\+30\)"):
        fit_ranker(ranker, EXAMPLES, config, str(tmp_path))


WORKER = """
import os, pickle, signal, sys
import tfrec
from tfrec.ranking.blend import FEATURES
from tfrec.ranking.fit_ranker import fit_ranker
from tfrec.ranking.ranker import Ranker
from tfrec.training.progress import Progress
catalog, examples, config, folder, saves = pickle.load(sys.stdin.buffer)
original = Progress.save
count = 0
def save(progress):
    global count
    original(progress)
    count += 1
    if count == saves:
        os.kill(os.getpid(), signal.SIGKILL)
Progress.save = save
fit_ranker(Ranker(catalog, FEATURES, ("purchase",), 2, config.ranking), examples, config, folder)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("saves", "position", "has_unknown_loss"),
    [
        (STEPS, f"epoch 1, step {STEPS}", True),  # after the last step of an epoch, before its end
        (STEPS + 3, "epoch 2, step 2", False),
    ],
)
def test_a_killed_fit_resumes_and_ends_with_the_weights_of_an_uninterrupted_one(
    catalog, tmp_path, capsys, saves, position, has_unknown_loss
):
    whole = make_ranker(catalog)
    fit_ranker(whole, EXAMPLES, CONFIG, str(tmp_path / "whole"))
    capsys.readouterr()
    inputs = pickle.dumps((catalog, EXAMPLES, CONFIG, str(tmp_path / "killed"), saves))
    worker = subprocess.run([sys.executable, "-c", WORKER], input=inputs, capture_output=True, check=False)
    assert worker.returncode == -signal.SIGKILL, worker.stderr.decode()

    resumed = make_ranker(catalog)
    curve = fit_ranker(resumed, EXAMPLES, CONFIG, str(tmp_path / "killed"))
    output = capsys.readouterr().out
    assert position in output
    assert ("second stage epoch 1 of 3: mean loss unknown" in output) is has_unknown_loss
    assert "nan" not in output
    assert steps_taken(tmp_path / "killed") == EPOCHS * STEPS
    assert [epoch.number for epoch in curve.epochs] == [1, 2, 3]
    for weight, expected in zip(resumed.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_allclose(weight, expected, rtol=1e-4, atol=1e-6)
