"""Training of the two-tower model: data, strategy, phases, checkpoints; a killed run resumes."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import tensorflow as tf

from tfrec.config import Config, TrainConfig
from tfrec.console import log
from tfrec.errors import ConfigError, ModelError
from tfrec.examples.batches import latest
from tfrec.examples.catalog import Catalog
from tfrec.examples.dataset import count_sequences, load_catalog, parts_of_sequences, read_events, sequences
from tfrec.examples.preprocessing import Transformed
from tfrec.retrieval.two_tower import TwoTower
from tfrec.training.lazy_adam import LazyAdam
from tfrec.training.learning_curve import LearningCurve
from tfrec.training.popularity_trend import trend
from tfrec.training.progress import Phase, Progress, Reporter
from tfrec.training.text_pairs import tune_texts
from tfrec.training.validation import Validation, ValidationScores
from tfrec.training.workers import Worker

SMALLEST_BATCH = 8


@dataclasses.dataclass(frozen=True)
class Trained:
    """A trained model, its catalog, its best validation NDCG@20 and its learning curve."""

    model: TwoTower
    catalog: Catalog
    validation_ndcg: float
    curve: LearningCurve = dataclasses.field(default_factory=LearningCurve)


@dataclasses.dataclass(frozen=True)
class TrainingJob:
    """Transformed examples, configuration and folders of one training."""

    train_files: Sequence[str]
    validation_files: Sequence[str]
    catalog_files: Sequence[str]
    transformed: Transformed
    config: Config
    checkpoint_dir: str  # a call with the folder of an interrupted one resumes it
    log_dir: str  # for TensorBoard


Begin = Callable[[TwoTower, Catalog, TrainingJob], bool]
"""Initializes a fresh model before its first step; returns whether its weights come from an earlier
training."""


def train(job: TrainingJob, worker: Worker | None = None, begin: Begin | None = None) -> Trained:
    """Train a model through all phases; the result has the weights of its best validation score.

    `begin` is `begin_cold` by default. Each of several workers makes this call with its own
    `worker`; they share the checkpoint folder. Raises ModelError when the loss is not finite.
    """
    catalog = load_catalog(job.catalog_files, job.train_files, job.transformed, job.config.features)
    return fit(job, catalog, worker, begin)


def fit(job: TrainingJob, catalog: Catalog, worker: Worker | None = None, begin: Begin | None = None) -> Trained:
    """Train a model over a catalog that is loaded already; otherwise like `train`."""
    worker, config = worker or Worker(strategy()), job.config
    tf.keras.utils.set_random_seed(config.train.seed)
    with worker.strategy.scope():
        model = TwoTower(catalog, config)
    validation = Validation(job.validation_files, config)
    progress = Progress(model, job.checkpoint_dir, worker)
    curve = LearningCurve(job.checkpoint_dir if worker.is_chief else None)
    if not progress.restored:
        progress.is_warm.assign(int((begin or begin_cold)(model, catalog, job)))
        progress.save()
    train_events = read_events(job.train_files, catalog)
    follow_trend(model, train_events)
    run = _Run(job, model, validation, progress, curve)
    batch_size = batch_size_of(config.train, count_sequences(job.train_files))
    for number, phase in enumerate(phases(config, bool(progress.is_warm), batch_size)):
        if number >= int(progress.phase):
            _run_phase(run, phase)
            progress.next_phase()
    progress.restore_best()
    # Model selection is over, so the trend may use the validation window.
    follow_trend(model, pd.concat([train_events, read_events(job.validation_files, catalog)], ignore_index=True))
    return Trained(model, catalog, float(progress.best), curve)


@dataclasses.dataclass(frozen=True)
class _Run:
    """Parts of a training that each phase uses."""

    job: TrainingJob
    model: TwoTower
    validation: Validation
    progress: Progress
    curve: LearningCurve


def begin_cold(model: TwoTower, catalog: Catalog, job: TrainingJob) -> bool:
    """Tune the BERT on pairs if so configured, encode all texts and fit the TF-IDF weights.

    All other weights stay random.
    """
    if model.config.train.text_pair_steps:
        tune_texts(model, catalog, job.train_files, job.checkpoint_dir)
    log(f"encoding {len(catalog.tokens)} distinct texts of {catalog.rows - 1} items with the BERT")
    model.texts.encode_texts()
    model.texts.fit_words()
    return False


def phases(config: Config, is_warm: bool = False, batch_size: int | None = None) -> list[Phase]:
    """Phases of training: towers over fixed text vectors, then the BERT too if so configured.

    `batch_size` is that of the towers, by default the configured one.
    """
    settings = config.train
    epochs, learning_rate = settings.epochs, settings.learning_rate
    if is_warm:
        epochs, learning_rate = settings.warm_epochs, settings.warm_learning_rate or learning_rate
    training = [Phase("towers", epochs, batch_size or settings.batch_size, learning_rate)]
    if config.towers.text_mode != "frozen" and not (settings.text_steps or settings.text_pair_steps):
        raise ConfigError(
            f"text_mode is {config.towers.text_mode!r} but text_steps and text_pair_steps are 0, so no text would "
            "train; give one of them 1 or more, or text_mode 'frozen'"
        )
    if config.towers.text_mode != "frozen" and settings.text_steps:
        training.append(
            Phase("text", 1, settings.text_batch_size, settings.text_learning_rate, settings.text_steps, live_text=True)
        )
    return training


def batch_size_of(settings: TrainConfig, sequences: int) -> int:
    """Sequences in a step: fewer than configured where an epoch would have less than `min_steps`.

    The loss of a few dozen steps would hardly fall.
    """
    if not settings.min_steps:
        return settings.batch_size
    return min(max(sequences // settings.min_steps, SMALLEST_BATCH), settings.batch_size)


def gpus() -> list[Any]:
    """GPUs that TensorFlow can use."""
    return tf.config.list_physical_devices("GPU")


def strategy() -> tf.distribute.Strategy:
    """Mirrored strategy over several GPUs; otherwise TensorFlow's default of one device."""
    return tf.distribute.MirroredStrategy() if len(gpus()) > 1 else tf.distribute.get_strategy()


def follow_trend(model: TwoTower, events: pd.DataFrame) -> None:
    """Set the trend of the items' biases from these events, if so configured."""
    settings = model.config.train
    if settings.trend_half_life_days > 0 and model.config.clock == "utc":
        model.trend.assign(trend(events, model.rows, settings.trend_half_life_days, settings.recency_half_life_days))


def catch_up(model: TwoTower, files: Sequence[str]) -> None:
    """Train one epoch on the validation window, if `train.catch_up_rate` is positive."""
    settings, config = model.config.train, model.config
    count = count_sequences(files)
    phase = Phase("catching up", 1, batch_size_of(settings, count), settings.catch_up_rate)
    if settings.catch_up_rate <= 0 or not count:
        return
    tf.keras.utils.set_random_seed(settings.seed)
    model.texts.set_live(False)
    data = sequences(files, config.features.profile_columns, phase.batch_size, settings.seed)
    # The ranker's histories may be longer than those of the query tower.
    data = data.map(lambda batch: latest(batch, config.examples.max_events))
    with model.distribute_strategy.scope():
        model.compile(optimizer=LazyAdam(_falling_rate(phase, files)))
    loss = model.fit(data, verbose=0).history["loss"][-1]
    model.optimizer = None
    if not math.isfinite(loss):
        raise ModelError(f"the loss of catching up is {loss}; lower train.catch_up_rate ({settings.catch_up_rate})")
    log(f"caught up with the validation window: loss of the last step {loss:.3f}")


def _falling_rate(phase: Phase, files: Sequence[str]) -> tf.keras.optimizers.schedules.LearningRateSchedule:
    """Linear schedule from the phase's learning rate to a hundredth of it at the last step."""
    steps = _steps_per_epoch(phase, files)
    return tf.keras.optimizers.schedules.PolynomialDecay(
        phase.learning_rate, max(phase.epochs * steps, 1), phase.learning_rate / 100
    )


def _steps_per_epoch(phase: Phase, files: Sequence[str]) -> int:
    return phase.steps or -(-count_sequences(files) // phase.batch_size)


def _run_phase(run: _Run, phase: Phase) -> None:
    """Train the epochs of a phase that are left, until the validation score stops improving."""
    model, progress, settings = run.model, run.progress, run.job.config.train
    model.texts.set_live(phase.live_text)
    with model.distribute_strategy.scope():
        optimizer = LazyAdam(_falling_rate(phase, run.job.train_files))
        progress.track(optimizer)
        model.compile(optimizer=optimizer)
    board = tf.keras.callbacks.TensorBoard(str(Path(run.job.log_dir) / phase.name), profile_batch=0)
    worker = progress.worker
    while int(progress.epoch) < phase.epochs and int(progress.waited) < settings.patience:
        number = int(progress.epoch) + 1
        reporter = Reporter(phase, progress, settings.checkpoint_seconds)
        _fit_rest_of_epoch(run, phase, [reporter, board] if worker.is_chief else [reporter])
        if phase.live_text:
            log("encoding all texts with the trained BERT")
            model.texts.encode_texts()
        scores = run.validation.ndcg(model) if worker.is_chief else ValidationScores(math.nan, math.nan)
        run.curve.add(dataclasses.replace(reporter.epoch(number), ndcg=scores.all, ndcg_novel=scores.novel))
        progress.end_epoch(worker.agreed(run.validation.decisive(scores)))
        if worker.is_chief:
            log(
                f"{phase.name} epoch {number}: {reporter.summary()}, validation NDCG@20 {scores.all:.4f}, "
                f"{scores.novel:.4f} on items new to the user"
                + ("" if math.isnan(scores.search) else f", {scores.search:.4f} of searches")
            )
    if int(progress.epoch) < phase.epochs:
        log(f"no better in {settings.patience} epochs: {phase.name} ends here, with the best epoch's weights")


def _fit_rest_of_epoch(run: _Run, phase: Phase, callbacks: list[tf.keras.callbacks.Callback]) -> None:
    """Train the steps of the current epoch that are left.

    A run killed after the last step of an epoch has none left, which Keras would treat as an error.
    """
    model, progress, seed = run.model, run.progress, run.job.config.train.seed
    epoch, done = int(progress.epoch), int(progress.step)
    arguments = (run.job.train_files, run.job.config.features.profile_columns, phase.batch_size, seed + epoch)
    if progress.worker.shares_steps:
        # The order of the records depends on this seed too and must be the same for all workers.
        tf.keras.utils.set_random_seed(seed)
        data = model.distribute_strategy.distribute_datasets_from_function(parts_of_sequences(*arguments, done))
        tf.keras.utils.set_random_seed(seed + progress.worker.number)  # dropout differs between workers
        count = _steps_per_epoch(phase, run.job.train_files) - done
        is_left = count > 0
    else:
        data = sequences(*arguments)
        data = (data.repeat().take(phase.steps) if phase.steps else data).skip(done)
        is_left, count = not done or any(True for _ in data.take(1)), None
    if is_left:
        model.fit(data, initial_epoch=epoch, epochs=epoch + 1, steps_per_epoch=count, verbose=0, callbacks=callbacks)
