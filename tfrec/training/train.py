"""Fits a two-tower model: data, distribution strategy, phases, checkpoints; it goes on where it was killed.

It knows the transformed examples, not who made them; what it leaves behind is a trained model in memory.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import tensorflow as tf

from tfrec.config import Config
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
from tfrec.training.validation import Validation
from tfrec.training.workers import Worker


@dataclasses.dataclass(frozen=True)
class Trained:
    """A trained model, the catalogue it knows, its best validation NDCG@20, and how it came to that."""

    model: TwoTower
    catalog: Catalog
    validation_ndcg: float
    curve: LearningCurve = dataclasses.field(default_factory=LearningCurve)


Begin = Callable[[TwoTower, Catalog], bool]
"""Gives a fresh model what it knows before its first step; whether that comes from an earlier training."""


def train(
    train_files: Sequence[str],
    validation_files: Sequence[str],
    catalog_files: Sequence[str],
    transformed: Transformed,
    config: Config,
    checkpoint_dir: str,
    log_dir: str,
    worker: Worker | None = None,
    begin: Begin | None = None,
) -> Trained:
    """The model after all phases, with the weights of its best validation score.

    Without `begin` it begins `afresh`. An interrupted call with the same `checkpoint_dir` goes on. Of several workers
    each makes this call, as the `worker` that it is, and they share the folder. Raises ModelError when the loss is no
    number.
    """
    catalog = load_catalog(catalog_files, train_files, transformed, config.features)
    return fit(catalog, TwoTower, train_files, validation_files, config, checkpoint_dir, log_dir, worker, begin)


def fit(
    catalog: Catalog,
    make_model: Callable[[Catalog, Config], TwoTower],
    train_files: Sequence[str],
    validation_files: Sequence[str],
    config: Config,
    checkpoint_dir: str,
    log_dir: str,
    worker: Worker | None = None,
    begin: Begin | None = None,
) -> Trained:
    """As `train`, of a model that `make_model` makes over a catalogue that is loaded already."""
    worker = worker or Worker(strategy())
    tf.keras.utils.set_random_seed(config.train.seed)
    with worker.strategy.scope():
        model = make_model(catalog, config)
    validation = Validation(validation_files, config)
    progress, curve = (
        Progress(model, checkpoint_dir, worker),
        LearningCurve(checkpoint_dir if worker.is_chief else None),
    )
    if not progress.restored:
        progress.is_warm.assign(int((begin or afresh)(model, catalog)))
        progress.save()
    past = read_events(train_files, catalog)
    follow_trend(model, past)
    for number, phase in enumerate(phases(config, bool(progress.is_warm))):
        if number >= int(progress.phase):
            _run_phase(model, phase, train_files, validation, progress, curve, log_dir)
            progress.next_phase()
    progress.restore_best()
    # Nothing is chosen by the validation window any more: the model may know what sold in it.
    follow_trend(model, pd.concat([past, read_events(validation_files, catalog)], ignore_index=True))
    return Trained(model, catalog, float(progress.best), curve)


def afresh(model: TwoTower, catalog: Catalog) -> bool:
    """Reads all texts and weighs their words: all that a model knows that was never trained."""
    log(f"reading {len(catalog.tokens)} distinct texts of {catalog.rows - 1} items with the BERT")
    model.texts.encode_texts()
    model.texts.fit_words()
    return False


def phases(config: Config, is_warm: bool = False) -> list[Phase]:
    """First the towers over fixed text vectors, then the BERT with them, where the configuration says so."""
    settings = config.train
    epochs, learning_rate = settings.epochs, settings.learning_rate
    if is_warm:
        epochs, learning_rate = settings.warm_epochs, settings.warm_learning_rate or learning_rate
    found = [Phase("towers", epochs, settings.batch_size, learning_rate)]
    if config.towers.text_mode != "frozen":
        if settings.text_steps < 1:
            raise ConfigError(
                f"text_mode is {config.towers.text_mode!r} but text_steps is {settings.text_steps}, so no text would "
                "train; give text_steps 1 or more, or text_mode 'frozen'"
            )
        found.append(
            Phase("text", 1, settings.text_batch_size, settings.text_learning_rate, settings.text_steps, live_text=True)
        )
    return found


def gpus() -> list[Any]:
    """The GPUs that TensorFlow can use."""
    return tf.config.list_physical_devices("GPU")


def strategy() -> tf.distribute.Strategy:
    """Mirrored over all GPUs where there are several; else TensorFlow's own choice of one device."""
    return tf.distribute.MirroredStrategy() if len(gpus()) > 1 else tf.distribute.get_strategy()


def follow_trend(model: TwoTower, events: pd.DataFrame) -> None:
    """Moves the items' biases to what these events show of the present."""
    settings = model.config.train
    if settings.trend_half_life_days > 0 and model.config.clock == "utc":
        model.trend.assign(trend(events, model.rows, settings.trend_half_life_days, settings.recency_half_life_days))


def catch_up(model: TwoTower, files: Sequence[str]) -> None:
    """Learns from the targets of the validation window, once, where the configuration gives it a rate."""
    settings, config = model.config.train, model.config
    phase = Phase("catching up", 1, settings.batch_size, settings.catch_up_rate)
    if settings.catch_up_rate <= 0 or not count_sequences(files):
        return
    tf.keras.utils.set_random_seed(settings.seed)
    model.texts.set_live(False)
    data = sequences(files, config.features.profile_columns, phase.batch_size, settings.seed)
    # A ranker may look at more of a history than the query tower reads.
    data = data.map(lambda batch: latest(batch, config.examples.max_events))
    with model.distribute_strategy.scope():
        model.compile(optimizer=LazyAdam(_falling_rate(phase, files)))
    loss = model.fit(data, verbose=0).history["loss"][-1]
    model.optimizer = None
    if not math.isfinite(loss):
        raise ModelError(f"the loss of catching up is {loss}; lower train.catch_up_rate ({settings.catch_up_rate})")
    log(f"caught up with the validation window: loss of the last step {loss:.3f}")


def _falling_rate(phase: Phase, files: Sequence[str]) -> tf.keras.optimizers.schedules.LearningRateSchedule:
    """From the phase's learning rate down to a hundredth of it at its last step."""
    steps = _steps(phase, files)
    return tf.keras.optimizers.schedules.PolynomialDecay(
        phase.learning_rate, max(phase.epochs * steps, 1), phase.learning_rate / 100
    )


def _steps(phase: Phase, files: Sequence[str]) -> int:
    """Of an epoch."""
    return phase.steps or -(-count_sequences(files) // phase.batch_size)


def _run_phase(
    model: TwoTower,
    phase: Phase,
    files: Sequence[str],
    validation: Validation,
    progress: Progress,
    curve: LearningCurve,
    log_dir: str,
) -> None:
    config = model.config
    model.texts.set_live(phase.live_text)
    with model.distribute_strategy.scope():
        optimizer = LazyAdam(_falling_rate(phase, files))
        progress.track(optimizer)
        model.compile(optimizer=optimizer)
    board = tf.keras.callbacks.TensorBoard(str(Path(log_dir) / phase.name), profile_batch=0)
    worker = progress.worker
    while int(progress.epoch) < phase.epochs and int(progress.waited) < config.train.patience:
        epoch = int(progress.epoch)
        reporter = Reporter(phase, progress, config.train.checkpoint_seconds)
        callbacks = [reporter, board] if worker.is_chief else [reporter]
        _fit_rest_of_epoch(model, phase, files, progress, callbacks)
        if phase.live_text:
            log("reading all texts again with the trained BERT")
            model.texts.encode_texts()
        scores = validation.ndcg(model) if worker.is_chief else (math.nan, math.nan)
        curve.add(dataclasses.replace(reporter.epoch(epoch + 1), ndcg=scores[0], ndcg_novel=scores[1]))
        progress.end_epoch(worker.agreed(validation.decisive(scores)))
        if worker.is_chief:
            log(
                f"{phase.name} epoch {epoch + 1}: {reporter.summary()}, validation NDCG@20 {scores[0]:.4f}, "
                f"{scores[1]:.4f} on what a shopper never chose before"
            )
    if int(progress.epoch) < phase.epochs:
        log(f"no better in {config.train.patience} epochs: {phase.name} ends here, with the best epoch's weights")


def _fit_rest_of_epoch(
    model: TwoTower,
    phase: Phase,
    files: Sequence[str],
    progress: Progress,
    callbacks: list[tf.keras.callbacks.Callback],
) -> None:
    """A run killed after the last step of an epoch has none left, which Keras takes for an error."""
    epoch, done = int(progress.epoch), int(progress.step)
    what = (files, model.config.features.profile_columns, phase.batch_size, model.config.train.seed + epoch)
    if progress.worker.shares_steps:
        # The order of the records hangs on this seed too, and is that of all workers; dropout is a worker's own.
        tf.keras.utils.set_random_seed(model.config.train.seed)
        data = model.distribute_strategy.distribute_datasets_from_function(
            lambda context: parts_of_sequences(*what, done, context)
        )
        tf.keras.utils.set_random_seed(model.config.train.seed + progress.worker.number)
        count = _steps(phase, files) - done
        is_left = count > 0
    else:
        data = sequences(*what)
        data = (data.repeat().take(phase.steps) if phase.steps else data).skip(done)
        is_left, count = not done or any(True for _ in data.take(1)), None
    if is_left:
        model.fit(data, initial_epoch=epoch, epochs=epoch + 1, steps_per_epoch=count, verbose=0, callbacks=callbacks)
