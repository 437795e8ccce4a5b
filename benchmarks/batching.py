"""Cost and gain of batching requests: the embedded server with and without it, in turns.

    python benchmarks/batching.py [--rounds 5] [--seconds 2]

The model is minimal: the mean of a history's embeddings scores 10,000 items, top 20. Clients and
server share one machine; each client sends its next request after a response. Prints a table and
writes out/benchmarks/batching.json.
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
    """Scores all items by the mean of a history's embeddings."""

    def __init__(self) -> None:
        super().__init__()
        self.items = tf.Variable(np.random.default_rng(0).normal(size=(10_000, 64)).astype(np.float32))

    @tf.function(input_signature=[tf.TensorSpec((None, 30), tf.int64, "history")])
    def recommend(self, history: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return the top 20 items: scores and rows, [batch, 20] each."""
        query = tf.reduce_mean(tf.gather(self.items, history), axis=1)
        scores, rows = tf.math.top_k(tf.matmul(query, self.items, transpose_b=True), 20)
        return {"score": scores, "row": rows}


def main() -> None:
    """Measure all servers, print a table and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as base:
        model = Mean()
        tf.saved_model.save(model, f"{base}/1", signatures={"serving_default": model.recommend})
        servers = {name: start_server(base, flags) for name, flags in SERVERS.items()}
        try:
            result = measure({name: (read_port(server), server.pid) for name, server in servers.items()}, options)
        finally:
            for server in servers.values():
                server.terminate()
                server.wait()
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(result, indent=2))


def start_server(base: str, flags: list[str]) -> subprocess.Popen[str]:
    """Start a server on a free port."""
    command = [sys.executable, "-m", "serving.server", "--model_name=mean", f"--model_base_path={base}"]
    return subprocess.Popen([*command, "--port=0", "--rest_api_port=0", *flags], stdout=subprocess.PIPE, text=True)


def read_port(server: subprocess.Popen[str]) -> int:
    """Wait until a server listens, and return its port."""
    line = next(iter(server.stdout or ()))  # "Running gRPC ModelServer at 127.0.0.1:8500 ..."
    return int(line.split()[4].rpartition(":")[2])


def measure(servers: dict[str, tuple[int, int]], options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Measure all servers in each round; return the medians by server and requests in flight."""
    result = {}
    print(f"{'in flight':>9} {'batching':<12}{'requests/s':>11}{'p50 ms':>9}{'p99 ms':>9}{'CPU us/request':>16}")
    for in_flight in IN_FLIGHT:
        rounds: dict[str, list[dict[str, float]]] = {name: [] for name in servers}
        for _ in range(options.rounds):
            for name, (port, pid) in servers.items():
                rounds[name].append(measure_round(port, pid, in_flight, options.seconds))
        for name, figures in rounds.items():
            median = {key: float(np.median([figure[key] for figure in figures])) for key in figures[0]}
            result[f"{name}, {in_flight} in flight"] = median
            rate, p50, p99, cpu = median.values()
            print(f"{in_flight:>9} {name:<12}{rate:>11.0f}{p50:>9.2f}{p99:>9.2f}{cpu:>16.0f}", flush=True)
    return result


def measure_round(port: int, pid: int, in_flight: int, seconds: float) -> dict[str, float]:
    """Measure some seconds of closed-loop load."""
    process = psutil.Process(pid)
    before = sum(process.cpu_times()[:2])
    milliseconds = 1000 * np.array(asyncio.run(load(port, in_flight, seconds)))
    cpu = sum(process.cpu_times()[:2]) - before
    p50, p99 = np.percentile(milliseconds, (50, 99)).tolist()
    rate = len(milliseconds) / seconds
    return {"requests_per_second": rate, "p50_ms": p50, "p99_ms": p99, "cpu_us": 1e6 * cpu / len(milliseconds)}


async def load(port: int, in_flight: int, seconds: float) -> list[float]:
    """Return the latency of each response in seconds; any error ends the benchmark."""
    request = PredictRequest()
    request.model_spec.name = "mean"
    request.inputs["history"].CopyFrom(to_proto(np.arange(30, dtype=np.int64)[None]))
    body, latencies, stop = request.SerializeToString(), [], time.perf_counter() + seconds
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        predict = channel.unary_unary(METHOD)

        async def send_in_turn() -> None:
            while (started := time.perf_counter()) < stop:
                await predict(body)
                latencies.append(time.perf_counter() - started)

        await asyncio.gather(*(send_in_turn() for _ in range(in_flight)))
    return latencies


if __name__ == "__main__":
    main()
