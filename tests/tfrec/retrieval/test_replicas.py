"""Replicas have the losses and gradients of one model, tested on logical CPUs in a subprocess."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from tfrec.retrieval import replicas

PROGRAM = """
import json, sys
import tfrec
import tensorflow as tf
(cpu,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from tfrec.config import config_from_json
from tfrec.examples.dataset import load_catalog, parts_of_sequences, sequences
from tfrec.examples.preprocessing import Transformed
from tfrec.retrieval.two_tower import TwoTower
from tfrec.training.lazy_adam import LazyAdam

files, graph, config, batch_size = json.load(sys.stdin)
config = config_from_json(config)
catalog = load_catalog(files["catalog"], files["train"], Transformed(graph), config.features)
columns = config.features.profile_columns
STEPS = 4


class SameNegatives(TwoTower):
    "The model of one process with the negatives that replicas draw together."

    def draw_negatives(self):
        seed = tf.stack([tf.constant(config.train.seed, tf.int64), self.optimizer.iterations])
        return tf.random.stateless_uniform([self.uniform_negatives], seed, 1, self.rows, tf.int64)


class PlainSteps(LazyAdam):
    "LazyAdam's aggregation of gradients, then steps of SGD: a step is no larger than its gradient."

    def update_step(self, gradient, variable):
        if isinstance(gradient, tf.IndexedSlices):
            variable.scatter_sub(tf.IndexedSlices(self.learning_rate * gradient.values, gradient.indices))
        else:
            variable.assign_sub(self.learning_rate * gradient)


class Losses(tf.keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs):
        steps.append({"loss": float(logs["loss"]), "targets": float(logs["targets"])})


results = []
for strategy in (tf.distribute.get_strategy(), tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])):
    is_alone = strategy.num_replicas_in_sync == 1
    tf.keras.utils.set_random_seed(7)
    with strategy.scope():
        model = (SameNegatives if is_alone else TwoTower)(catalog, config)
    model.texts.encode_texts()
    model.texts.fit_words()
    model.texts.set_live(True)
    before = [weight.numpy() for weight in model.trainable_weights]
    with strategy.scope():
        model.compile(optimizer=PlainSteps(0.003))
    if is_alone:
        data = sequences(files["train"], columns, batch_size, 3).repeat().take(STEPS)
    else:
        data = strategy.distribute_datasets_from_function(
            parts_of_sequences(files["train"], columns, batch_size, 3, 0)
        )
    steps = []
    model.fit(data, steps_per_epoch=STEPS, verbose=0, callbacks=[Losses()])
    moves = [(weight.numpy() - was).tolist() for weight, was in zip(model.trainable_weights, before)]
    evaluated = model.evaluate(data, steps=1, verbose=0, return_dict=True)["loss"]
    results.append({"evaluated": evaluated, "steps": steps, "moves": moves})
print(json.dumps(results))
"""


@pytest.fixture(scope="module")
def alone_and_together(transformed_shop) -> tuple[dict, dict]:
    """Losses and moves of the weights in some steps, of one model and of two replicas.

    The BERT is live, so that its gradient too has to be summed over replicas. The batch is odd, and
    the last one of the shop is smaller: replicas have different numbers of targets, one of them
    none.
    """
    shop = transformed_shop.config
    config = dataclasses.replace(
        shop,
        towers=dataclasses.replace(shop.towers, text_mode="full"),
        train=dataclasses.replace(
            shop.train,
            mask_positives="repeat",
            recency_half_life_days=1.0,
            repeat_weight=0.3,
            query_from_title=0.0,
            text_negatives=7,
        ),
    )
    task = json.dumps([transformed_shop.files, transformed_shop.folder, config.to_json(), 3])
    done = subprocess.run([sys.executable, "-c", PROGRAM], input=task, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return tuple(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.slow
def test_the_loss_of_replicas_is_that_of_one_model_over_the_whole_batch(alone_and_together):
    alone, together = (result["steps"] for result in alone_and_together)
    np.testing.assert_allclose([step["loss"] for step in together], [step["loss"] for step in alone], rtol=1e-4)
    assert [step["targets"] for step in together] == [step["targets"] for step in alone]
    assert len({step["targets"] for step in alone}) > 1  # batches of different sizes


@pytest.mark.slow
def test_the_evaluated_loss_of_replicas_is_that_of_one_model(alone_and_together):
    alone, together = (result["evaluated"] for result in alone_and_together)
    np.testing.assert_allclose(together, alone, rtol=1e-3)


@pytest.mark.slow
def test_replicas_move_each_weight_as_one_model_does(alone_and_together):
    alone, together = (result["moves"] for result in alone_and_together)
    assert len(together) == len(alone) > 20
    for move, expected in zip(together, alone, strict=True):
        # Relative to the largest move of the weight; a smaller move than 1e-6 is rounding noise.
        tolerance = 0.01 * np.abs(expected).max() + 1e-6
        np.testing.assert_allclose(move, expected, rtol=0, atol=tolerance)
    assert sum(np.abs(move).max() > 1e-4 for move in alone) > 20


def operations(replica_fn) -> set[str]:
    """Types of the operations that a replica runs."""
    strategy = tf.distribute.get_strategy()
    return {
        op.type for op in tf.function(lambda: strategy.run(replica_fn)).get_concrete_function().graph.get_operations()
    }


def test_a_replica_reads_only_the_gathered_rows_of_a_table():
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        table = tf.Variable(tf.zeros([9, 2]))
        assert "ReadVariableOp" in operations(lambda: tf.gather(table, [3, 3]))  # 2.5 GB a step of ten million items
        assert "ResourceGather" in operations(lambda: replicas.gather_rows(table, [3, 3]))
        assert "ReadVariableOp" not in operations(lambda: replicas.gather_rows(table, [3, 3]))
        assert replicas.gather_rows(table, [3, 3]).shape == (2, 2)  # between steps, too


@pytest.mark.parametrize("number", [0, 1, 2**22 - 1, 2**22, 2**24 + 1, 2**33 + 3, 2**45, -1, -(2**33) - 3])
def test_an_int64_survives_its_encoding_as_floats(number):
    def there_and_back():
        values, numbers = replicas.gather_all_rows(tf.constant([[0.5], [0.25]]), tf.constant([number, 7], tf.int64))
        return values, numbers, replicas.max_all(tf.constant(number, tf.int64))

    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    values, numbers, largest = strategy.run(tf.function(there_and_back))
    assert (values.numpy().tolist(), numbers.numpy().tolist()) == ([[0.5], [0.25]], [number, 7])
    assert largest == number
