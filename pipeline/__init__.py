"""The schedule: when and where tfrec runs. Open dag.py first."""

import tfrec  # noqa: F401  decides which Keras TensorFlow uses, before TFX imports TensorFlow
