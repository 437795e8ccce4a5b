"""tfrec: a two-tower BERT recommender, trained on clicks and purchases and ready to serve.

TensorFlow Recommenders needs legacy Keras (tf-keras), KerasHub needs Keras 3. TensorFlow chooses
`tf.keras` when it is first imported, by an environment variable. This module sets that variable:
every module of the project is in this package or imports it before TensorFlow.
"""

import os

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

__version__ = "0.1.0"
