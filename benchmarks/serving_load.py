"""The embedded server under load: overhead over a session call, tail latency, batching, reloads.

    python benchmarks/serving_load.py [--seconds 10]
    python benchmarks/serving_load.py --target HOST:PORT --name tfrec   # any TensorFlow Serving

The model is benchmarks/harness/serving_model.py: `recommend` over 10,000 items, one user per
request. The client runs in its own process on the same machine and shares the cores. With --target,
only the load is measured. Prints a table and writes out/benchmarks/serving_load.json.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import multiprocessing
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import grpc_load

OUT = Path("out/benchmarks/serving_load.json")
ROOT = Path(__file__).parents[1]
RELOAD_SECONDS = 5.0
OPEN_LOOP_SHARE = 0.8  # of the highest throughput, for the tail latency


def main() -> None:
    """Measure, print a table and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0, help="duration of each measurement (%(default)s)")
    parser.add_argument("--target", help="gRPC address of a running server; default: start the embedded one")
    parser.add_argument("--name", default="tfrec", help="name of the model on that server (%(default)s)")
    options = parser.parse_args()
    # Other processes build and call the model, to keep TensorFlow's threads out of this one.
    model, requests = _run_apart(_make_model_and_requests, options.name)
    results = {}
    if options.target:
        results["loads"] = measure_loads(options.target, requests, options.seconds)
    else:
        results["in_process"] = _run_apart(measure_in_process, model, requests, options.seconds)
        with start_server(model) as (target, _):
            results["loads"] = measure_loads(target, requests, options.seconds)
        batching = ("--enable_batching", f"--batching_parameters_file={ROOT / 'serving/batching.config'}")
        with start_server(model, *batching) as (target, _):
            results["batched"] = {
                "32 in flight": grpc_load.run_closed_loop(target, requests, 32, options.seconds).summarize()
            }
        results["reloads"] = measure_reloads(model, requests, 3 * options.seconds)
        results["ratios"] = compute_ratios(results)
    _print(results)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(results, indent=2))
    print(f"written to {OUT}")


def measure_loads(target: str, requests: Sequence[bytes], seconds: float) -> dict[str, Any]:
    """Measure closed loops of 1, 8 and 32 in flight, then an open loop at OPEN_LOOP_SHARE."""
    grpc_load.run_closed_loop(target, requests, 8, min(seconds, 3))  # warms up
    results = {
        f"{count} in flight": grpc_load.run_closed_loop(target, requests, count, seconds) for count in (1, 8, 32)
    }
    rate = OPEN_LOOP_SHARE * max(result.throughput for result in results.values())
    results[f"open loop at {OPEN_LOOP_SHARE:.0%}"] = grpc_load.run_open_loop(target, requests, rate, seconds)
    return {name: result.summarize() for name, result in results.items()}


def measure_in_process(model: Path, requests: Sequence[bytes], seconds: float) -> dict[str, Any]:
    """Measure the same session call without a server: by one thread and by 8 threads."""
    from serving.servable.servable import Servable
    from serving.wire.protos import PredictRequest
    from serving.wire.tensors import from_proto

    servable = Servable(model)
    inputs = []
    for raw in requests:
        request = PredictRequest.FromString(raw)
        inputs.append({name: from_proto(proto) for name, proto in request.inputs.items()})

    def call(number: int) -> float:
        started = time.perf_counter()
        servable.predict("recommend", inputs[number % len(inputs)])
        return time.perf_counter() - started

    return {f"{count} in flight": _run_threads(call, count, seconds) for count in (1, 8)}


def measure_reloads(model: Path, requests: Sequence[bytes], seconds: float) -> dict[str, Any]:
    """Measure 32 in flight at rest, and while a new version replaces the old one repeatedly."""
    with start_server(model) as (target, base):
        grpc_load.run_closed_loop(target, requests, 32, 2)
        rest = grpc_load.run_closed_loop(target, requests, 32, seconds / 3)
        stopping = threading.Event()
        pushing = threading.Thread(target=_push, args=(model, base, stopping))
        pushing.start()
        changing = grpc_load.run_closed_loop(target, requests, 32, seconds)
        stopping.set()
        pushing.join()
        versions = len(list(base.iterdir()))
    return {"at rest": rest.summarize(), "while versions change": changing.summarize() | {"versions": versions}}


def compute_ratios(results: dict[str, Any]) -> dict[str, float]:
    """Compute the ratios that measure the server's speed."""
    in_process, loads = results["in_process"], results["loads"]
    open_loop = loads[f"open loop at {OPEN_LOOP_SHARE:.0%}"]
    reloads = results["reloads"]
    return {
        "session calls a second, in-process over served, 8 in flight": (
            in_process["8 in flight"]["per_second"] / loads["8 in flight"]["per_second"]
        ),
        "milliseconds added at p50, 1 in flight": loads["1 in flight"]["p50_ms"] - in_process["1 in flight"]["p50_ms"],
        "p99 over p50, open loop": open_loop["p99_ms"] / open_loop["p50_ms"],
        "throughput with batching over without, 32 in flight": (
            results["batched"]["32 in flight"]["per_second"] / loads["32 in flight"]["per_second"]
        ),
        "p99 while versions change over at rest": (
            reloads["while versions change"]["p99_ms"] / reloads["at rest"]["p99_ms"]
        ),
    }


@contextlib.contextmanager
def start_server(model: Path, *flags: str) -> Iterator[tuple[str, Path]]:
    """Start an embedded server; yield its address and its folder of versions."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(model, Path(folder) / "1")
        command = [sys.executable, "-m", "serving.server", "--model_name=tfrec", f"--model_base_path={folder}"]
        server = subprocess.Popen(
            [*command, "--port=0", "--rest_api_port=0", *flags], stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        with server:
            try:
                lines = server.stdout or ()
                target = next(line.split()[4] for line in lines if line.startswith("Running gRPC ModelServer"))
                yield target, Path(folder)
            finally:
                server.terminate()
                server.communicate()


def _push(model: Path, base: Path, stopping: threading.Event) -> None:
    """Push a new version every RELOAD_SECONDS, each by one rename."""
    number = 1
    while not stopping.wait(RELOAD_SECONDS):
        number += 1
        temporary = base / f".tmp-{number}"
        shutil.copytree(model, temporary)
        temporary.rename(base / str(number))


def _run_threads(call: Callable[[int], float], threads: int, seconds: float) -> dict[str, Any]:
    """Run a function in a closed loop of `threads` threads; it returns the seconds of a call."""
    end = time.perf_counter() + seconds

    def call_in_turn(thread: int) -> list[float]:
        latencies: list[float] = []
        while time.perf_counter() < end:
            latencies.append(call(thread + len(latencies) * threads))
        return latencies

    for number in range(20):
        call(number)
    started = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        latencies = np.concatenate(list(pool.map(call_in_turn, range(threads))))
    return grpc_load.LoadResult(time.perf_counter() - started, latencies.tolist(), collections.Counter()).summarize()


def _make_model_and_requests(name: str) -> tuple[Path, list[bytes]]:
    """Return the exported model and a request per test user; all have padded histories."""
    from benchmarks.harness.serving_model import build_model, find_export
    from benchmarks.recommend import make_request
    from pipeline.outcome import latest_artifact
    from serving.wire.protos import ModelSpec, PredictRequest
    from serving.wire.tensors import to_proto
    from tfrec.evaluation.exported_model import EVENTS
    from tfrec.examples.read import read_histories

    run = build_model()
    histories = read_histories(latest_artifact(run, "TableSetExampleGen", "examples"), "test", EVENTS, ["user_city"])
    requests = []
    for row in range(min(200, len(histories["user_id"]))):
        request = PredictRequest(model_spec=ModelSpec(name=name, signature_name="recommend"))
        padded = {event: histories[event][row : row + 1] for event in EVENTS}
        for alias, array in (make_request(histories, row) | padded).items():
            request.inputs[alias].CopyFrom(to_proto(array))
        requests.append(request.SerializeToString())
    return find_export(run), requests


def _run_apart(function: Callable[..., Any], *arguments: Any) -> Any:
    """Run a function in its own process, and return its result."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def _print(results: dict[str, Any]) -> None:
    for part, rows in results.items():
        for name, row in rows.items():
            if part == "ratios":
                print(f"{name:<64}{row:>8.2f}")
            else:
                print(
                    f"{part + ', ' + name:<40}{row['per_second']:>9.1f}/s  p50 {row['p50_ms']:>7.2f} ms  "
                    f"p99 {row['p99_ms']:>7.2f} ms  errors {sum(row['errors'].values())}"
                )


if __name__ == "__main__":
    main()
