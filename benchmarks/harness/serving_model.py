"""Model of the serving benchmarks: two stages over 10,000 generated items, trained briefly."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

from benchmarks.harness import generated_shop
from pipeline.local_runner import run_pipeline  # before TensorFlow: TFX after it crashes
from pipeline.outcome import latest_artifact
from pipeline.runs import Run, preset

HOME = Path("out/benchmarks/serving_model")
ITEMS, USERS, EVENTS_PER_USER = 10_000, 1_000, 60


def build_model() -> Run:
    """Train and export the model unless it exists, and return its run; takes 1 to 2 minutes."""
    tables = HOME / "tables"
    if not (tables / "manifest.json").exists():
        mapping = generated_shop.write_shop(HOME / "raw", ITEMS, USERS, EVENTS_PER_USER)
        tfrec = str(Path(sys.executable).parent / "tfrec")
        subprocess.run([tfrec, "ingest", str(mapping), "--out", str(tables)], check=True)
    grocery = preset("grocery")
    config = dataclasses.replace(
        grocery,
        train=dataclasses.replace(grocery.train, epochs=1, text_steps=0),
        towers=dataclasses.replace(grocery.towers, text_mode="frozen"),
        ranking=dataclasses.replace(grocery.ranking, epochs=1, users=500),
    )
    run = Run("served", config=config, tables=str(tables), out=str(HOME))
    run_pipeline(run, until="RankingTrainer")
    return run


def find_export(run: Run) -> Path:
    """Return the folder of the run's SavedModel."""
    return latest_artifact(run, "RankingTrainer", "model") / "Format-Serving"
