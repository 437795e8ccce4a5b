"""How long one `recommend` takes in-process: the pushed model's session call for one user, without a server.

    python benchmarks/recommend.py [--run laptop] [--requests 200]

The histories are those of the test window's users. Prints a table and writes out/benchmarks/recommend.json.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np

from pipeline.outcome import latest_artifact
from pipeline.runs import named_run
from serving.client.constraints import INPUTS as CONSTRAINT_INPUTS
from serving.client.constraints import NO_CONSTRAINTS
from serving.servable.servable import Servable
from tfrec.evaluation.exported_model import EVENTS
from tfrec.examples.read import read_histories
from tfrec.versions import latest_version

OUT = Path("out/benchmarks/recommend.json")


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", default="laptop")
    parser.add_argument("--requests", type=int, default=200)
    options = parser.parse_args()
    run = named_run(options.run)
    version = latest_version(run.serving)
    if version is None:
        raise SystemExit(f"{run.serving} holds no model; push one: `make demo`")
    servable = Servable(version)
    wanted = servable.signature_defs["recommend"].inputs
    profile = [name for name in wanted if name.startswith("user_") and name != "user_id"]
    examples = latest_artifact(run, "TableSetExampleGen", "examples")
    histories = read_histories(examples, "test", EVENTS, profile)
    seconds, lengths = [], []
    for number in range(options.requests + 20):  # the first ones warm up
        request = one(histories, number % len(histories["user_id"]))
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


def one(histories: dict[str, np.ndarray], row: int) -> dict[str, np.ndarray]:
    """The request of one user, as a client sends it: no longer than the history."""
    events = int((histories["event_item_id"][row] != b"").sum())
    request = {n: v[row : row + 1, :events] if n in EVENTS else v[row : row + 1] for n, v in histories.items()}
    now = request["event_timestamp"].max(initial=0) + 1
    about = {"timestamp": np.array([now], np.int64), "query": np.array([b""], object)}
    return request | about | NO_CONSTRAINTS.inputs(CONSTRAINT_INPUTS.values())


if __name__ == "__main__":
    main()
