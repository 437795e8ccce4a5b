"""The contrastive model of the text encoder: its negatives and its loss."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf

from tfrec.config import FeaturesConfig, TowerConfig
from tfrec.language.catalog_encoder import CatalogEncoder
from tfrec.language.text_encoder import TextEncoder
from tfrec.retrieval.text_pair_model import TextPairModel, negatives_of

TOKENS = np.array([[0, 0, 0], *([101, word, 102] for word in range(1000, 1004))], np.int64)


@pytest.fixture
def model(vocabulary):
    encoder = TextEncoder(FeaturesConfig(vocabulary=vocabulary), TowerConfig(random_bert=True, text_mode="top"))
    return TextPairModel(encoder, CatalogEncoder(encoder, TOKENS), temperature=0.5)


def test_texts_of_a_user_s_pairs_are_no_negatives():
    # Pairs 0 and 1 share the left text 1, and pair 2 has it on the right. Pair 3 shares no text,
    # but its user with pair 2.
    pairs = tf.constant([[1, 2, 0], [1, 3, 1], [4, 1, 2], [5, 6, 2]], tf.int64)
    expected = [
        [True, False, False, True],
        [False, True, False, True],
        [True, True, True, False],
        [True, True, False, True],
    ]
    np.testing.assert_array_equal(negatives_of(pairs), expected)


def test_the_loss_is_a_softmax_over_cosines_in_both_directions(model, monkeypatch):
    # The texts of a pair are equal and those of the other pair orthogonal: the logits are 1 / 0.5 =
    # 2 and 0, so each of the four softmaxes gives log(1 + e^-2).
    vectors = tf.constant([[0.0, 0.0], [1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    monkeypatch.setattr(model._texts, "pooled", lambda rows, _: tf.gather(vectors, rows))
    loss = model.compute_loss(tf.constant([[1, 2, 0], [3, 4, 1]], tf.int64))
    assert float(loss) == pytest.approx(math.log(1 + math.exp(-2)))


def test_a_direction_counts_as_much_as_the_other(model, monkeypatch):
    # Left to right the logits are [0, 2] and [0, 2]: the first pair loses log(1 + e^2), the second
    # log(1 + e^-2). Right to left they are [0, 0] and [2, 2]: log 2 each.
    vectors = tf.constant([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 0.0]])
    monkeypatch.setattr(model._texts, "pooled", lambda rows, _: tf.gather(vectors, rows))
    loss = model.compute_loss(tf.constant([[1, 2, 0], [3, 4, 1]], tf.int64))
    expected = (math.log(1 + math.exp(2)) + math.log(1 + math.exp(-2)) + 2 * math.log(2)) / 4
    assert float(loss) == pytest.approx(expected)


def test_only_the_layers_that_train_get_a_gradient(model):
    with tf.GradientTape() as tape:
        loss = model.compute_loss(tf.constant([[1, 2, 0], [3, 4, 1]], tf.int64), training=True)
    gradients = tape.gradient(loss, model.trainable_variables)
    assert {weight.name.split("/")[0] for weight in model.trainable_variables} == {"transformer_layer_1"}
    assert all(gradient is not None for gradient in gradients)
