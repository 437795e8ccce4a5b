"""TFRS and KerasHub as their tutorials write it, against tfrec: CPU minutes to the same score.

    python benchmarks/naive.py --folder FOLDER [--users 1500] [--budget 12] [--rate 1e-4]

Data: a sample of the users of Amazon Beauty and the items that they rated; FOLDER holds the two
Parquet files of benchmarks/quality.py. Both models learn from the same training events, each user's
but the last two, and are scored on each user's validation event: NDCG@20, every item of the sample
ranked, items of the history masked. The test event is not used. Both run in this process, one after
the other, on all cores.

- tfrec: preset `discovery` without its second stage, two epochs. Its CPU time is all of training:
  encoding the titles, TF-IDF, both epochs and the validation between them.
- Naive: the query tower is an embedding and a GRU over the last 10 items, as in the tutorial
  "Recommending movies: retrieval using a sequential model". The candidate tower is the BERT of
  the title and a dense layer. `tfrs.tasks.Retrieval` with its defaults, each event an example
  whose title goes through the BERT with its gradient, one Adam for all weights, plain `fit`. Its
  CPU time is that of `fit` alone. It is scored every 20 steps, until it reaches tfrec's score or
  has taken `--budget` times tfrec's CPU time.

With the defaults it takes about 10 minutes on 2 cores. Where the naive model does not reach the
score, the ratio is a lower bound. Writes out/benchmarks/naive.json.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import pipeline  # noqa: F401  # isort: skip  sets the Keras version

import numpy as np
import pandas as pd
import scipy.sparse as sp

from benchmarks import quality
from benchmarks.harness import model_variants  # before TensorFlow: TFX after it crashes
from pipeline.configuration import named_run
from pipeline.outcome import latest_artifact
from pipeline.resolved_run import resolve
from pipeline.runs import Run

import tensorflow as tf  # isort: skip
import tensorflow_recommenders as tfrs  # isort: skip

from tfrec import metrics
from tfrec.config import FeaturesConfig, TowerConfig
from tfrec.console import log
from tfrec.examples.batches import history_only, query_times_of
from tfrec.examples.build import SPLITS
from tfrec.examples.catalog import Catalog
from tfrec.examples.dataset import load_catalog, sequences, without_autotune
from tfrec.examples.preprocessing import Transformed
from tfrec.language.catalog_encoder import pool_all
from tfrec.language.text_encoder import TextEncoder
from tfrec.training.train import TrainingJob, fit

HISTORY, DIM, BATCH = 10, 64, 128
STEPS_BETWEEN_SCORES = 20
EPOCHS = 2  # of tfrec

Scorer = Callable[[dict[str, tf.Tensor]], np.ndarray]
"""Batch of whole sequences -> [users, rows] scores as of the first target."""


def main() -> None:
    """Train both, print a table and write out/benchmarks/naive.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", required=True, help="folder of Amazon Beauty's two Parquet files")
    parser.add_argument("--users", type=int, default=1500, help="users of the sample")
    parser.add_argument("--budget", type=float, default=12.0, help="most CPU time of the naive model, in that of tfrec")
    parser.add_argument("--rate", type=float, default=1e-4, help="learning rate of the naive model")
    options = parser.parse_args()
    home = Path("out/naive") / str(options.users)
    job = prepare(sample(options.folder, options.users, home / "files"), home)
    catalog = load_catalog(job.catalog_files, job.train_files, job.transformed, job.config.features)
    score, minutes = train_tfrec(job, catalog)
    log(f"tfrec: NDCG@20 {score:.4f} after {minutes:.2f} CPU minutes")
    curve = train_naive(job, catalog, options.rate, score, options.budget * minutes)
    best, naive_minutes = max(value for _, value in curve), curve[-1][0]
    is_reached = best >= score
    ratio = naive_minutes / minutes
    print(f"{options.users} users, {catalog.rows - 1} items, {os.cpu_count()} cores\n")
    print("|  | NDCG@20 | CPU minutes |\n| --- | --- | --- |")
    print(f"| tfrec | {score:.4f} | {minutes:.2f} |\n| naive | {best:.4f} | {naive_minutes:.2f} |\n")
    print(f"ratio to the same score: {'' if is_reached else 'more than '}{ratio:.1f}")
    result = {
        "users": options.users,
        "rate": options.rate,
        "tfrec": [minutes, score],
        "naive": curve,
        "ratio": ratio,
        "reached": is_reached,
    }
    path = Path("out/benchmarks/naive.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=2))


def sample(folder: str, users: int, target: Path) -> Path:
    """Write the files of a sample of users and their items, and return their folder."""
    target.mkdir(parents=True, exist_ok=True)
    interactions = pd.read_parquet(Path(folder) / "interactions.parquet")
    kept = interactions.user_id.drop_duplicates().sample(users, random_state=7)
    interactions = interactions[interactions.user_id.isin(kept)]
    items = pd.read_parquet(Path(folder) / "items.parquet")
    interactions.to_parquet(target / "interactions.parquet")
    items[items.item_id.isin(interactions.item_id)].to_parquet(target / "items.parquet")
    return target


def prepare(files: Path, home: Path) -> TrainingJob:
    """Ingest the sample and run the pipeline up to Transform, unless its results exist."""
    tables = quality.ingest("amazon-beauty", quality.DATASETS["amazon-beauty"], str(files), home)
    config = named_run("discovery").config
    run = Run("naive", config=config, tables=str(tables), out=str(home))
    model_variants.prepare(run)
    examples = latest_artifact(run, "Transform", "transformed_examples")
    paths = {split: sorted(map(str, examples.glob(f"Split-{split}/*"))) for split in SPLITS}
    config = resolve(run).config
    work = home / f"work-{os.getpid()}"
    return TrainingJob(
        train_files=paths["train"],
        validation_files=paths["validation"],
        catalog_files=paths["catalog"],
        transformed=Transformed(str(latest_artifact(run, "Transform", "transform_graph"))),
        config=dataclasses.replace(config, train=dataclasses.replace(config.train, epochs=EPOCHS)),
        checkpoint_dir=str(work / "checkpoints"),
        log_dir=str(work / "logs"),
    )


def train_tfrec(job: TrainingJob, catalog: Catalog) -> tuple[float, float]:
    """Validation score of the towers and the CPU minutes of their training."""
    started = time.process_time()
    model = fit(job, catalog).model
    minutes = (time.process_time() - started) / 60
    candidates = model.all_candidates()

    def scores(batch: dict[str, tf.Tensor]) -> np.ndarray:
        query_times = query_times_of(batch, None)[:, tf.newaxis]
        no_search = tf.zeros([tf.shape(query_times)[0], 1, model.texts.dim])
        queries = model.query(history_only(batch), query_times, no_search)[:, 0]
        return np.array(tf.matmul(queries, candidates, transpose_b=True))

    return ndcg(scores, job, catalog), minutes


def ndcg(scorer: Scorer, job: TrainingJob, catalog: Catalog) -> float:
    """Mean NDCG@20 of the validation events over users, items of the history masked."""
    row_of = pd.Index(catalog.item_ids)
    values = []
    for batch in sequences(job.validation_files, (), BATCH):
        scores = scorer(batch)
        scores[:, 0] = -np.inf
        rows = rows_of(batch, row_of)
        is_target = batch["event_is_target"].numpy() > 0
        np.put_along_axis(scores, np.where(is_target, 0, rows), -np.inf, axis=1)
        users, _ = np.nonzero(is_target)
        labels = sp.csr_matrix((np.ones(len(users)), (users, rows[is_target])), scores.shape)
        values.append(metrics.ndcg_of_scores(scores, labels, 20))
    return float(np.concatenate(values).mean())


def rows_of(batch: Mapping[str, tf.Tensor], row_of: pd.Index) -> np.ndarray:
    """[users, length] catalog rows of the events, 0 for padding and unknown items."""
    ids = np.asarray(batch["event_item_id"])
    return np.maximum(row_of.get_indexer(pd.Index(ids.ravel())), 0).reshape(ids.shape)


class NaiveModel(tfrs.Model):
    """The two towers of the tutorials."""

    def __init__(self, catalog: Catalog, features: FeaturesConfig):
        super().__init__()
        self.history_tower = tf.keras.Sequential(
            [tf.keras.layers.Embedding(catalog.rows, DIM), tf.keras.layers.GRU(DIM)]
        )
        self.bert = TextEncoder(features, TowerConfig(text_mode="full"))
        self.projection = tf.keras.layers.Dense(DIM)
        self.task = tfrs.tasks.Retrieval()

    def compute_loss(self, batch: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """In-batch softmax of the next item."""
        items = self.projection(self.bert(batch["title"], training=training))
        return self.task(self.history_tower(batch["history"]), items, compute_metrics=False)


def train_naive(
    job: TrainingJob, catalog: Catalog, rate: float, target: float, most_minutes: float
) -> list[tuple[float, float]]:
    """CPU minutes and validation score, until the score is `target` or the minutes are spent."""
    tf.keras.utils.set_random_seed(job.config.train.seed)
    history, item = naive_examples(sequences(job.train_files, (), BATCH), catalog.item_ids)
    examples = {"history": history, "title": catalog.tokens[catalog.text_row[item]]}
    data = tf.data.Dataset.from_tensor_slices(examples).shuffle(len(item)).repeat().batch(BATCH)
    model = NaiveModel(catalog, job.config.features)
    model.compile(optimizer=tf.keras.optimizers.Adam(rate))
    batches = iter(without_autotune(data))
    minutes, curve = 0.0, []
    while minutes < most_minutes:
        started = time.process_time()
        model.fit(batches, steps_per_epoch=STEPS_BETWEEN_SCORES, verbose=0)
        minutes += (time.process_time() - started) / 60
        score = ndcg(naive_scorer(model, catalog), job, catalog)
        log(f"naive: NDCG@20 {score:.4f} after {minutes:.2f} CPU minutes")
        curve.append((minutes, score))
        if score >= target:
            break
    return curve


def naive_examples(
    batches: Iterable[Mapping[str, tf.Tensor]], item_ids: Sequence[bytes] | np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the items before each target, [n, HISTORY] padded in front, and of the target [n]."""
    row_of = pd.Index(item_ids)
    histories, items = [], []
    for batch in batches:
        rows = rows_of(batch, row_of)
        is_target = (np.asarray(batch["event_is_target"]) > 0) & (rows > 0)
        padded = np.pad(rows, [(0, 0), (HISTORY, 0)])
        for user, position in zip(*np.nonzero(is_target), strict=True):
            histories.append(padded[user, position : position + HISTORY])
            items.append(rows[user, position])
    return np.array(histories), np.array(items)


def naive_scorer(model: NaiveModel, catalog: Catalog) -> Scorer:
    """The scores of the naive model with its weights as they are."""
    row_of = pd.Index(catalog.item_ids)
    items = model.projection(model.bert.normalize(pool_all(model.bert, catalog.tokens)))
    items = tf.gather(items, catalog.text_row)

    def scores(batch: dict[str, tf.Tensor]) -> np.ndarray:
        rows = rows_of(history_only(batch), row_of)
        length = (rows > 0).sum(axis=1)
        padded = np.pad(rows, [(0, 0), (HISTORY, 0)])
        histories = np.stack([row[count : count + HISTORY] for row, count in zip(padded, length, strict=True)])
        return np.array(tf.matmul(model.history_tower(histories), items, transpose_b=True))

    return scores


if __name__ == "__main__":
    main()
