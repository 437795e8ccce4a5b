"""What training by two workers costs: two processes on loopback and one, at the same global batch, in turns.

    python benchmarks/workers.py [--rounds 3] [--steps 40] [--batches 32 64 128]

The model and its data are those of benchmarks/training.py. The two share the cores that one has for itself, so two
can't be faster here: what they lose are the messages of a step, and the work that both do. Run on CPUs; what several
GPUs gain was never measured. Prints a table and writes out/benchmarks/workers.json.
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
    """Measures, prints and writes; with --join it is one of the workers that are measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--batches", type=int, nargs="+", default=[32, 64, 128])
    parser.add_argument("--join", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.join:
        worker = join_workers(options.join) if options.join > 1 else Worker(tf.distribute.get_strategy())
        print(speed(worker, options.batches[0], options.steps))
        return
    print(f"{os.cpu_count()} cores, histories of {LENGTH} events, median of {options.rounds}")
    print(f"{'histories a step':<18}{'workers':>8}{'predicted events/s':>20}{'of one':>8}")
    results = [compared(batch, options.steps, options.rounds) for batch in options.batches]
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps({"steps": options.steps, "cores": os.cpu_count(), "batches": results}, indent=2))


def compared(batch: int, steps: int, rounds: int) -> dict[str, Any]:
    """One worker and two in turns, at the same global batch; prints a row for each."""
    rates: dict[int, list[float]] = {number: [] for number in NUMBERS}
    for _ in range(rounds):
        for number in NUMBERS:
            rates[number].append(measured(number, batch, steps))
    middle = {number: statistics.median(of) for number, of in rates.items()}
    for number, rate in middle.items():
        print(f"{batch:<18}{number:>8}{rate:>20,.0f}{rate / middle[1]:>8.2f}", flush=True)
    return {"batch": batch, "events_per_second": rates, "of_one": middle[2] / middle[1]}


def measured(number: int, batch: int, steps: int) -> float:
    """Predicted events per second of so many workers; one alone runs without any strategy's messages."""
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
    said = [child.communicate()[0] for child in children]
    return float(said[0].splitlines()[-1])


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def speed(worker: Worker, batch: int, steps: int) -> float:
    """Predicted events per second of all workers, after some steps of warm-up."""
    with worker.strategy.scope():
        model = training.build(LENGTH, batch)
        model.compile(optimizer=LazyAdam(1e-3))
    whole = training.batches(model, batch, LENGTH)
    own = batch // worker.count

    def part(of: Batch) -> Batch:
        return {name: value[worker.number * own : (worker.number + 1) * own] for name, value in of.items()}

    data = worker.strategy.distribute_datasets_from_function(lambda _: whole.map(part).prefetch(2))
    query_times: list[float] = []
    told = tf.keras.callbacks.LambdaCallback(on_batch_end=lambda batch, logs: query_times.append(time.perf_counter()))
    # Of steps alone: a distributed data set's tuner may keep `fit` after the last one (tfrec.examples.dataset.untuned).
    model.fit(data, steps_per_epoch=WARM_UP + steps, epochs=1, verbose=0, callbacks=[told])
    return steps * own * worker.count * LENGTH / (query_times[-1] - query_times[WARM_UP - 1])


if __name__ == "__main__":
    main()
