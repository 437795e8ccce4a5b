"""The text encoder: its vectors, its trainable weights, and where its BERT comes from."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfrec.config import FeaturesConfig, TowerConfig
from tfrec.errors import ConfigError
from tfrec.language.catalog_encoder import ENCODE_BATCH, CatalogEncoder, pool_all
from tfrec.language.text_encoder import TextEncoder, bert_directory
from tfrec.language.text_encoder import vocabulary as vocabulary_of
from tfrec.language.tokenizer import WordPiece, word_piece_of

# In the ids of BERT's vocabulary: [CLS] gluten free pasta [SEP] and [CLS] soap [SEP].
PASTA = [101, 1043, 7630, 6528, 2489, 24857, 102]
SOAP = [101, 7815, 102]


@pytest.fixture(scope="module")
def encoder_of(vocabulary):
    """Makes a tiny encoder with random weights: 2 layers, 16 dimensions."""

    def make(mode: str = "full", layers: int = 1, seed: int = 0) -> TextEncoder:
        towers = TowerConfig(random_bert=True, text_mode=mode, text_layers=layers, lora_rank=2)
        return TextEncoder(FeaturesConfig(vocabulary=vocabulary), towers, seed)

    return make


@pytest.fixture(scope="module")
def encoder(encoder_of):
    """One of those; read only."""
    return encoder_of()


def padded(texts: list[list[int]], length: int) -> tf.Tensor:
    return tf.constant([text + [0] * (length - len(text)) for text in texts], tf.int64)


def test_different_texts_have_different_unit_vectors(encoder):
    vectors = encoder(padded([PASTA, SOAP], 8)).numpy()
    assert vectors.shape == (2, encoder.dim) == (2, 16)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, rtol=1e-5)
    assert np.abs(vectors[0] - vectors[1]).max() > 0.1


def test_padding_changes_no_vector(encoder):
    np.testing.assert_allclose(encoder(padded([PASTA, SOAP], 24))[1:], encoder(padded([SOAP], 3)), atol=1e-5)


def test_the_order_of_words_changes_the_vector(encoder):
    assert np.abs(encoder(padded([PASTA], 7)) - encoder(padded([PASTA[::-1]], 7))).max() > 1e-3


def test_an_empty_text_has_a_finite_vector(encoder):
    np.testing.assert_array_equal(encoder.pooled(padded([[], SOAP], 4))[0], 0.0)
    assert np.isfinite(encoder(padded([[]], 1))).all()


def test_vectors_are_centered_on_the_mean_of_the_catalog(encoder_of):
    encoder = encoder_of()
    encoder.mean.assign([1.0] + [0.0] * 15)
    # [4, 4, 0, ...] - [1, 0, 0, ...] = [3, 4, 0, ...], of length 5
    np.testing.assert_allclose(encoder.normalize(tf.constant([[4.0, 4.0] + [0.0] * 14]))[0, :3], [0.6, 0.8, 0.0])


@pytest.mark.slow
@pytest.mark.parametrize(("mode", "layers", "kept"), [("top", 1, True), ("top", 2, False), ("full", 1, False)])
def test_a_second_encoding_uses_the_current_weights(encoder_of, mode, layers, kept, monkeypatch):
    encoder = encoder_of(mode, layers)
    tokens = padded([PASTA, SOAP, [101, 7815, 7815, 102]], 8).numpy()
    calls = []
    unchanging = encoder.unchanging
    monkeypatch.setattr(encoder, "unchanging", lambda tokens: calls.append(1) or unchanging(tokens))
    catalog_encoder = CatalogEncoder(encoder, tokens)
    np.testing.assert_allclose(catalog_encoder.encode(), encoder.pooled(tf.constant(tokens)), atol=1e-5)
    for variable in encoder.trainable_variables:
        variable.assign_add(tf.random.stateless_normal(variable.shape, [1, 2], stddev=0.3))
    again = catalog_encoder.encode()
    np.testing.assert_allclose(again, encoder.pooled(tf.constant(tokens)), atol=1e-5)
    np.testing.assert_allclose(again, CatalogEncoder(encoder, tokens).encode(), atol=1e-5)
    assert catalog_encoder.is_cached == bool(calls) == kept


def test_states_above_the_memory_limit_are_not_cached(encoder_of, monkeypatch):
    monkeypatch.setattr("tfrec.language.catalog_encoder.CACHE_BYTES", 10 * 16 * 4 - 1)
    encoder, tokens = encoder_of("top"), padded([PASTA, SOAP], 8).numpy()
    catalog_encoder = CatalogEncoder(encoder, tokens)  # 10 tokens of 16 dimensions
    np.testing.assert_allclose(catalog_encoder.encode(), encoder.pooled(tf.constant(tokens)), atol=1e-5)
    assert not catalog_encoder.is_cached


def test_vectors_of_a_catalog_keep_its_order(encoder):
    # More texts than a call takes, of lengths that alternate: [CLS] n [SEP], [CLS] n n [SEP], an
    # empty one.
    texts = [[[101, n, 102], [101, n, n, 102], []][n % 3] for n in range(1000, 1000 + ENCODE_BATCH + 5)]
    tokens = padded(texts, 6).numpy()
    vectors = pool_all(encoder, tokens)
    assert vectors.shape == (ENCODE_BATCH + 5, 16)
    for row in (0, 1, 2, 3, 130, ENCODE_BATCH, ENCODE_BATCH + 4):
        np.testing.assert_allclose(vectors[row], encoder.pooled(tokens[row : row + 1])[0], atol=1e-5)


@pytest.mark.parametrize(
    ("mode", "layers", "trained"),
    [
        ("frozen", 1, set()),
        ("top", 1, {"transformer_layer_1"}),
        ("top", 2, {"transformer_layer_0", "transformer_layer_1"}),
        (
            "full",
            1,
            {
                "token_embedding",
                "position_embedding",
                "segment_embedding",
                "embeddings_layer_norm",
                "transformer_layer_0",
                "transformer_layer_1",
            },
        ),
    ],
)
def test_the_text_mode_decides_which_layers_train(encoder_of, mode, layers, trained):
    # The pooler, which gives what BERT was pre-trained with and not the vector here, never trains.
    names = {weight.name.split("/")[0] for weight in encoder_of(mode, layers).trainable_weights}
    assert names == trained


def test_lora_trains_small_matrices_beside_frozen_kernels(encoder_of):
    trained = encoder_of("lora").trainable_weights
    # Two matrices for the queries and two for the values of each of the two layers; rank 2.
    matrices = [weight for weight in trained if "lora" in weight.name]
    assert len(matrices) == 8
    assert {weight.shape[-1] for weight in matrices if "kernel_a" in weight.name} == {2}
    assert not [weight.name for weight in trained if weight.name.endswith("/kernel:0")]


@pytest.mark.parametrize("mode", ["top", "lora", "full"])
def test_an_encoder_whose_training_is_switched_off_trains_nothing(encoder_of, mode):
    encoder = encoder_of(mode)
    encoder.trainable = False
    assert encoder.trainable_weights == []
    encoder.trainable = True
    assert encoder.trainable_weights


def test_more_layers_than_the_bert_has_are_refused(encoder_of):
    with pytest.raises(ConfigError, match="text_layers is 3 but the BERT has 2; give 1 to 2"):
        encoder_of("top", 3)


@pytest.mark.parametrize("mode", ["full", "lora"])
def test_a_restored_encoder_gives_the_same_vectors(encoder_of, tmp_path, mode):
    saved, other = encoder_of(mode, seed=0), encoder_of(mode, seed=1)
    random = np.random.default_rng(2)
    for weight in saved.weights:
        if weight.dtype == tf.float32:
            weight.assign(random.normal(scale=0.1, size=weight.shape))
    texts = padded([PASTA, SOAP], 8)
    assert np.abs(other(texts) - saved(texts)).max() > 0.1
    path = tf.train.Checkpoint(encoder=saved).write(str(tmp_path / "checkpoint"))
    tf.train.Checkpoint(encoder=other).read(path).assert_consumed()
    np.testing.assert_array_equal(other(texts), saved(texts))


def test_a_seed_gives_the_same_random_bert(encoder_of):
    texts = padded([PASTA], 7)
    np.testing.assert_array_equal(encoder_of(seed=5)(texts), encoder_of(seed=5)(texts))


@pytest.mark.slow
def test_the_pre_trained_bert_gives_similar_vectors_to_texts_of_one_meaning(vocabulary):
    encoder = TextEncoder(FeaturesConfig(vocabulary=vocabulary), TowerConfig())
    texts = ["gluten free pasta", "spaghetti without gluten", "desk lamp", "reading light for the office"]
    tokens = WordPiece(vocabulary, 24)(tf.constant(texts)).to_tensor()
    cosine = tf.matmul(*[encoder(tokens)] * 2, transpose_b=True).numpy()
    assert encoder.dim == 384
    assert min(cosine[0, 1], cosine[2, 3]) > cosine[:2, 2:].max() + 0.2


def test_a_folder_without_a_vocabulary_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"has neither vocab.txt nor tokenizer.json; give the folder of a Hugging"):
        vocabulary_of(str(tmp_path), "unused")


def test_a_hugging_face_folder_is_used(tmp_path):
    (tmp_path / "vocab.txt").write_text("[PAD]\n")
    assert bert_directory(str(tmp_path)) == str(tmp_path)
    assert vocabulary_of(str(tmp_path), "unused") == (str(tmp_path / "vocab.txt"), True)
    (tmp_path / "tokenizer_config.json").write_text('{"do_lower_case": false}')
    assert vocabulary_of(str(tmp_path), "unused") == (str(tmp_path / "vocab.txt"), False)


def test_a_kerashub_preset_folder_is_used(tmp_path):
    import keras_hub

    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "Tea", "tea", "##pot"]
    shape = {"num_layers": 1, "num_heads": 2, "hidden_dim": 8, "intermediate_dim": 16}
    keras_hub.models.BertBackbone(len(pieces), **shape).save_to_preset(str(tmp_path / "preset"))
    keras_hub.models.BertTokenizer(pieces, lowercase=False).save_to_preset(str(tmp_path / "preset"))
    path, lowercase = vocabulary_of(str(tmp_path / "preset"), str(tmp_path / "work"))
    features = FeaturesConfig(bert=str(tmp_path / "preset"), vocabulary=path, lowercase=lowercase)
    assert not lowercase
    # Cased: "Tea" and "tea" are different pieces; [CLS] is 2 and [SEP] 3.
    assert word_piece_of(features)(tf.constant(["Tea teapot"])).to_list() == [[2, 5, 6, 7, 3]]
    assert TextEncoder(features, TowerConfig()).dim == 8


@pytest.mark.slow
def test_mixed_precision_changes_a_vector_by_less_than_a_hundredth(vocabulary):
    features = FeaturesConfig(vocabulary=vocabulary)
    tokens = WordPiece(vocabulary, 24)(tf.constant(["gluten free pasta", "desk lamp"])).to_tensor()
    full, mixed = (TextEncoder(features, TowerConfig(bert_dtype=d))(tokens) for d in ("float32", "mixed_bfloat16"))
    assert mixed.dtype == tf.float32
    assert tf.reduce_min(tf.reduce_sum(full * mixed, axis=1)) > 0.99
