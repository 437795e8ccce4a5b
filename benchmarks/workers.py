"""Cost of training with two workers: two processes on loopback and one, at the same global batch.

    python benchmarks/workers.py [--rounds 3] [--steps 40] [--batches 32 64 128]

Model and data are those of benchmarks/training.py. Both workers together have the cores that the
single one has, so two can't be faster here: the difference is the cost of a step's messages and of
duplicate work. It runs on CPUs; the gain of several GPUs is not measured. Prints a table and writes
out/benchmarks/workers.json.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import tensorflow as tf

from benchmarks import training
from tfrec.examples.batches import Batch
from tfrec.training.lazy_adam import LazyAdam
from tfrec.training.workers import Worker, join_workers

OUT = Path("out/benchmarks/workers.json")
LENGTH, WARM_UP = 50, 5
NUMBERS = (1, 2)


def main() -> None:
    """Measure, print a table and write JSON; with --join, be one of the measured workers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--batches", type=int, nargs="+", default=[32, 64, 128])
    parser.add_argument("--join", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.join:
        worker = join_workers(options.join) if options.join > 1 else Worker(tf.distribute.get_strategy())
        print(measure_speed(worker, options.batches[0], options.steps))
        return
    print(f"{os.cpu_count()} cores, histories of {LENGTH} events, median of {options.rounds}")
    print(f"{'histories a step':<18}{'workers':>8}{'predicted events/s':>20}{'of one':>8}")
    results = [compare(batch, options.steps, options.rounds) for batch in options.batches]
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps({"steps": options.steps, "cores": os.cpu_count(), "batches": results}, indent=2))


def compare(batch: int, steps: int, rounds: int) -> dict[str, Any]:
    """Measure one worker and two in turns, at the same global batch; print a row for each."""
    rates: dict[int, list[float]] = {number: [] for number in NUMBERS}
    for _ in range(rounds):
        for number in NUMBERS:
            rates[number].append(measure_workers(number, batch, steps))
    medians = {number: statistics.median(each) for number, each in rates.items()}
    for number, rate in medians.items():
        print(f"{batch:<18}{number:>8}{rate:>20,.0f}{rate / medians[1]:>8.2f}", flush=True)
    return {"batch": batch, "events_per_second": rates, "of_one": medians[2] / medians[1]}


def measure_workers(number: int, batch: int, steps: int) -> float:
    """Measure predicted events per second of `number` workers; one alone has no strategy."""
    ports = [free_port() for _ in range(number)]
    cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
    flags = [f"--steps={steps}", f"--batches={batch}", f"--join={number}"]
    children = [
        subprocess.Popen(
            [sys.executable, __file__, *flags],
            env=os.environ
            | {"TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}})},
            stdout=subprocess.PIPE,
            text=True,
        )
        for index in range(number)
    ]
    outputs = [child.communicate()[0] for child in children]
    return float(outputs[0].splitlines()[-1])


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def measure_speed(worker: Worker, batch: int, steps: int) -> float:
    """Measure predicted events per second of all workers, after WARM_UP steps."""
    with worker.strategy.scope():
        model = training.build_model(LENGTH, batch)
        model.compile(optimizer=LazyAdam(1e-3))
    batches = training.make_batches(model, batch, LENGTH)
    share = batch // worker.count

    def take_share(whole: Batch) -> Batch:
        return {name: value[worker.number * share : (worker.number + 1) * share] for name, value in whole.items()}

    data = worker.strategy.distribute_datasets_from_function(lambda _: batches.map(take_share).prefetch(2))
    step_times: list[float] = []
    record_time = tf.keras.callbacks.LambdaCallback(
        on_batch_end=lambda batch, logs: step_times.append(time.perf_counter())
    )
    # Steps alone are timed: the tuner of a distributed data set may delay the end of `fit`
    # (tfrec.examples.dataset.without_autotune).
    model.fit(data, steps_per_epoch=WARM_UP + steps, epochs=1, verbose=0, callbacks=[record_time])
    return steps * share * worker.count * LENGTH / (step_times[-1] - step_times[WARM_UP - 1])


if __name__ == "__main__":
    main()
