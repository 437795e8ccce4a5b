"""Defaults of inputs that older clients do not send, as the SavedModel's signatures hold them."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from tfrec.export.input_defaults import input_defaults, set_input_defaults


class Model(tf.Module):
    @tf.function(
        input_signature=[tf.TensorSpec([None], tf.string, "user_store"), tf.TensorSpec([None], tf.string, "query")]
    )
    def recommend(self, user_store: tf.Tensor, query: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"text": tf.strings.join([user_store, query])}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "query")])
    def search(self, query: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"text": tf.identity(query)}


def test_a_signature_has_the_defaults_of_its_own_inputs(tmp_path: Path) -> None:
    model = Model()
    tf.saved_model.save(model, str(tmp_path), {"recommend": model.recommend, "search": model.search})
    set_input_defaults(str(tmp_path), input_defaults(["store", "device"]))
    saved = saved_model_pb2.SavedModel.FromString((tmp_path / "saved_model.pb").read_bytes())
    signatures = saved.meta_graphs[0].signature_def
    of_recommend = {name: tf.make_ndarray(proto).tolist() for name, proto in signatures["recommend"].defaults.items()}
    assert of_recommend == {"user_store": [b""]}
    assert not signatures["search"].defaults
    assert tf.make_ndarray(input_defaults([])["list_calibration"]).tolist() == [-1.0]
