"""The embedded server under load: what it costs beside the same session call, tails, batching,
reloads.

    python benchmarks/serving_load.py [--seconds 10]
    python benchmarks/serving_load.py --target HOST:PORT --name tfrec     # any TensorFlow Serving: load alone

The model is benchmarks/serving_model.py's: `recommend` over 10,000 items, one shopper a request.
The client runs in a process of its own on the same machine and shares its cores. Prints a table and
writes out/benchmarks/serving_load.json.
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

from benchmarks import grpc_load

OUT = Path("out/benchmarks/serving_load.json")
ROOT = Path(__file__).parents[1]
RELOAD_SECONDS = 5.0
SHARE = 0.8  # of the highest throughput, for the tail


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement (%(default)s)")
    parser.add_argument("--target", help="gRPC address of a server that runs; else the embedded one is started")
    parser.add_argument("--name", default="tfrec", help="what that server calls the model (%(default)s)")
    options = parser.parse_args()
    # The model is built and called in processes of their own: this one stays free of TensorFlow's
    # threads.
    model, requests = _apart(_model_and_requests, options.name)
    results = {}
    if options.target:
        results["loads"] = loads(options.target, requests, options.seconds)
    else:
        results["in_process"] = _apart(in_process, model, requests, options.seconds)
        with served(model) as (target, _):
            results["loads"] = loads(target, requests, options.seconds)
        with served(model, "--enable_batching", f"--batching_parameters_file={ROOT / 'serving/batching.config'}") as (
            target,
            _,
        ):
            results["batched"] = {
                "32 in flight": grpc_load.run_closed_loop(target, requests, 32, options.seconds).summarize()
            }
        results["reloads"] = reloads(model, requests, 3 * options.seconds)
        results["ratios"] = ratios(results)
    _print(results)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(results, indent=2))
    print(f"written to {OUT}")


def loads(target: str, requests: Sequence[bytes], seconds: float) -> dict[str, Any]:
    """One, 8 and 32 in flight, then SHARE of the highest of their throughputs as an open loop."""
    grpc_load.run_closed_loop(target, requests, 8, min(seconds, 3))  # warms up
    found = {f"{count} in flight": grpc_load.run_closed_loop(target, requests, count, seconds) for count in (1, 8, 32)}
    rate = SHARE * max(outcome.throughput for outcome in found.values())
    found[f"open loop at {SHARE:.0%}"] = grpc_load.run_open_loop(target, requests, rate, seconds)
    return {name: outcome.summarize() for name, outcome in found.items()}


def in_process(model: Path, requests: Sequence[bytes], seconds: float) -> dict[str, Any]:
    """The same session call without a server: one after the other, and by 8 threads."""
    from serving.servable.servable import Servable
    from serving.wire.protos import PredictRequest
    from serving.wire.tensors import from_proto

    servable = Servable(model)
    fed = []
    for raw in requests:
        request = PredictRequest.FromString(raw)
        fed.append({name: from_proto(proto) for name, proto in request.inputs.items()})

    def call(number: int) -> float:
        began = time.perf_counter()
        servable.predict("recommend", fed[number % len(fed)])
        return time.perf_counter() - began

    return {f"{count} in flight": _called(call, count, seconds) for count in (1, 8)}


def reloads(model: Path, requests: Sequence[bytes], seconds: float) -> dict[str, Any]:
    """32 in flight at rest, then while a version comes every RELOAD_SECONDS and the one before
    goes.
    """
    with served(model) as (target, base):
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


def ratios(results: dict[str, Any]) -> dict[str, float]:
    """What the issue of speed asks for, as ratios of one run."""
    alone, served_ = results["in_process"], results["loads"]
    open_loop = served_[f"open loop at {SHARE:.0%}"]
    changed = results["reloads"]
    return {
        "session calls a second, in-process over served, 8 in flight": (
            alone["8 in flight"]["per_second"] / served_["8 in flight"]["per_second"]
        ),
        "milliseconds added at p50, 1 in flight": served_["1 in flight"]["p50_ms"] - alone["1 in flight"]["p50_ms"],
        "p99 over p50, open loop": open_loop["p99_ms"] / open_loop["p50_ms"],
        "throughput with batching over without, 32 in flight": (
            results["batched"]["32 in flight"]["per_second"] / served_["32 in flight"]["per_second"]
        ),
        "p99 while versions change over at rest": (
            changed["while versions change"]["p99_ms"] / changed["at rest"]["p99_ms"]
        ),
    }


@contextlib.contextmanager
def served(model: Path, *flags: str) -> Iterator[tuple[str, Path]]:
    """An embedded server in a process of its own: its address, and the folder of its versions,
    copies of `model`.
    """
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(model, Path(folder) / "1")
        command = [sys.executable, "-m", "serving.server", "--model_name=tfrec", f"--model_base_path={folder}"]
        server = subprocess.Popen(
            [*command, "--port=0", "--rest_api_port=0", *flags], stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        with server:
            try:
                assert server.stdout is not None
                target = next(line.split()[4] for line in server.stdout if line.startswith("Running gRPC ModelServer"))
                yield target, Path(folder)
            finally:
                server.terminate()
                server.communicate()


def _push(model: Path, base: Path, stopping: threading.Event) -> None:
    """Version after version, each whole at once."""
    number = 1
    while not stopping.wait(RELOAD_SECONDS):
        number += 1
        staged = base / f".tmp-{number}"
        shutil.copytree(model, staged)
        staged.rename(base / str(number))


def _called(call: Callable[[int], float], threads: int, seconds: float) -> dict[str, Any]:
    """As grpc_load.run_closed_loop, of a function in this process."""
    end = time.perf_counter() + seconds

    def go_on(thread: int) -> list[float]:
        found: list[float] = []
        while time.perf_counter() < end:
            found.append(call(thread + len(found) * threads))
        return found

    for number in range(20):
        call(number)
    began = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        latencies = np.concatenate(list(pool.map(go_on, range(threads))))
    return grpc_load.LoadResult(time.perf_counter() - began, latencies.tolist(), collections.Counter()).summarize()


def _model_and_requests(name: str) -> tuple[Path, list[bytes]]:
    """The exported model, and a request for each of its test users; histories of one length, which
    batching wants.
    """
    from benchmarks.recommend import one
    from benchmarks.serving_model import build_model, find_export
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
        for alias, array in (one(histories, row) | padded).items():
            request.inputs[alias].CopyFrom(to_proto(array))
        requests.append(request.SerializeToString())
    return find_export(run), requests


def _apart(function: Callable[..., Any], *arguments: Any) -> Any:
    """What the function gives in a process of its own."""
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
