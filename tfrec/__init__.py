"""tfrec: raw clicks and purchases in, a served two-tower BERT recommender out.

TensorFlow Recommenders needs legacy Keras (tf-keras) while KerasHub needs Keras 3; TensorFlow decides
which of the two `tf.keras` is when it is first imported. This is the one place that decides it, so that
no user has to: every module of ours is below this package or imports it before TensorFlow.
"""

import os

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

__version__ = "0.1.0"
