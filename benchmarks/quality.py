"""Quality from raw data to a table: tfrec beside baselines tuned with the same care, the whole catalogue ranked.

    python benchmarks/quality.py [complete-journey] [--seeds 3]
    python benchmarks/quality.py online-retail --mapping FOLDER/online_retail.yaml
    python benchmarks/quality.py amazon-beauty --mapping FOLDER/amazon_beauty.yaml

The mappings of examples/ are put beside the files that they name. Everything lies in out/quality/DATASET and is used
again by a later call. Baselines are tuned on the validation window; the test window is looked at once. Prints a
table and writes out/benchmarks/quality-DATASET.json.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.outcome import latest_artifact, read_outcome
from pipeline.runs import RUNS, Run
from tfrec.config import Config
from tfrec.features import WordPiece
from tfrec.holdout import Holdout, read_holdout
from tfrec.records import read_texts
from tfrec.schema import read_table_set
from tfrec.scores import Evaluation, Scores
from tfrec.text import TextEncoder, pool_all, vocabulary
from tfrec.train import say
from tfrec.tuning import Shop, compare

COLUMNS = (
    ("all", "ndcg@20"),
    ("novel", "ndcg@20"),
    ("novel", "recall@20"),
    ("cold", "recall@20"),
    ("cold_among", "recall@20"),
)
TEXT_TOKENS = 24


def main() -> None:
    """Ingests, trains with each seed, tunes the baselines, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", nargs="?", default="complete-journey")
    parser.add_argument("--mapping", help="YAML file of a shop's own data")
    parser.add_argument("--run", default="laptop", help="whose settings (%(default)s)")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    home = Path("out/quality") / options.dataset
    ingest(options.mapping or options.dataset, home / "tables")
    models = [train(options.dataset, options.run, seed, home) for seed in range(1, options.seeds + 1)]
    clock = read_table_set(home / "tables").manifest.clock
    examples = str(latest_artifact(run_of(options.dataset, options.run, 1, home), "TableSetExampleGen", "examples"))
    validation, test = (read_holdout(examples, window, clock=clock) for window in ("validation", "test"))
    scores = compare(*shops(validation, test, examples), say)
    show(scores, models)
    rows = {name: dataclasses.asdict(each) for name, each in scores.items()}
    rows |= {f"tfrec, seed {seed + 1}": dataclasses.asdict(each) for seed, each in enumerate(models)}
    out = Path(f"out/benchmarks/quality-{options.dataset}.json")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(rows, indent=2))


def ingest(source: str, tables: Path) -> None:
    """Makes the tables unless they are there."""
    if not (tables / "manifest.json").exists():
        tfrec("ingest", source, "--out", str(tables))


def run_of(dataset: str, name: str, seed: int, home: Path) -> Run:
    """The named run over these tables with another seed."""
    config: Config = RUNS[name].config
    config = dataclasses.replace(config, train=dataclasses.replace(config.train, seed=seed))
    return Run(f"{dataset}-{name}", config, tables=str(home / "tables"), out=str(home))


def train(dataset: str, name: str, seed: int, home: Path) -> Scores:
    """The scores of a model trained with that seed, in a process of its own, whose memory goes back."""
    kept = home / f"scores-{name}-{seed}.json"
    if not kept.exists():
        say(f"training {dataset} with seed {seed}")
        program = "import sys; from benchmarks import quality; quality.train_here(*sys.argv[1:])"
        command = [sys.executable, "-c", program, dataset, name, str(seed), str(home)]
        subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])})
        evaluation = read_outcome(run_of(dataset, name, seed, home)).evaluation
        kept.write_text(evaluation.to_json(), encoding="utf-8")
    return list(Evaluation.from_json(kept.read_text(encoding="utf-8")).scores.values())[-1]


def train_here(dataset: str, name: str, seed: str, home: str) -> None:
    """Runs the pipeline in this process."""
    from pipeline.local_runner import run

    run(run_of(dataset, name, int(seed), Path(home)))


def shops(validation: Holdout, test: Holdout, examples: str) -> tuple[Shop, Shop]:
    """The holdouts with texts and their vectors by the frozen BERT; the second holds all items of the first."""
    texts = read_texts(examples, test.item_ids)
    distinct, place = np.unique(texts.astype(str), return_inverse=True)
    features = dataclasses.replace(Config().features, vocabulary=vocabulary("", "")[0], text_tokens=TEXT_TOKENS)
    say(f"reading {len(distinct):,} distinct texts with the frozen BERT")
    tokens = WordPiece(features.vocabulary, TEXT_TOKENS)(distinct.tolist()).to_tensor(shape=[None, TEXT_TOKENS]).numpy()
    vectors = pool_all(TextEncoder(features, Config().towers), tokens)[place]
    known = pd.Index(test.item_ids).get_indexer(pd.Index(validation.item_ids))
    return Shop(validation, texts[known], vectors[known]), Shop(test, texts, vectors)


def show(scores: dict[str, Scores], models: list[Scores]) -> None:
    """A row for each baseline, and tfrec's mean over seeds with its spread."""
    print(f"{'':24}" + "".join(f"{f'{slice_} {metric}':>24}" for slice_, metric in COLUMNS))
    for name, each in scores.items():
        print(f"{name:24}" + "".join(f"{each.slices[s].metrics[m]:>24.4f}" for s, m in COLUMNS))
    values = np.array([[model.slices[s].metrics[m] for s, m in COLUMNS] for model in models])
    spread = values.std(axis=0, ddof=1) if len(values) > 1 else np.full(len(COLUMNS), np.nan)
    cells = [f"{mean:.4f} (sd {sd:.4f})" for mean, sd in zip(values.mean(axis=0), spread, strict=True)]
    print(f"{f'tfrec, {len(values)} seeds':24}" + "".join(f"{cell:>24}" for cell in cells))
    errors = {slice_: models[0].slices[slice_].ndcg_se for slice_, _ in COLUMNS}
    print("standard error of ndcg@20 over users: " + ", ".join(f"{s} {error:.4f}" for s, error in errors.items()))


def tfrec(*words: str) -> None:
    """The command line."""
    subprocess.run([str(Path(sys.executable).parent / "tfrec"), *words], check=True)


if __name__ == "__main__":
    main()
