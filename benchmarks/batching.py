"""What merging requests costs and gives: the embedded server with and without batching, in turns, on one machine.

    python benchmarks/batching.py [--rounds 5] [--seconds 2]

The model is as light as a recommender can be: a history's mean against 10,000 items, the best 20 of them. Clients
share the machine with the server, as fast as they get answers. Prints a table and writes out/benchmarks/batching.json.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import grpc
import numpy as np
import psutil
import tensorflow as tf

from serving.wire.protos import PredictRequest
from serving.wire.tensors import to_proto

OUT = Path("out/benchmarks/batching.json")
IN_FLIGHT = (1, 8, 32)
SERVERS = {
    "without": [],
    "shipped": ["--enable_batching", "--batching_parameters_file=serving/batching.config"],
    "no timeout": ["--enable_batching"],
}
METHOD = "/tensorflow.serving.PredictionService/Predict"


class Mean(tf.Module):
    """Scores every item by the mean of a history's embeddings."""

    def __init__(self) -> None:
        super().__init__()
        self.items = tf.Variable(np.random.default_rng(0).normal(size=(10_000, 64)).astype(np.float32))

    @tf.function(input_signature=[tf.TensorSpec((None, 30), tf.int64, "history")])
    def recommend(self, history: tf.Tensor) -> dict[str, tf.Tensor]:
        """[batch, 20] rows of items and their scores."""
        query = tf.reduce_mean(tf.gather(self.items, history), axis=1)
        scores, rows = tf.math.top_k(tf.matmul(query, self.items, transpose_b=True), 20)
        return {"score": scores, "row": rows}


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as base:
        model = Mean()
        tf.saved_model.save(model, f"{base}/1", signatures={"serving_default": model.recommend})
        servers = {name: start(base, flags) for name, flags in SERVERS.items()}
        try:
            result = measured({name: (port(server), server.pid) for name, server in servers.items()}, options)
        finally:
            for server in servers.values():
                server.terminate()
                server.wait()
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(result, indent=2))


def start(base: str, flags: list[str]) -> subprocess.Popen[str]:
    """A server on any free port."""
    command = [sys.executable, "-m", "serving.server", "--model_name=mean", f"--model_base_path={base}"]
    return subprocess.Popen([*command, "--port=0", "--rest_api_port=0", *flags], stdout=subprocess.PIPE, text=True)


def port(server: subprocess.Popen[str]) -> int:
    """Where a server listens, once it does."""
    running = next(iter(server.stdout or ()))  # "Running gRPC ModelServer at 127.0.0.1:8500 ..."
    return int(running.split()[4].rpartition(":")[2])


def measured(servers: dict[str, tuple[int, int]], options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """The median over rounds of each figure, by server and requests in flight; each round asks every server."""
    result = {}
    print(f"{'in flight':>9} {'batching':<12}{'requests/s':>11}{'p50 ms':>9}{'p99 ms':>9}{'CPU us/request':>16}")
    for in_flight in IN_FLIGHT:
        rounds: dict[str, list[dict[str, float]]] = {name: [] for name in servers}
        for _ in range(options.rounds):
            for name, (at, pid) in servers.items():
                rounds[name].append(one_round(at, pid, in_flight, options.seconds))
        for name, figures in rounds.items():
            median = {key: float(np.median([figure[key] for figure in figures])) for key in figures[0]}
            result[f"{name}, {in_flight} in flight"] = median
            rate, p50, p99, cpu = median.values()
            print(f"{in_flight:>9} {name:<12}{rate:>11.0f}{p50:>9.2f}{p99:>9.2f}{cpu:>16.0f}", flush=True)
    return result


def one_round(at: int, pid: int, in_flight: int, seconds: float) -> dict[str, float]:
    """Figures of some seconds of closed-loop load."""
    process = psutil.Process(pid)
    before = sum(process.cpu_times()[:2])
    milliseconds = 1000 * np.array(asyncio.run(load(at, in_flight, seconds)))
    cpu = sum(process.cpu_times()[:2]) - before
    p50, p99 = np.percentile(milliseconds, (50, 99)).tolist()
    rate = len(milliseconds) / seconds
    return {"requests_per_second": rate, "p50_ms": p50, "p99_ms": p99, "cpu_us": 1e6 * cpu / len(milliseconds)}


async def load(at: int, in_flight: int, seconds: float) -> list[float]:
    """Seconds that each answer took; any error ends the benchmark."""
    request = PredictRequest()
    request.model_spec.name = "mean"
    request.inputs["history"].CopyFrom(to_proto(np.arange(30, dtype=np.int64)[None]))
    body, taken, stop = request.SerializeToString(), [], time.perf_counter() + seconds
    async with grpc.aio.insecure_channel(f"127.0.0.1:{at}") as channel:
        predict = channel.unary_unary(METHOD)

        async def ask() -> None:
            while (began := time.perf_counter()) < stop:
                await predict(body)
                taken.append(time.perf_counter() - began)

        await asyncio.gather(*(ask() for _ in range(in_flight)))
    return taken


if __name__ == "__main__":
    main()
