"""The ranker: a tfrs.Model with a head for each kind of event.

Each head gives the probability that a user has such an event with a candidate. With a funnel it is
the probability of an event of any kind times that of the kind given one. Deep & Cross (Wang
et al., "DCN V2", 2021) over the candidate's ranking features, its categories and the user's
profile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_recommenders as tfrs
from scipy.special import logit

from tfrec.config import RankingConfig
from tfrec.examples.catalog import Catalog
from tfrec.ranking.blend import PARTS, Blend, parts_of, scores_of

LIMIT = 8.0  # standard deviations at which features are clipped
MIN_SPREAD = 1e-3
"""Smallest spread of a feature that is scaled, on the logarithmic scale.

A feature that varies less in training would be magnified when it varies later.
"""


ANY_KIND = "any kind"
"""Name of the task that a funnel adds to the heads."""


class Ranker(tfrs.Model):
    """Logits [n, heads] of candidates from their features, catalog rows and profiles."""

    def __init__(
        self, catalog: Catalog, features: Sequence[str], heads: tuple[str, ...], levels: int, config: RankingConfig
    ):
        """`features` are names, among them those of blend.FEATURES and blend.EVENTS.

        Only the first `levels` of the categories are embedded: thousands of makers would be
        memorized.
        """
        super().__init__()
        self.heads = heads
        self._feature_names = tuple(features)
        self._category = tf.Variable(catalog.category[:, :levels], trainable=False, name="ranked_category")
        self._mean = tf.Variable(tf.zeros([len(features)]), trainable=False, name="mean")
        self._scale = tf.Variable(tf.ones([len(features)]), trainable=False, name="scale")
        dim = config.embedding_dim
        self._categories = tf.keras.layers.Embedding(catalog.category_size, dim, name="ranked_categories")
        self._profile = {
            name: tf.keras.layers.Embedding(size, dim, name=f"ranked_{name}")
            for name, size in sorted(catalog.profile_sizes.items())
        }
        parts = len(PARTS)
        self.blend = tf.Variable([Blend()] * parts, trainable=False, name="blend")
        self.slope = tf.Variable(tf.ones([parts, len(heads)]), trainable=False, name="slope")
        self.bias = tf.Variable(tf.zeros([parts, len(heads)]), trainable=False, name="bias")
        self._drop = tf.keras.layers.Dropout(config.dropout)
        self._crosses = [
            tfrs.layers.dcn.Cross(projection_dim=config.cross_rank, name=f"cross_{index}")
            for index in range(config.cross_layers)
        ]
        self._hidden = [tf.keras.layers.Dense(width, "relu", name=f"hidden_{width}") for width in config.hidden]
        self._has_funnel = config.heads == "funnel" and len(heads) > 1
        self._out = tf.keras.layers.Dense(len(heads) + self._has_funnel, name="heads")
        names = (*heads, ANY_KIND) if self._has_funnel else heads
        self._tasks = {
            name: tfrs.tasks.Ranking(loss=tf.keras.losses.BinaryCrossentropy(from_logits=True)) for name in names
        }

    def make_weights(self) -> None:
        """Make all weights before the first step, for the optimizer and the checkpoint."""
        empty = {"features": tf.zeros([1, self._mean.shape[0]]), "rows": tf.zeros([1], tf.int64)}
        self(empty | {name: tf.zeros([1], tf.int64) for name in self._profile})

    def start_at_rates(self, labels: np.ndarray) -> None:
        """Let the first probabilities be about the heads' shares of `labels` [n, heads].

        The bias of the output says so, after `make_weights`. Positives are one in a thousand: the
        steps of a small shop would otherwise go into learning that alone. Source: Lin et al.,
        "Focal loss for dense object detection" (2017), section 4.1.
        """
        shares = [(head.sum() + 0.5) / (len(labels) + 1) for head in labels.T]  # never 0 or 1
        if self._has_funnel:
            any_kind = (labels.max(axis=1).sum() + 1) / (len(labels) + 1.5)  # above each head's
            shares = [*(share / any_kind for share in shares), any_kind]
        self._out.bias.assign(logit(shares))

    def checkpointed(self) -> dict[str, Any]:
        """What a checkpoint keeps of the model, without the optimizer."""
        return {"ranker_weights": list(self.weights)}

    def fit_scale(self, features: np.ndarray) -> None:
        """Set each feature's mean and spread from [n, features]; a near constant one becomes 0."""
        # One column at a time: all features in float64 would take twice their memory.
        statistics = [(column.mean(), column.std()) for column in (values.astype(np.float64) for values in features.T)]
        mean, spread = np.array(statistics).T
        self._mean.assign(mean)
        self._scale.assign(np.where(spread > MIN_SPREAD, 1 / np.maximum(spread, MIN_SPREAD), 0.0))

    def call(self, inputs: Mapping[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Logits [n, heads] of `inputs`.

        They are features [n, features] float32, rows [n] int64 and user_<column> [n] int64.
        """
        return self._logits(inputs, training)[:, : len(self.heads)]

    def _logits(self, inputs: Mapping[str, tf.Tensor], training: bool) -> tf.Tensor:
        """[n, heads] logits; with a funnel [n, heads + 1], the last one of an event of any kind."""
        scaled = tf.clip_by_value((inputs["features"] - self._mean) * self._scale, -LIMIT, LIMIT)
        categories = self._categories(tf.gather(self._category, inputs["rows"]))
        embedded = [tf.reshape(categories, [-1, categories.shape[1] * categories.shape[2]])]
        embedded += [embedding(inputs[name]) for name, embedding in self._profile.items()]
        start = tf.concat([scaled, self._drop(tf.concat(embedded, axis=-1), training=training)], axis=-1)
        crossed, deep = start, start
        for cross in self._crosses:
            crossed = cross(start, crossed)
        for hidden in self._hidden:
            deep = self._drop(hidden(deep), training=training)
        out = self._out(tf.concat([crossed, deep], axis=-1))
        return with_funnel(out) if self._has_funnel else out

    def probabilities(self, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """[n, heads] calibrated probabilities for the `inputs` of `call`.

        All probabilities that are served are made here. A row of `blend` weighs the logits and the
        scores of blend.py, one for each of PARTS. The rows of `slope` (above 0) and `bias` [parts,
        heads] apply to the sum, so the order within a history stays. 1 and 0 change nothing.
        """
        features, names = inputs["features"], self._feature_names
        part = parts_of(features, names)
        weights = tf.gather(self.blend, part)
        scores = tf.reduce_sum(scores_of(features, names) * weights[:, 1:], axis=1, keepdims=True)
        logits = weights[:, :1] * self(inputs) + scores
        return tf.sigmoid(tf.gather(self.slope, part) * logits + tf.gather(self.bias, part))

    def train_step(self, inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Run one step; return its loss and its number of candidates, `targets`."""
        return super().train_step(inputs) | {"targets": tf.cast(tf.shape(inputs["labels"])[0], tf.float32)}

    def compute_loss(self, inputs: Mapping[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Summed cross-entropy of the heads; `inputs` are those of `call` and labels [n, heads]."""
        logits, labels = self._logits(inputs, training), inputs["labels"]
        if self._has_funnel:
            labels = tf.concat([labels, tf.reduce_max(labels, axis=1, keepdims=True)], axis=1)
        losses = [
            task(labels=labels[:, index], predictions=logits[:, index], compute_metrics=False)
            for index, task in enumerate(self._tasks.values())
        ]
        return tf.add_n(losses)


def with_funnel(logits: tf.Tensor) -> tf.Tensor:
    """[n, heads + 1] logits of P(kind) = P(any kind) * P(kind | any kind), and of P(any kind).

    Given are those of P(kind | any kind) and, last, of P(any kind). The logit of a product of
    sigmoids of a and b is -log(exp(-a) + exp(-b) + exp(-a - b)). Source: Ma et al., "Entire space
    multi-task model" (2018).
    """
    given, any_kind = logits[:, :-1], tf.broadcast_to(logits[:, -1:], tf.shape(logits[:, :-1]))
    terms = tf.stack([-given, -any_kind, -given - any_kind], axis=-1)
    return tf.concat([-tf.reduce_logsumexp(terms, axis=-1), logits[:, -1:]], axis=1)
