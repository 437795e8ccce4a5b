"""Defaults of inputs that older clients do not send.

TensorFlow Serving fills them in, so that a new input does not break a client that is older than the
model. A default has one row: it serves requests of one user, and rows of REST name every input.
"""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf

DEFAULTS = {"list_calibration": tf.make_tensor_proto([-1.0], tf.float32)}  # the run's setting
"""Input -> its value."""


def set_input_defaults(folder: str) -> None:
    """Write DEFAULTS into the signatures of the SavedModel in `folder`.

    `tf.saved_model.save` writes defaults of positional arguments alone.
    """
    from tensorflow.core.protobuf import saved_model_pb2

    path, saved = Path(folder) / "saved_model.pb", saved_model_pb2.SavedModel()
    saved.ParseFromString(path.read_bytes())
    for meta in saved.meta_graphs:
        for signature in meta.signature_def.values():
            for name in DEFAULTS.keys() & signature.inputs.keys():
                signature.defaults[name].CopyFrom(DEFAULTS[name])
    path.write_bytes(saved.SerializeToString())
