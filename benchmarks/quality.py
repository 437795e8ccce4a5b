"""Quality from raw data to a table: tfrec beside baselines tuned with the same care, the whole catalogue ranked.

    python benchmarks/quality.py complete-journey
    python benchmarks/quality.py online-retail --folder FOLDER     # that holds online_retail.csv.gz
    python benchmarks/quality.py amazon-beauty --folder FOLDER     # interactions.parquet and items.parquet
    python benchmarks/quality.py movielens --folder FOLDER         # that was unzipped
    python benchmarks/quality.py complete-journey --only EASE      # one row, "tfrec" among them
    python benchmarks/quality.py complete-journey --ablation       # what texts and ids are worth

Baselines are tuned on the validation window; the test window is looked at once. Each row is kept in a folder of its
settings and data below out/quality/DATASET, whole or not at all, and used again by a later call: delete it to measure
again. Prints tables and writes out/benchmarks/quality-DATASET.json.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import model_variants
from benchmarks.quality_table import Column, Row, gains, markdown, summary
from pipeline.outcome import latest_artifact
from pipeline.runs import RUNS, Run
from tfrec.config import Config, EvaluationConfig
from tfrec.console import log
from tfrec.evaluation.baselines.tuning import Shop, compare, names
from tfrec.evaluation.holdout import Holdout, read_holdout
from tfrec.evaluation.scores import Evaluation
from tfrec.examples.read import read_texts
from tfrec.language.text_encoder import TextEncoder, pool_all, vocabulary
from tfrec.language.tokenizer import WordPiece
from tfrec.schema import read_table_set

TEXT_TOKENS = 24
ROOT = Path(__file__).parents[1]


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Where a data set comes from, whose settings serve it, and the numbers that it is known by."""

    run: str
    columns: tuple[Column, ...]
    mapping: str = ""  # of examples/; "" for a source that tfrec knows by name


DATED = (
    *(("all", "ndcg@20"), ("novel", "ndcg@20"), ("novel", "recall@20")),
    *(("cold", "recall@20"), ("cold_among", "recall@20")),
)
DATASETS = {
    "complete-journey": Dataset("laptop", DATED),
    "online-retail": Dataset("retail", DATED, "online_retail.yaml"),
    "amazon-beauty": Dataset(
        "discovery", (("novel", "recall@10"), ("novel", "ndcg@10"), ("cold", "recall@20")), "amazon_beauty.yaml"
    ),
    "movielens": Dataset("discovery", DATED[1:3]),
}


@dataclasses.dataclass(frozen=True)
class Kept:
    """A row as it lies on disk; its judged model alone."""

    evaluation: Evaluation
    cpu_minutes: float  # of training; NaN of a baseline


def main() -> None:
    """Ingests, trains, tunes the baselines, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", choices=DATASETS, nargs="?", default="complete-journey")
    parser.add_argument("--folder", help="where the files lie; needed for all but complete-journey")
    parser.add_argument("--run", help="another named run's settings")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", action="append", metavar="ROW", help="this row alone; may be given again")
    parser.add_argument("--ablation", action="store_true", help="texts and ids left out in turn, instead of baselines")
    options = parser.parse_args()
    dataset = DATASETS[options.dataset]
    home = Path("out/quality") / options.dataset
    tables = ingest(options.dataset, dataset, options.folder, home)
    chosen = options.run or dataset.run
    run = Run(f"{options.dataset}-{chosen}", RUNS[chosen].config, tables=str(tables), out=str(home))
    wanted = wanted_variants(options.ablation, options.seeds)
    names_ = wanted_rows(options.only, wanted, read_table_set(tables).manifest.clock, options.ablation)
    both = {name: score_variant(run, wanted[name], home) for name in names_ if name in wanted}
    found = score_baselines(run, [name for name in names_ if name not in wanted], home)
    found |= {_of_towers(name): stages[0] for name, stages in both.items() if len(stages) > 1}
    found |= {name: stages[-1] for name, stages in both.items()}
    if len({repr(kept.evaluation.protocol) for kept in found.values()}) > 1:
        sys.exit(f"rows were measured under unlike protocols; delete {home} and measure again")
    rows = {name: Row(name, kept.evaluation.judged, kept.cpu_minutes) for name, kept in found.items()}
    print(markdown(list(rows.values()), dataset.columns))
    if options.ablation:
        show_gains(rows, dataset)
    out = Path(f"out/benchmarks/{'ablation' if options.ablation else 'quality'}-{options.dataset}.json")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(summary(rows.values(), dataset.columns), indent=2))
    log(f"written to {out}; each row lies below {home}")


def ingest(name: str, dataset: Dataset, folder: str | None, home: Path) -> Path:
    """The data set's tables, made unless they are there."""
    tables = home / "tables"
    if (tables / "manifest.json").exists():
        return tables
    if folder is None and name != "complete-journey":
        sys.exit(f"{name} is not in a package: give the folder of its files by --folder")
    if dataset.mapping:
        # A mapping's paths are relative to it: a copy lies beside links to the files.
        raw = home / "raw"
        shutil.rmtree(raw, ignore_errors=True)
        raw.mkdir(parents=True)
        for path in Path(str(folder)).iterdir():
            (raw / path.name).symlink_to(path.absolute())
        shutil.copy(ROOT / "examples" / dataset.mapping, raw / "mapping.yaml")
        source = [str(raw / "mapping.yaml")]
    else:
        source = [name, *(["--path", folder] if folder else [])]
    tfrec = str(Path(sys.executable).parent / "tfrec")
    subprocess.run([tfrec, "ingest", *source, "--out", str(tables)], check=True)
    return tables


def wanted_variants(ablation: bool, seeds: int) -> dict[str, model_variants.Variant]:
    """Row -> the model to train: the whole one with each seed, or in an ablation every variant with the first."""
    if ablation:
        return model_variants.ABLATION
    return {f"tfrec, seed {seed}": dataclasses.replace(model_variants.WHOLE, seed=seed) for seed in range(1, seeds + 1)}


def wanted_rows(
    only: list[str] | None, wanted: Mapping[str, model_variants.Variant], clock: str, ablation: bool
) -> list[str]:
    """The rows to measure; ends the program at a name that is none."""
    known = [*([] if ablation else names(clock)), *wanted]
    if only is None:
        return known
    found = [name for name in known if any(name == row or name.startswith(f"{row}, seed") for row in only)]
    unknown = [row for row in only if not any(name == row or name.startswith(f"{row}, seed") for name in known)]
    if unknown:
        sys.exit(f"there is no row {unknown[0]!r}; use one of {', '.join(known)}")
    return found


def folder_of(kind: str, run: Run, settings: Config, home: Path) -> Path:
    """Where rows of these settings and this data lie."""
    content = settings.to_json() + read_table_set(run.tables).manifest.snapshot
    return home / f"{kind}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"


def score_variant(run: Run, variant: model_variants.Variant, home: Path) -> list[Kept]:
    """The scores of its two towers alone, where it has more, and of all of it; trained in a process of its own."""
    variant = variant.resolved(run.config)
    kept = folder_of("models", run, run.config, home) / f"{variant.key()}.json"
    if not kept.exists():
        log(f"training {variant.key()}")
        program = "import sys; from benchmarks.model_variants import main; main(*sys.argv[1:])"
        arguments = [run.name, run.config.to_json(), run.tables, run.out, variant.to_json(), str(kept)]
        subprocess.run(
            [sys.executable, "-c", program, *arguments], check=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
        )
    return [read_scores(path) for path in (model_variants.towers_of(kept), kept) if path.exists()]


def score_baselines(run: Run, rows: list[str], home: Path) -> dict[str, Kept]:
    """The scores of these baselines, tuned on the validation window."""
    question = run.config.evaluation
    settings = Config(evaluation=EvaluationConfig(question.label_kinds, question.candidates))
    folder = folder_of("baselines", run, settings, home)
    kept = {name: folder / f"{name}.json" for name in rows}
    missing = [name for name in rows if not kept[name].exists()]
    if missing:
        model_variants.prepare(run)
        clock = read_table_set(run.tables).manifest.clock
        examples = str(latest_artifact(run, "TableSetExampleGen", "examples"))
        windows = ("validation", "test")
        validation, test = (
            read_holdout(examples, window, question.label_kinds, question.candidates, clock) for window in windows
        )
        for scores in compare(*shops(validation, test, examples), log, missing, model_variants.BY_USER):
            model_variants.write(scores, test, kept[scores.name])
    return {name: read_scores(path) for name, path in kept.items()}


def shops(validation: Holdout, test: Holdout, examples: str) -> tuple[Shop, Shop]:
    """The holdouts with texts and their vectors by the frozen BERT; the second holds all items of the first."""
    texts = read_texts(examples, test.item_ids)
    distinct, place = np.unique(texts.astype(str), return_inverse=True)
    features = dataclasses.replace(Config().features, vocabulary=vocabulary("", "")[0], text_tokens=TEXT_TOKENS)
    log(f"reading {len(distinct):,} distinct texts with the frozen BERT")
    tokens = WordPiece(features.vocabulary, TEXT_TOKENS)(distinct.tolist()).to_tensor(shape=[None, TEXT_TOKENS]).numpy()
    vectors = pool_all(TextEncoder(features, Config().towers), tokens)[place]
    known = pd.Index(test.item_ids).get_indexer(pd.Index(validation.item_ids))
    return Shop(validation, texts[known], vectors[known]), Shop(test, texts, vectors)


def read_scores(path: Path) -> Kept:
    """What `model_variants.write` kept, users' own values with it."""
    evaluation = Evaluation.from_json(path.read_text(encoding="utf-8"))
    scores = evaluation.judged
    with np.load(path.with_suffix(".npz")) as values:
        per_user = {
            name: dict(zip(model_variants.BY_USER, values[name], strict=True))
            for name in scores.slices
            if name in values
        }
        cpu_minutes = float(values["cpu_minutes"])
    slices = {name: dataclasses.replace(part, per_user=per_user.get(name, {})) for name, part in scores.slices.items()}
    whole = dataclasses.replace(evaluation, scores={scores.name: dataclasses.replace(scores, slices=slices)})
    return Kept(whole, cpu_minutes)


def show_gains(rows: Mapping[str, Row], dataset: Dataset) -> None:
    """What each way to read texts adds to the same model without them, and the BERT to TF-IDF, user by user."""
    silent, words, *others = model_variants.LABELS
    for base, readings in ((silent, [words, *others]), (words, [name for name in others if name.startswith(words)])):
        pairs = [
            (row, rows[like])
            for name, row in rows.items()
            if _reading(name) in readings and (like := name.replace(_reading(name), base)) in rows
        ]
        if pairs:
            print("\n" + gains([row for row, _ in pairs], [like for _, like in pairs], dataset.columns))


def _reading(name: str) -> str:
    """How the model of an ablation's row reads texts: one of model_variants.LABELS."""
    return name.split(": ")[-1].split(", ")[0]


def _of_towers(name: str) -> str:
    return f"towers alone: {name}"


if __name__ == "__main__":
    main()
