"""Fit and calibrate the ranker on candidates in memory; a fit resumes within an epoch."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from tfrec.config import Config
from tfrec.console import log
from tfrec.examples.dataset import without_autotune
from tfrec.ranking.calibration import MIN_LABELS, Calibration, calibrate
from tfrec.ranking.ranker import Ranker
from tfrec.ranking.training_data import Examples
from tfrec.training.learning_curve import LearningCurve
from tfrec.training.progress import Phase, Progress, Reporter

PREDICTED_AT_ONCE = 16_384
STEPS, SMALLEST_BATCH = 100, 32
"""A small shop gets smaller batches, for STEPS steps an epoch: one step would change little."""


def fit_ranker(ranker: Ranker, examples: Examples, config: Config, checkpoint_dir: str) -> LearningCurve:
    """Fit the ranker for `ranking.epochs` epochs; return the loss of each.

    A checkpoint is written every `train.checkpoint_seconds` and at the end of each epoch. A call
    with the same arguments resumes from the last one in `checkpoint_dir`, with the same batches;
    only the dropout masks differ then. Raises ModelError when the loss is infinite or NaN.
    """
    settings, seed = config.ranking, config.train.seed
    batch_size = min(max(len(examples.rows) // STEPS, SMALLEST_BATCH), settings.batch_size)
    steps = -(-len(examples.rows) // batch_size)
    cure = "lower ranking.learning_rate ({rate})"
    phase = Phase("second stage", settings.epochs, batch_size, settings.learning_rate, steps, cure=cure)
    tf.keras.utils.set_random_seed(seed)
    ranker.fit_scale(examples.features)
    ranker.make_weights()
    progress, curve = Progress(ranker, checkpoint_dir), LearningCurve(checkpoint_dir)
    rate = tf.keras.optimizers.schedules.CosineDecay(settings.learning_rate, settings.epochs * steps)
    optimizer = tf.keras.optimizers.Adam(rate, jit_compile=False)
    progress.track(optimizer)
    ranker.compile(optimizer=optimizer)
    for epoch in range(int(progress.epoch), settings.epochs):
        done = int(progress.step)
        reporter = Reporter(phase, progress, config.train.checkpoint_seconds)
        if done < steps:  # else the fit was interrupted after the last step of the epoch
            data = _batches(examples, steps, [seed, epoch], done)
            # The number of steps is given, because Keras counts one more in the optimizer where it
            # meets the end.
            ranker.fit(
                data,
                initial_epoch=epoch,
                epochs=epoch + 1,
                steps_per_epoch=steps - done,
                verbose=0,
                callbacks=[reporter],
            )
        curve.add(reporter.epoch(epoch + 1))
        progress.next_epoch()
        loss = curve.epochs[-1].loss  # NaN: the epoch's last run had no step
        mean_loss = "unknown" if math.isnan(loss) else f"{loss:.4f}"
        log(f"second stage epoch {epoch + 1} of {settings.epochs}: mean loss {mean_loss}")
    ranker.optimizer = None
    return curve


def _batches(examples: Examples, steps: int, seed: list[int], done: int) -> tf.data.Dataset:
    """Batches of one epoch from step `done` on, in the order that `seed` gives.

    NumPy gathers each batch: as a tensor of TensorFlow all features would be in memory twice.
    """
    order = np.random.default_rng(seed).permutation(len(examples.rows))

    def generate() -> Iterator[dict[str, np.ndarray]]:
        for indices in np.array_split(order, steps)[done:]:
            yield examples.inputs(indices)

    empty = examples.inputs(slice(0))
    specs = {name: tf.TensorSpec([None, *values.shape[1:]], values.dtype) for name, values in empty.items()}
    return without_autotune(tf.data.Dataset.from_generator(generate, output_signature=specs).prefetch(2))


def calibrate_ranker(ranker: Ranker, examples: Examples) -> None:
    """Fit slope and bias of each head on `examples` of users whom the ranker was not fitted on."""
    if not len(examples.rows):
        log("second stage: probabilities are not calibrated: no users are held out for it")
        return
    pieces = [slice(at, at + PREDICTED_AT_ONCE) for at in range(0, len(examples.rows), PREDICTED_AT_ONCE)]
    logits = np.concatenate([ranker(_tensors(examples, piece)).numpy() for piece in pieces])
    fitted = [calibrate(*columns) for columns in zip(logits.T, examples.labels.T, strict=True)]
    ranker.slope.assign([one.slope for one in fitted])
    ranker.bias.assign([one.bias for one in fitted])
    log(f"second stage: calibration on {len(logits):,} candidates of other users")
    for head, one, positives in zip(ranker.heads, fitted, examples.labels.sum(axis=0), strict=True):
        if one == Calibration():
            log(
                f"warning: probabilities of {head} are not calibrated: {positives:,.0f} of the candidates are "
                f"positives, fewer than {MIN_LABELS}"
            )
        else:
            log(f"second stage: {head} slope {one.slope:.3f}, bias {one.bias:.3f}")


def held_out_start(examples: Examples, first: int, share: float) -> int:
    """Index of the first candidate of the last `share` of the users, held out for calibration.

    Only users from candidate `first` on count: those before it are of earlier windows. The number
    of examples, if those users have too few positives to calibrate by.
    """
    users = int(examples.user[-1]) + 1
    start = int(np.searchsorted(examples.user, users - round((users - int(examples.user[first])) * share)))
    positives = examples.labels[start:].sum(axis=0)
    return start if positives.max(initial=0) >= MIN_LABELS else len(examples.rows)


def _tensors(examples: Examples, piece: slice) -> dict[str, tf.Tensor]:
    return {name: tf.constant(values) for name, values in examples.inputs(piece).items()}
