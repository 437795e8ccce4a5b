"""Time, memory and resulting quality of `tfrec demo` in an empty folder.

    python benchmarks/demo.py [--run laptop]

Memory is the sum of the resident sets of all processes. It is an upper bound, because shared
pages count in each process. Prints a table and writes out/benchmarks/demo.json.
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
COLUMNS = {"all": "ndcg@20", "novel": "ndcg@20", "cold": "recall@20", "cold_among": "recall@20"}
SAMPLE_SECONDS = 0.5


def main() -> None:
    """Run the demo, print a table and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", default="laptop")
    run = parser.parse_args().run
    with tempfile.TemporaryDirectory() as folder:
        minutes, peak = run_and_watch([str(Path(sys.executable).parent / "tfrec"), "demo", "--run", run], folder)
        (evaluation,) = Path(folder).glob("out/pipelines/*/evaluate_model/evaluation/*/evaluation.json")
        scores = json.loads(evaluation.read_text(encoding="utf-8"))["scores"]
    print(f"{minutes:.1f} minutes, peak memory {peak / 1e9:.1f} GB")
    print(f"{'':20}" + "".join(f"{slice_ + ' ' + metric:>22}" for slice_, metric in COLUMNS.items()))
    for name, model in scores.items():
        values = [model["slices"][slice_]["metrics"][metric] for slice_, metric in COLUMNS.items()]
        print(f"{name:20}" + "".join(f"{value:22.4f}" for value in values))
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps({"run": run, "minutes": minutes, "peak_bytes": peak, "scores": scores}, indent=2))


def run_and_watch(command: list[str], folder: str) -> tuple[float, int]:
    """Run a command in a folder; return its minutes and the peak bytes of all its processes.

    Exits if the command fails.
    """
    started, peak = time.monotonic(), 0
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        process = psutil.Popen(command, cwd=folder, stdout=output, stderr=subprocess.STDOUT)
        while process.poll() is None:
            peak = max(peak, resident_bytes(process))
            time.sleep(SAMPLE_SECONDS)
        if process.returncode != 0:
            output.seek(0)
            sys.exit(f"{' '.join(command)} ended with code {process.returncode}:\n{output.read()}")
    return (time.monotonic() - started) / 60, peak


def resident_bytes(process: psutil.Process) -> int:
    """Return the bytes of a process and its children; a process that has just ended counts 0."""
    total = 0
    for each in [process, *process.children(recursive=True)]:
        try:
            total += each.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


if __name__ == "__main__":
    main()
