"""The main job from nothing: minutes and memory of `tfrec demo` in an empty folder, and the quality that it reaches.

    python benchmarks/demo.py [--run laptop]

Memory is the sum of the resident sets of all its processes, shared pages counted in each: an upper bound.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

OUT = Path("out/benchmarks/demo.json")
SHOWN = {"all": "ndcg@20", "novel": "ndcg@20", "cold": "recall@20", "cold_among": "recall@20"}
SAMPLE_SECONDS = 0.5


def main() -> None:
    """Runs it, prints a table and writes out/benchmarks/demo.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", default="laptop")
    run = parser.parse_args().run
    with tempfile.TemporaryDirectory() as folder:
        minutes, peak = watch([str(Path(sys.executable).parent / "tfrec"), "demo", "--run", run], folder)
        (evaluation,) = Path(folder).glob("out/pipelines/*/evaluate_model/evaluation/*/evaluation.json")
        scores = json.loads(evaluation.read_text(encoding="utf-8"))["scores"]
    print(f"{minutes:.1f} minutes, {peak / 1e9:.1f} GB of memory at most")
    print(f"{'':20}" + "".join(f"{slice_ + ' ' + metric:>22}" for slice_, metric in SHOWN.items()))
    for name, model in scores.items():
        values = [model["slices"][slice_]["metrics"][metric] for slice_, metric in SHOWN.items()]
        print(f"{name:20}" + "".join(f"{value:22.4f}" for value in values))
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps({"run": run, "minutes": minutes, "peak_bytes": peak, "scores": scores}, indent=2))


def watch(command: list[str], folder: str) -> tuple[float, int]:
    """Minutes of a command in a folder and the most bytes that it and its children held; exits where it fails."""
    started, peak = time.monotonic(), 0
    with tempfile.TemporaryFile("w+", encoding="utf-8") as said:
        process = psutil.Popen(command, cwd=folder, stdout=said, stderr=subprocess.STDOUT)
        while process.poll() is None:
            peak = max(peak, resident(process))
            time.sleep(SAMPLE_SECONDS)
        if process.returncode != 0:
            said.seek(0)
            sys.exit(f"{' '.join(command)} ended with code {process.returncode}:\n{said.read()}")
    return (time.monotonic() - started) / 60, peak


def resident(process: psutil.Process) -> int:
    """Bytes of a process and all its children; those that end meanwhile count for nothing."""
    total = 0
    for each in [process, *process.children(recursive=True)]:
        try:
            total += each.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


if __name__ == "__main__":
    main()
