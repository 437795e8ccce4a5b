"""The TFX pipeline: when and where each stage of tfrec runs. Open dag.py first."""

import tfrec  # noqa: F401  decides which Keras TensorFlow uses, before TFX imports TensorFlow
