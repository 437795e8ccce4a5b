"""Latency of `recommend` in-process: a session call of the pushed model for one user.

    python benchmarks/recommend.py [--run laptop] [--requests 200]

The histories are those of users in the test window. Prints a table and writes
out/benchmarks/recommend.json.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np

from pipeline.configuration import named_run
from pipeline.outcome import latest_artifact
from serving.client.constraints import INPUTS as CONSTRAINT_INPUTS
from serving.client.constraints import NO_CONSTRAINTS
from serving.servable.servable import Servable
from tfrec.evaluation.exported_model import EVENTS
from tfrec.examples.read import read_histories
from tfrec.versions import latest_version

OUT = Path("out/benchmarks/recommend.json")


def main() -> None:
    """Measure, print a table and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", default="laptop")
    parser.add_argument("--requests", type=int, default=200)
    options = parser.parse_args()
    run = named_run(options.run)
    version = latest_version(run.serving)
    if version is None:
        raise SystemExit(f"{run.serving} holds no model; push one with `make demo`")
    servable = Servable(version)
    inputs = servable.signature_defs["recommend"].inputs
    profile = [name for name in inputs if name.startswith("user_") and name != "user_id"]
    examples = latest_artifact(run, "TableSetExampleGen", "examples")
    histories = read_histories(examples, "test", EVENTS, profile)
    seconds, lengths = [], []
    for number in range(options.requests + 20):  # the first ones warm up
        request = make_request(histories, number % len(histories["user_id"]))
        started = time.perf_counter()
        servable.predict("recommend", request)
        seconds.append(time.perf_counter() - started)
        lengths.append(request["event_item_id"].shape[1])
    milliseconds = 1000 * np.array(seconds[20:])
    result = {f"p{q}_ms": float(np.percentile(milliseconds, q)) for q in (50, 90, 99)}
    result["median_events"] = float(np.median(lengths[20:]))
    for name, value in result.items():
        print(f"{name:<16}{value:>10.1f}")
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(result, indent=2))


def make_request(histories: dict[str, np.ndarray], row: int) -> dict[str, np.ndarray]:
    """Make a user's request as a client does: not padded beyond the history."""
    events = int((histories["event_item_id"][row] != b"").sum())
    request = {n: v[row : row + 1, :events] if n in EVENTS else v[row : row + 1] for n, v in histories.items()}
    now = request["event_timestamp"].max(initial=0) + 1
    context = {"timestamp": np.array([now], np.int64), "query": np.array([b""], object)}
    return request | context | NO_CONSTRAINTS.inputs(CONSTRAINT_INPUTS.values())


if __name__ == "__main__":
    main()
