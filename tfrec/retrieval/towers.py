"""The two towers: embeddings of items, and of users at a query time from their history and context.

Both have `dim` dimensions and one more, which holds the item's bias (1 for a query), so that the
score is a plain inner product.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfrec.config import TowerConfig
from tfrec.examples.batches import History
from tfrec.examples.catalog import Catalog
from tfrec.examples.preprocessing import DAYS_PER_WEEK, day_of_week
from tfrec.retrieval import replicas
from tfrec.schema import EVENT_KINDS, NEGATIVE_KINDS

AGE_BUCKETS = 64  # two for each octave of seconds: the last one holds ages beyond a lifetime
USER_ID_BUCKETS = 1 << 18
NEGATIVE_START = -4.0
"""Log weight of negative events in AverageByAge before training: they speak against an item."""


class Context(NamedTuple):
    """Query times of each history with search, profile and user id."""

    timestamp: tf.Tensor  # [batch, query_times] int64 seconds
    query_vector: tf.Tensor  # [batch, query_times, text_dim] float32, zero without a search
    profile: dict[str, tf.Tensor]  # user_<column> -> [batch] int64
    user_id: tf.Tensor  # [batch] string


class ItemFeatures(NamedTuple):
    """Inputs of the candidate tower for n items."""

    id_row: tf.Tensor  # [n] int64, 0 for an item without training data
    text_vector: tf.Tensor  # [n, text_dim] float32 by the BERT
    word_vector: tf.Tensor  # [n, word_dim] float32 by tfidf_encoder.py
    category: tf.Tensor  # [n, columns] int64: the levels of the path, then further columns
    brand: tf.Tensor  # [n] int64
    price: tf.Tensor  # [n] int64
    numbers: tf.Tensor | None = None  # [n, width] float32: Catalog.numbers; None without columns


class _Embedding(tf.keras.layers.Embedding):
    """Keras's Embedding; with replicas it reads the rows of the inputs, not the whole table."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return tf.cast(replicas.gather_rows(self.embeddings, inputs), self.compute_dtype)


def _embedding(size: int, dim: int, name: str, stddev: float = 0.02) -> _Embedding:
    return _Embedding(size, dim, embeddings_initializer=tf.keras.initializers.RandomNormal(stddev=stddev), name=name)


class CandidateTower(tf.keras.layers.Layer):
    """Sum of an id embedding and the projections of text, words, numbers and attributes."""

    def __init__(self, catalog: Catalog, config: TowerConfig):
        super().__init__(name="candidate_tower")
        self._config = config
        # Length 1 from the start: an item must resemble itself in a history before any training.
        self._ids = _embedding(int(catalog.id_row.max()) + 1, config.dim, "item_id", config.dim**-0.5)
        self._id_bias = _embedding(int(catalog.id_row.max()) + 1, 1, "item_bias")
        self._text = tf.keras.layers.Dense(config.dim, use_bias=False, name="text")
        self._words = tf.keras.layers.Dense(config.dim, use_bias=False, name="words")
        self._category = _embedding(catalog.category_size, config.dim, "category")
        self._brand = _embedding(catalog.brand_size, config.dim, "brand")
        self._price = _embedding(catalog.price_size, config.dim, "price")
        self._numbers = (
            tf.keras.layers.Dense(config.dim, use_bias=False, name="numbers") if catalog.number_widths else None
        )
        self._content_bias = tf.keras.layers.Dense(1, use_bias=False, name="content_bias")

    def tables(self) -> dict[str, list[tf.Variable]]:
        """Tables by feature, with a row for each index of the feature's vocabulary."""
        return {
            "item_id": [self._ids.embeddings, self._id_bias.embeddings],
            "item_category": [self._category.embeddings],
            "item_brand": [self._brand.embeddings],
        }

    def call(self, items: ItemFeatures, training: bool = False) -> tf.Tensor:
        """Embeddings [n, dim + 1] float32; the last coordinate is the item's bias."""
        has_id = items.id_row > 0
        if training:
            kept = tf.random.uniform(tf.shape(items.id_row)) >= self._config.id_dropout
            has_id = tf.logical_and(has_id, kept)
        has_id = tf.cast(has_id, tf.float32)[:, tf.newaxis]
        has_category = tf.cast(items.category > 0, tf.float32)[:, :, tf.newaxis]
        content = (
            self._text(items.text_vector)
            + self._words(items.word_vector)
            + tf.reduce_sum(self._category(items.category) * has_category, axis=1)
            + self._brand(items.brand)
            + self._price(items.price)
        )
        if self._numbers is not None:
            content += self._numbers(items.numbers)
        vector = content + has_id * self._ids(items.id_row)
        if self._config.cosine:
            vector = tf.math.l2_normalize(vector, axis=-1)
        bias = self._content_bias(content) + has_id * self._id_bias(items.id_row)
        return tf.concat([vector, bias], axis=-1)


class QueryTower(tf.keras.layers.Layer):
    """Self-attention over the history, joined with profile, search and time at each query time."""

    def __init__(self, length: int, profile_sizes: dict[str, int], clock: str, config: TowerConfig):
        super().__init__(name="query_tower")
        self._config, self._clock, self._length = config, clock, length
        dim = config.dim
        self._kind = _embedding(len(EVENT_KINDS) + 1, dim, "kind")
        self._position = _embedding(length + 1, dim, "position")
        self._price = tf.keras.layers.Dense(dim, use_bias=False, name="history_price")
        self._dropout = tf.keras.layers.Dropout(config.dropout)
        self.profile_names = tuple(sorted(profile_sizes))
        self._blocks = [AttentionBlock(config, clock, index) for index in range(config.blocks)]
        self._norm = tf.keras.layers.LayerNormalization(epsilon=1e-6, name="history_norm")
        self._average = AverageByAge()
        self._profile = {name: _embedding(size, dim, name) for name, size in sorted(profile_sizes.items())}
        self._day = _embedding(DAYS_PER_WEEK, dim, "day_of_week") if clock == "utc" else None
        self._gap = _embedding(AGE_BUCKETS + 1, dim, "gap") if clock == "utc" else None
        self._query = tf.keras.layers.Dense(dim, use_bias=False, name="query_text")
        self._user = _embedding(USER_ID_BUCKETS, dim, "user_id") if config.use_user_id else None
        self._hidden = tf.keras.layers.Dense(2 * dim, activation="gelu", name="hidden")
        self._out = tf.keras.layers.Dense(dim, name="out")

    def build(self, _: tf.TensorShape) -> None:
        """Create the state of a user without events."""
        self._start = self.add_weight(name="start", shape=[self._config.dim], initializer="zeros")

    def tables(self) -> dict[str, list[tf.Variable]]:
        """Tables by profile column, with a row for each index of the column's vocabulary."""
        return {name: [embedding.embeddings] for name, embedding in self._profile.items()}

    def call(self, embeddings: tf.Tensor, history: History, context: Context, training: bool = False) -> tf.Tensor:
        """Embeddings [batch, query_times, dim + 1] of the users at each query time.

        `embeddings` [batch, length, dim] are the candidate embeddings of the history. Only events
        with a timestamp strictly before the query time count.
        """
        states = self._history_states(embeddings, history, training)
        state, gap = self._state_before(states, history, context.timestamp)
        situation = self._context(context, gap)
        joined = tf.concat([state, situation], axis=-1)
        vector = state + situation + self._out(self._hidden(joined))
        if self._config.cosine:
            vector = tf.math.l2_normalize(vector, axis=-1)
        return tf.concat([vector, tf.ones_like(vector[..., :1])], axis=-1)

    def _history_states(self, embeddings: tf.Tensor, history: History, training: bool) -> tf.Tensor:
        """[batch, length, dim] state after each event and the others with its timestamp."""
        positions = tf.minimum(tf.range(1, tf.shape(embeddings)[1] + 1), self._length)
        x = (
            embeddings
            + self._kind(history.kind)
            + self._position(positions)
            + self._price(history.price[..., tf.newaxis])
        )
        x = self._dropout(x, training=training)
        bias = attention_bias(history)
        age = age_bucket(history.timestamp[:, :, tf.newaxis] - history.timestamp[:, tf.newaxis, :])
        for block in self._blocks:
            x = block(x, bias, age, training)
        return self._norm(x) + self._average(embeddings, history.kind, bias, age)

    def _state_before(self, states: tf.Tensor, history: History, query_times: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """[batch, query_times, dim] last state before each query time, and its age bucket."""
        earlier = events_before(history, query_times)
        last = tf.maximum(earlier - 1, 0)
        state = tf.gather(states, last, batch_dims=1)
        has_history = (earlier > 0)[..., tf.newaxis]
        age = query_times - tf.gather(history.timestamp, last, batch_dims=1)
        gap = tf.where(earlier > 0, 1 + age_bucket(age), tf.zeros_like(age))
        return tf.where(has_history, state, self._start), tf.minimum(gap, AGE_BUCKETS)

    def _context(self, context: Context, gap: tf.Tensor) -> tf.Tensor:
        """[batch, query_times, dim] sum of the embeddings of search, profile, user id and time."""
        vector = self._query(context.query_vector)
        for name, embedding in self._profile.items():
            vector += embedding(context.profile[name])[:, tf.newaxis]
        if self._user is not None:
            bucket = tf.strings.to_hash_bucket_fast(context.user_id, USER_ID_BUCKETS)
            vector += self._user(bucket)[:, tf.newaxis]
        if self._day is not None and self._gap is not None:
            vector += self._day(day_of_week(context.timestamp)) + self._gap(gap)
        return vector


class AttentionBlock(tf.keras.layers.Layer):
    """Pre-norm self-attention with a learned bias by age, then a feed-forward layer."""

    def __init__(self, config: TowerConfig, clock: str, index: int):
        super().__init__(name=f"block_{index}")
        self._heads, self._clock = config.heads, clock
        self._qkv = tf.keras.layers.Dense(3 * config.dim, use_bias=False, name="qkv")
        self._attention_output = tf.keras.layers.Dense(config.dim, name="attention_output")
        self._ffn_in = tf.keras.layers.Dense(2 * config.dim, activation="gelu", name="ffn_in")
        self._ffn_out = tf.keras.layers.Dense(config.dim, name="ffn_out")
        self._attention_norm = tf.keras.layers.LayerNormalization(epsilon=1e-6, name="attention_norm")
        self._ffn_norm = tf.keras.layers.LayerNormalization(epsilon=1e-6, name="ffn_norm")
        self._dropout = tf.keras.layers.Dropout(config.dropout)

    def build(self, _: tf.TensorShape) -> None:
        """Create the bias by age; data ordered without timestamps has no ages."""
        if self._clock == "utc":
            self._age = self.add_weight(name="age", shape=[self._heads, AGE_BUCKETS], initializer="zeros")

    def call(self, x: tf.Tensor, bias: tf.Tensor, age: tf.Tensor, training: bool = False) -> tf.Tensor:
        """[batch, length, dim] new states of `x` [batch, length, dim].

        `bias` is [batch, 1, length, length], see `attention_bias`; `age` is [batch, length, length]
        in buckets.
        """
        # Queries, keys and values, [batch, heads, length, dim / heads] each.
        q, k, v = [self._split_heads(t) for t in tf.split(self._qkv(self._attention_norm(x)), 3, axis=-1)]
        # Scaled dot products plus the learned bias by age, [batch, heads, length, length].
        scores = tf.matmul(q, k, transpose_b=True) / tf.sqrt(tf.cast(tf.shape(q)[-1], q.dtype))
        if self._clock == "utc":
            scores += tf.transpose(tf.gather(self._age, age, axis=1), [1, 0, 2, 3])
        weights = tf.nn.softmax(scores + tf.cast(bias, scores.dtype))
        # Weighted values of all heads, side by side, and the first residual.
        attended = tf.reshape(tf.transpose(tf.matmul(weights, v), [0, 2, 1, 3]), tf.shape(x))
        x += self._dropout(self._attention_output(attended), training=training)
        # The feed-forward layer, and the second residual.
        return x + self._dropout(self._ffn_out(self._ffn_in(self._ffn_norm(x))), training=training)

    def _split_heads(self, x: tf.Tensor) -> tf.Tensor:
        """[batch, length, dim] -> [batch, heads, length, dim / heads]."""
        shape = tf.shape(x)
        split = tf.reshape(x, [shape[0], shape[1], self._heads, x.shape[-1] // self._heads])
        return tf.transpose(split, [0, 2, 1, 3])


class AverageByAge(tf.keras.layers.Layer):
    """Average of the history's candidate embeddings, weighted by age and kind of the event alone.

    Its inner product with a candidate is a decayed personal frequency, for repeat purchases.
    Attention would have to learn to copy that through its projections.
    """

    def __init__(self) -> None:
        super().__init__(name="average_by_age")

    def build(self, shape: tf.TensorShape) -> None:
        """Create a weight for each age bucket and each kind, and a gain for each dimension."""
        self._log_weight = self.add_weight(name="log_weight", shape=[AGE_BUCKETS], initializer="zeros")
        start = [0.0, *(NEGATIVE_START if kind in NEGATIVE_KINDS else 0.0 for kind in EVENT_KINDS)]
        self._log_kind_weight = self.add_weight(
            name="log_kind_weight", shape=[len(start)], initializer=tf.keras.initializers.Constant(start)
        )
        self._gain = self.add_weight(name="gain", shape=[shape[-1]], initializer=tf.keras.initializers.Constant(4.0))

    def call(self, embeddings: tf.Tensor, kind: tf.Tensor, bias: tf.Tensor, age: tf.Tensor) -> tf.Tensor:
        """[batch, length, dim] averages of `embeddings`.

        `kind` is [batch, length] int64; bias and age are as in AttentionBlock.
        """
        by_kind = tf.gather(self._log_kind_weight, kind)[:, tf.newaxis]
        weights = tf.nn.softmax(tf.gather(self._log_weight, age) + by_kind + bias[:, 0])
        return self._gain * tf.matmul(weights, embeddings)


def attention_bias(history: History) -> tf.Tensor:
    """[batch, 1, length, length] float32: 0 where event i attends to event j, -1e9 where not.

    An event attends to itself, to events with its timestamp and to older ones: only later query
    times use its state.
    """
    not_later = history.timestamp[:, tf.newaxis, :] <= history.timestamp[:, :, tf.newaxis]
    allowed = tf.logical_and(not_later, history.valid[:, tf.newaxis, :])
    return tf.where(allowed, 0.0, -1e9)[:, tf.newaxis]


def events_before(history: History, query_times: tf.Tensor) -> tf.Tensor:
    """[batch, query_times] int64 number of events strictly before each query time."""
    later = np.iinfo(np.int64).max
    times = tf.where(history.valid, history.timestamp, later)
    return tf.searchsorted(times, query_times, side="left", out_type=tf.int64)


def age_bucket(seconds: tf.Tensor) -> tf.Tensor:
    """int64 in [0, AGE_BUCKETS): half octave of an age; 0 for a future event, which is masked."""
    log = 2.0 * tf.math.log1p(tf.cast(tf.maximum(seconds, 0), tf.float32)) / np.log(2.0)
    return tf.minimum(tf.cast(log, tf.int64), AGE_BUCKETS - 1)
