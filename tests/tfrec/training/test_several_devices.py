"""Two devices of one machine: a mirrored strategy on two logical CPUs, in a subprocess."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys

import pytest

WORKER = """
import json, sys
import tfrec
import tensorflow as tf
(cpu,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from tfrec.training import train
from tfrec.config import config_from_json
from tfrec.examples.preprocessing import Transformed
train.gpus = lambda: [cpu, cpu]  # the strategy over these devices is TensorFlow's own
files, graph, config, folder = json.load(sys.stdin)
config = config_from_json(config)
trained = train.train(train.TrainingJob(*files, Transformed(graph), config, folder + "/checkpoints", folder + "/logs"))
model = trained.model
print(json.dumps({
    "replicas": model.distribute_strategy.num_replicas_in_sync,
    "of the bert": sorted({weight.name.split("/")[0] for weight in model.texts.encoder.trainable_weights}),
    "score": trained.validation_ndcg,
}))
"""


@pytest.mark.slow
def test_a_model_and_the_trainable_layers_of_its_bert_train_on_two_devices(transformed_shop, tmp_path):
    config = dataclasses.replace(
        transformed_shop.config,
        towers=dataclasses.replace(transformed_shop.config.towers, text_mode="top", text_layers=1),
        train=dataclasses.replace(transformed_shop.config.train, epochs=2, text_steps=2, text_pair_steps=2),
    )
    files = [transformed_shop.files[split] for split in ("train", "validation", "catalog")]
    task = json.dumps([files, transformed_shop.folder, config.to_json(), str(tmp_path)])
    done = subprocess.run([sys.executable, "-c", WORKER], input=task, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "tfrec: text pairs: mean loss" in done.stdout
    assert "tfrec: towers epoch 2:" in done.stdout
    assert "tfrec: text epoch 1:" in done.stdout
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["replicas"] == 2
    assert result["of the bert"] == ["transformer_layer_1"]
    assert 0 <= result["score"] <= 1
