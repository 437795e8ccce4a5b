"""Training speed without BERT fine-tuning: predicted events per second of TwoTower.train_step.

The data is generated: 68,000 items of 20,000 texts, popularity by Zipf's law, histories of 50
events, all of them targets. The comparison is the same model with Keras's own Adam.

    python benchmarks/training.py [--steps 60] [--length 50] [--batch 32]
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfrec.config import Config, ExamplesConfig, FeaturesConfig, TowerConfig, TrainConfig
from tfrec.examples.batches import Batch
from tfrec.examples.catalog import Catalog
from tfrec.examples.dataset import without_autotune
from tfrec.language.text_encoder import vocabulary
from tfrec.retrieval.two_tower import TwoTower
from tfrec.training.lazy_adam import LazyAdam

ITEMS, TEXTS, TEXT_DIM = 68_000, 20_000, 384


def main() -> None:
    """Measure, print a table and write out/benchmarks/training.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--length", type=int, default=50)
    parser.add_argument("--batch", type=int, default=32)
    options = parser.parse_args()
    model = build_model(options.length, options.batch)
    data = make_batches(model, options.batch, options.length)
    optimizers = {
        "tfrec": LazyAdam(1e-3),
        "tfrec with Keras's Adam": tf.keras.optimizers.Adam(1e-3, jit_compile=False),
    }
    result = {name: measure_speed(model, optimizer, data, options.steps) for name, optimizer in optimizers.items()}
    print(f"{os.cpu_count()} cores, {options.batch} histories of {options.length} events a step, {ITEMS:,} items")
    for name, events in result.items():
        print(f"{name:<26} {events:>10,.0f} predicted events/s")
    path = Path("out/benchmarks/training.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(vars(options) | {"cores": os.cpu_count(), "events_per_second": result}, indent=2))


def build_model(length: int, batch: int, items: int = ITEMS, texts: int = TEXTS) -> TwoTower:
    """Build a model with random text vectors; its BERT is tiny, because it does not run."""
    rng = np.random.default_rng(0)
    config = Config(
        examples=ExamplesConfig(max_events=length, stride=length),
        features=FeaturesConfig(vocabulary=vocabulary("", "")[0]),
        towers=TowerConfig(random_bert=True),
        train=TrainConfig(batch_size=batch),
    )
    ids = np.array([b""] + [b"item-%d" % row for row in range(items)], object)
    catalog = Catalog(
        item_ids=ids,
        titles=ids,
        text_row=np.append(0, rng.integers(1, texts, items)),
        tokens=rng.integers(1000, 20_000, (texts, 12)),
        category=rng.integers(0, 300, (items + 1, 3)),
        category_path=np.full(items + 1, b"", object),
        brand=rng.integers(0, 100, items + 1),
        price=rng.integers(0, 11, items + 1),
        frequency=np.append(0, (1e5 / np.arange(1, items + 1)).astype(np.int64) + 1),
        queries=np.array([], object),
        query_row=np.array([], np.int64),
        category_size=300,
        brand_size=100,
        price_size=11,
        profile_sizes={},
    )
    model = TwoTower(catalog, config)
    model.texts.text_vectors = tf.Variable(rng.normal(size=(texts, TEXT_DIM)).astype(np.float32), trainable=False)
    model.candidate_tower._text = tf.keras.layers.Dense(config.towers.dim, use_bias=False)
    model.query_tower._query = tf.keras.layers.Dense(config.towers.dim, use_bias=False)
    return model


def make_batches(model: TwoTower, batch: int, length: int, count: int = 16) -> tf.data.Dataset:
    """Repeat `count` batches endlessly: Zipf-distributed items, rising timestamps."""
    rng = np.random.default_rng(1)
    generated: list[Batch] = []
    for _ in range(count):
        rows = np.minimum(rng.zipf(1.2, (batch, length)), model.rows - 1)
        generated.append(
            {
                "event_item_id": tf.constant(np.char.add(b"item-", rows.astype("S"))),
                "event_kind": tf.fill([batch, length], tf.constant(4, tf.int64)),
                "event_timestamp": tf.constant(np.cumsum(rng.integers(1, 10**5, (batch, length)), axis=1)),
                "event_price": tf.zeros([batch, length]),
                "event_query": tf.fill([batch, length], ""),
                "event_is_target": tf.ones([batch, length], tf.int64),
                "user_id": tf.fill([batch], "u"),
            }
        )
    stacked = {name: tf.stack([one[name] for one in generated]) for name in generated[0]}
    return without_autotune(tf.data.Dataset.from_tensor_slices(stacked).cache().repeat())


def measure_speed(
    model: TwoTower, optimizer: tf.keras.optimizers.Optimizer, data: tf.data.Dataset, steps: int
) -> float:
    """Measure predicted events per second, after 5 steps of warm-up."""
    model.compile(optimizer=optimizer)
    model.fit(data, steps_per_epoch=5, epochs=1, verbose=0)
    started = time.perf_counter()
    model.fit(data, steps_per_epoch=steps, epochs=1, verbose=0)
    events = steps * model.config.train.batch_size * model.config.examples.max_events
    return events / (time.perf_counter() - started)


if __name__ == "__main__":
    main()
