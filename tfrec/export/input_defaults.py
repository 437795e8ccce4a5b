"""Defaults of inputs that older clients do not send.

TensorFlow Serving fills them in, so that a new input does not break a client that is older than the
model. A default has one row, which input_sizes.py repeats for each row of the request.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf


def input_defaults(context_columns: Sequence[str]) -> dict[str, Any]:
    """Input -> TensorProto of one row: the run's list calibration, and no context."""
    unknown = {f"user_{column}": tf.make_tensor_proto([b""], tf.string) for column in context_columns}
    return {"list_calibration": tf.make_tensor_proto([-1.0], tf.float32)} | unknown


def set_input_defaults(folder: str, defaults: Mapping[str, Any]) -> None:
    """Write defaults, by input, into the signatures of the SavedModel in `folder`.

    `tf.saved_model.save` writes defaults of positional arguments alone.
    """
    from tensorflow.core.protobuf import saved_model_pb2

    path, saved = Path(folder) / "saved_model.pb", saved_model_pb2.SavedModel()
    saved.ParseFromString(path.read_bytes())
    for meta in saved.meta_graphs:
        for signature in meta.signature_def.values():
            for name in defaults.keys() & signature.inputs.keys():
                signature.defaults[name].CopyFrom(defaults[name])
    path.write_bytes(saved.SerializeToString())
