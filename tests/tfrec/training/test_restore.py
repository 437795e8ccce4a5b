"""Loading of towers that another process has written."""

from __future__ import annotations

import dataclasses
import gc

import numpy as np
import pytest
import tensorflow as tf

from tfrec.errors import ModelError
from tfrec.examples.preprocessing import Transformed
from tfrec.export.recommender import export
from tfrec.training.restore import load_towers


@pytest.fixture(scope="module")
def written(exported_shop, tmp_path_factory):
    folder = tmp_path_factory.mktemp("towers") / "Format-Serving"
    export(exported_shop.recommender, str(folder), exported_shop.recommender.embeddings())
    return folder


def load(folder, transformed_shop, config):
    files = transformed_shop.files
    return load_towers(str(folder), files["train"], files["catalog"], Transformed(transformed_shop.folder), config)


def test_loaded_towers_have_the_weights_that_were_written(exported_shop, transformed_shop, written):
    tf.keras.utils.set_random_seed(99)  # other random weights than those on disk
    towers = load(written, transformed_shop, exported_shop.config)
    assert towers.catalog.item_ids.tolist() == exported_shop.catalog.item_ids.tolist()
    assert np.isnan(towers.validation_ndcg)
    pairs = list(zip(towers.model.weights, exported_shop.model.weights, strict=True))
    changing = [pair for pair in pairs if "trend" not in pair[0].name]
    assert len(changing) > 20
    for weight, expected in changing:
        np.testing.assert_array_equal(weight.numpy(), expected.numpy(), err_msg=weight.name)


def test_values_that_the_towers_do_not_need_are_left_out_without_a_warning(
    exported_shop, transformed_shop, written, caplog
):
    # TensorFlow warns of each value when the status of the reading is deleted.
    load(written, transformed_shop, exported_shop.config)
    gc.collect()
    assert "Value in checkpoint could not be found" not in caplog.text


def test_the_towers_are_a_saved_model_with_embedding_signatures(exported_shop, transformed_shop, written):
    loaded = tf.saved_model.load(str(written))
    assert set(loaded.signatures) == {"embed_query", "embed_item"}
    of_item = {name: tf.constant([""]) for name in loaded.signatures["embed_item"].structured_input_signature[1]}
    of_item |= {"item_id": tf.constant(["mug"]), "item_price": tf.constant([6.0])}
    expected = exported_shop.recommender.embed_item(**of_item)["embedding"]
    np.testing.assert_allclose(loaded.signatures["embed_item"](**of_item)["embedding"], expected, rtol=1e-5, atol=1e-6)


def test_towers_of_another_shape_are_refused(exported_shop, transformed_shop, written):
    config = exported_shop.config
    wider = dataclasses.replace(config, towers=dataclasses.replace(config.towers, dim=16))
    with pytest.raises(ModelError, match=r"does not hold the towers .*train them again") as refused:
        load(written, transformed_shop, wider)
    assert len(str(refused.value)) < 300 + len(str(written))  # without the values of the variables


def test_a_folder_without_towers_is_refused(exported_shop, transformed_shop, tmp_path):
    with pytest.raises(ModelError, match="does not hold the towers"):
        load(tmp_path, transformed_shop, exported_shop.config)
