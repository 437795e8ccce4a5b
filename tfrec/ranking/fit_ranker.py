"""Fit the ranker on candidates in memory; a fit resumes within an epoch."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from tfrec.config import Config
from tfrec.console import log
from tfrec.examples.dataset import without_autotune
from tfrec.ranking.ranker import Ranker
from tfrec.ranking.training_data import Examples
from tfrec.training.learning_curve import LearningCurve
from tfrec.training.progress import Phase, Progress, Reporter

STEPS, SMALLEST_BATCH = 100, 32
"""A small shop gets smaller batches, for STEPS steps an epoch: one step would change little."""


def fit_ranker(
    ranker: Ranker, examples: Examples, config: Config, checkpoint_dir: str, kept: np.ndarray | None = None
) -> LearningCurve:
    """Fit the ranker for `ranking.epochs` epochs; return the loss of each.

    With `kept`, indices of `examples`, it is fitted on these alone, but scaled by all.
    A checkpoint is written every `train.checkpoint_seconds` and at the end of each epoch. A call
    with the same arguments resumes from the last one in `checkpoint_dir`, with the same batches;
    only the dropout masks differ then. Raises ModelError when the loss is infinite or NaN.
    """
    settings, seed = config.ranking, config.train.seed
    kept = np.arange(len(examples.rows)) if kept is None else kept
    batch_size = min(max(len(kept) // STEPS, SMALLEST_BATCH), settings.batch_size)
    steps = -(-len(kept) // batch_size)
    cure = "lower ranking.learning_rate ({rate})"
    phase = Phase("second stage", settings.epochs, batch_size, settings.learning_rate, steps, cure=cure)
    tf.keras.utils.set_random_seed(seed)
    ranker.fit_scale(examples.features)
    ranker.make_weights()
    ranker.start_at_rates(examples.labels[kept])
    progress, curve = Progress(ranker, checkpoint_dir), LearningCurve(checkpoint_dir)
    rate = tf.keras.optimizers.schedules.CosineDecay(settings.learning_rate, settings.epochs * steps)
    optimizer = tf.keras.optimizers.Adam(rate, jit_compile=False)
    progress.track(optimizer)
    ranker.compile(optimizer=optimizer)
    for epoch in range(int(progress.epoch), settings.epochs):
        done = int(progress.step)
        reporter = Reporter(phase, progress, config.train.checkpoint_seconds)
        if done < steps:  # else the fit was interrupted after the last step of the epoch
            data = _batches(examples, kept, steps, [seed, epoch], done)
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


def _batches(examples: Examples, kept: np.ndarray, steps: int, seed: list[int], done: int) -> tf.data.Dataset:
    """Batches of one epoch from step `done` on, in the order that `seed` gives.

    NumPy gathers each batch: as a tensor of TensorFlow all features would be in memory twice.
    """
    order = np.random.default_rng(seed).permutation(kept)

    def generate() -> Iterator[dict[str, np.ndarray]]:
        for indices in np.array_split(order, steps)[done:]:
            yield examples.inputs(indices)

    empty = examples.inputs(slice(0))
    specs = {name: tf.TensorSpec([None, *values.shape[1:]], values.dtype) for name, values in empty.items()}
    return without_autotune(tf.data.Dataset.from_generator(generate, output_signature=specs).prefetch(2))
