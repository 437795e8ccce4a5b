"""Load trained towers from their SavedModel, to fit the ranker in another process.

A SavedModel's variables are a checkpoint of the object that was saved.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf

from tfrec.config import Config
from tfrec.errors import ModelError
from tfrec.examples.dataset import load_catalog
from tfrec.examples.preprocessing import Transformed
from tfrec.retrieval.two_tower import TwoTower
from tfrec.training.learning_curve import IN_MODEL, LearningCurve, read_epochs
from tfrec.training.train import Trained, strategy


def load_towers(
    folder: str, train_files: Sequence[str], catalog_files: Sequence[str], transformed: Transformed, config: Config
) -> Trained:
    """Load the model that `export` wrote into `folder`, for the same examples and configuration.

    Its best validation score is NaN (unknown). ModelError when the folder holds other towers.
    """
    catalog = load_catalog(catalog_files, train_files, transformed, config.features, config.examples)
    with strategy().scope():
        model = TwoTower(catalog, config)
    weights = str(Path(folder) / "variables" / "variables")
    # export.Recommender has the model as `_model`.
    saved = tf.train.Checkpoint(_model=tf.train.Checkpoint(**model.checkpointed()))
    try:
        # The file also holds what export saved beside the model: a warning for each value.
        saved.read(weights).expect_partial().assert_existing_objects_matched()
    except (AssertionError, ValueError, tf.errors.OpError) as error:
        # TensorFlow's sentence goes on with all values of the variables that it misses.
        reason = textwrap.shorten(str(error), 160)
        raise ModelError(
            f"{folder} does not hold the towers of this configuration ({reason}); train them again"
        ) from error
    curve = LearningCurve()
    curve.epochs = read_epochs(Path(folder) / IN_MODEL)
    return Trained(model, catalog, float("nan"), curve)
