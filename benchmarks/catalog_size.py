"""Costs of the two towers by catalog size: training step, candidate index, exact search, memory.

    python benchmarks/catalog_size.py [--items 68000 272000 1088000]

The catalog is generated as in training.py, with one text for three items. Each size runs in its own
process and reports the memory of that process and of the served model's variables. Prints a table
and writes out/benchmarks/catalog_size.json.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

OUT = Path("out/benchmarks/catalog_size.json")
ROOT = Path(__file__).parents[1]
LENGTH, BATCH, STEPS, K = 50, 32, 40, 500
ITEMS_PER_TEXT = 3
COLUMNS = {
    "items": ",.0f",
    "variables_mb": ",.0f",
    "process_gb": ".1f",
    "events_per_second": ",.0f",
    "index_seconds": ".2f",
    "search_ms": ".1f",
}


def main() -> None:
    """Measure each size, print a table and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, nargs="+", default=[68_000, 272_000, 1_088_000])
    results = []
    print("".join(f"{name:>20}" for name in COLUMNS))
    for items in parser.parse_args().items:
        program = "import sys; from benchmarks.catalog_size import measure; measure(int(sys.argv[1]))"
        command = ["env", f"PYTHONPATH={ROOT}", sys.executable, "-c", program, str(items)]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        results.append(json.loads(output.splitlines()[-1]))
        print("".join(f"{results[-1][name]:>20{spec}}" for name, spec in COLUMNS.items()), flush=True)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(results, indent=2), encoding="utf-8")


def measure(items: int) -> None:
    """Print the costs of a catalog of that size as a line of JSON."""
    import psutil
    import tensorflow as tf

    from benchmarks.training import build_model, make_batches, measure_speed
    from tfrec.export.top_k_index import Index
    from tfrec.training.lazy_adam import LazyAdam

    model = build_model(LENGTH, BATCH, items, max(items // ITEMS_PER_TEXT, 2))
    events = measure_speed(model, LazyAdam(1e-3), make_batches(model, BATCH, LENGTH), STEPS)
    started = time.perf_counter()
    index = Index(model.all_candidates(), K)
    index_seconds = time.perf_counter() - started
    query = tf.random.normal([1, index.embeddings.shape[1]])

    @tf.function
    def search(vector: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return index.top_k(tf.matmul(vector, index.embeddings, transpose_b=True), tf.zeros([1, 1], tf.int64))

    variables = [*model.variables, index.embeddings]
    result = {
        "items": items,
        "events_per_second": events,
        "index_seconds": index_seconds,
        "search_ms": 1000 * median_seconds(lambda: search(query)),
        "variables_mb": sum(variable.shape.num_elements() * variable.dtype.size for variable in variables) / 1e6,
        "process_gb": psutil.Process().memory_info().rss / 1e9,
    }
    print(json.dumps(result))


def median_seconds(call: Callable[[], object], times: int = 50) -> float:
    """Return the median seconds of a call, after two warm-up calls."""
    seconds = []
    for _ in range(times + 2):
        started = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - started)
    return sorted(seconds[2:])[times // 2]


if __name__ == "__main__":
    main()
