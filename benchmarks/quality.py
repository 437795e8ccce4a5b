"""Quality of tfrec and of tuned baselines on a data set, with the whole catalog ranked.

    python benchmarks/quality.py complete-journey
    python benchmarks/quality.py online-retail --folder FOLDER     # with online_retail.csv.gz
    python benchmarks/quality.py amazon-beauty --folder FOLDER     # with its two Parquet files
    python benchmarks/quality.py movielens --folder FOLDER         # unzipped
    python benchmarks/quality.py complete-journey --only EASE      # one row, such as EASE or tfrec
    python benchmarks/quality.py complete-journey --ablation       # without texts, without ids

Baselines are tuned on the validation window; the test window is used once. Each row is stored in a
folder named by its settings and data, below out/quality/DATASET. Later calls use it again; delete
it to measure again. Prints tables and writes out/benchmarks/quality-DATASET.json.
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

from benchmarks.harness import model_variants
from benchmarks.harness.quality_table import Column, Row, format_gains, format_rows, summarize
from pipeline.configuration import named_run
from pipeline.outcome import latest_artifact
from pipeline.runs import Run
from tfrec.config import Config, EvaluationConfig
from tfrec.console import log
from tfrec.evaluation.baselines.shop import make_shops
from tfrec.evaluation.baselines.tuning import compare, names
from tfrec.evaluation.holdout import configured_holdout
from tfrec.evaluation.result import Evaluation
from tfrec.language.text_encoder import vocabulary
from tfrec.schema import read_table_set

TEXT_TOKENS = 24
ROOT = Path(__file__).parents[1]


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A data set: its run, its mapping and the columns of its table."""

    run: str
    columns: tuple[Column, ...]
    mapping: str = ""  # file in examples/; "" for a source built into tfrec


DATED_COLUMNS = (
    *(("all", "ndcg@20"), ("novel", "ndcg@20"), ("novel", "recall@20")),
    *(("cold", "recall@20"), ("cold_among", "recall@20")),
)
DATASETS = {
    "complete-journey": Dataset("laptop", DATED_COLUMNS),
    "online-retail": Dataset("retail", DATED_COLUMNS, "online_retail.yaml"),
    "amazon-beauty": Dataset(
        "discovery", (("novel", "recall@10"), ("novel", "ndcg@10"), ("cold", "recall@20")), "amazon_beauty.yaml"
    ),
    "movielens": Dataset("discovery", DATED_COLUMNS[1:3]),
}


@dataclasses.dataclass(frozen=True)
class StoredScores:
    """Scores of one model, as stored on disk."""

    evaluation: Evaluation
    cpu_minutes: float  # of training; NaN for a baseline


def main() -> None:
    """Ingest, train, tune the baselines, print tables and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", choices=DATASETS, nargs="?", default="complete-journey")
    parser.add_argument("--folder", help="folder of the files; required except for complete-journey")
    parser.add_argument("--run", help="name of a run with other settings")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", action="append", metavar="ROW", help="measure only this row; repeatable")
    parser.add_argument(
        "--ablation", action="store_true", help="compare variants without texts or ids, instead of baselines"
    )
    options = parser.parse_args()
    dataset = DATASETS[options.dataset]
    home = Path("out/quality") / options.dataset
    tables = ingest(options.dataset, dataset, options.folder, home)
    run_name = options.run or dataset.run
    run = Run(f"{options.dataset}-{run_name}", config=named_run(run_name).config, tables=str(tables), out=str(home))
    variants = select_variants(options.ablation, options.seeds)
    clock = read_table_set(tables).manifest.clock
    baselines = [] if options.ablation else names(clock)
    row_names = select_rows(options.only, [*baselines, *variants])
    stages = {name: score_variant(run, variants[name], home) for name in row_names if name in variants}
    stored = score_baselines(run, [name for name in row_names if name not in variants], home)
    stored |= {_towers_row(name): scores[0] for name, scores in stages.items() if len(scores) > 1}
    stored |= {name: scores[-1] for name, scores in stages.items()}
    if len({repr(scores.evaluation.protocol) for scores in stored.values()}) > 1:
        sys.exit(f"rows have different evaluation protocols; delete {home} and measure again")
    rows = {name: Row(name, scores.evaluation.model, scores.cpu_minutes) for name, scores in stored.items()}
    print(format_rows(list(rows.values()), dataset.columns))
    if options.ablation:
        show_gains(rows, dataset)
    out = Path(f"out/benchmarks/{'ablation' if options.ablation else 'quality'}-{options.dataset}.json")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(summarize(rows.values(), dataset.columns), indent=2))
    log(f"written to {out}; rows are stored in {home}")


def ingest(name: str, dataset: Dataset, folder: str | None, home: Path) -> Path:
    """Ingest the data set unless its tables exist, and return their folder."""
    tables = home / "tables"
    if (tables / "manifest.json").exists():
        return tables
    if folder is None and name != "complete-journey":
        sys.exit(f"{name} is not in a package; set --folder to the folder of its files")
    if dataset.mapping:
        # A mapping's paths are relative to it, so its copy is put next to links to the files.
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


def select_variants(ablation: bool, seeds: int) -> dict[str, model_variants.Variant]:
    """Map rows to models: the full model with each seed, or the variants of the ablation."""
    if ablation:
        return model_variants.ABLATION
    return {
        f"tfrec, seed {seed}": dataclasses.replace(model_variants.FULL_MODEL, seed=seed) for seed in range(1, seeds + 1)
    }


def select_rows(only: list[str] | None, known: list[str]) -> list[str]:
    """Select rows by name, all by default; a name without seed selects all seeds.

    Exits at an unknown name.
    """
    if only is None:
        return known
    unknown = [row for row in only if not any(_is_row(name, row) for name in known)]
    if unknown:
        sys.exit(f"--only is {unknown[0]!r}, expected one of {', '.join(known)}")
    return [name for name in known if any(_is_row(name, row) for row in only)]


def _is_row(name: str, row: str) -> bool:
    return name == row or name.startswith(f"{row}, seed")


def folder_of(kind: str, run: Run, settings: Config, home: Path) -> Path:
    """Return the folder of rows with these settings and this data."""
    content = settings.to_json() + read_table_set(run.tables).manifest.snapshot
    return home / f"{kind}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"


def score_variant(run: Run, variant: model_variants.Variant, home: Path) -> list[StoredScores]:
    """Train a variant in its own process unless its scores exist, and read them.

    With a second stage, the scores of the towers alone come first.
    """
    variant = variant.resolved(run.config)
    path = folder_of("models", run, run.config, home) / f"{variant.key()}.json"
    if not path.exists():
        log(f"training {variant.key()}")
        program = "import sys; from benchmarks.harness.model_variants import main; main(*sys.argv[1:])"
        arguments = [run.to_json(), variant.to_json(), str(path)]
        subprocess.run(
            [sys.executable, "-c", program, *arguments], check=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
        )
    return [read_scores(file) for file in (model_variants.towers_path(path), path) if file.exists()]


def score_baselines(run: Run, rows: list[str], home: Path) -> dict[str, StoredScores]:
    """Tune baselines on the validation window unless their scores exist, and read them."""
    evaluation = run.config.evaluation
    settings = Config(evaluation=EvaluationConfig(evaluation.label_kinds, evaluation.candidates))
    folder = folder_of("baselines", run, settings, home)
    paths = {name: folder / f"{name}.json" for name in rows}
    missing = [name for name in rows if not paths[name].exists()]
    if missing:
        model_variants.prepare(run)
        config = dataclasses.replace(run.config, clock=read_table_set(run.tables).manifest.clock)
        examples = str(latest_artifact(run, "TableSetExampleGen", "examples"))
        validation, test = (configured_holdout(examples, window, config) for window in ("validation", "test"))
        features = dataclasses.replace(Config().features, vocabulary=vocabulary("", "")[0], text_tokens=TEXT_TOKENS)
        shops = make_shops(validation, test, examples, features)
        for scores in compare(*shops, log, missing, model_variants.PER_USER_METRICS):
            model_variants.write_scores(scores, test, paths[scores.name])
    return {name: read_scores(path) for name, path in paths.items()}


def read_scores(path: Path) -> StoredScores:
    """Read scores and per-user metrics that `model_variants.write_scores` wrote."""
    evaluation = Evaluation.read(path)
    scores = evaluation.model
    with np.load(path.with_suffix(".npz")) as values:
        per_user = {
            name: dict(zip(model_variants.PER_USER_METRICS, values[name], strict=True))
            for name in scores.slices
            if name in values
        }
        cpu_minutes = float(values["cpu_minutes"])
    slices = {name: dataclasses.replace(part, per_user=per_user.get(name, {})) for name, part in scores.slices.items()}
    whole = dataclasses.replace(evaluation, scores={scores.name: dataclasses.replace(scores, slices=slices)})
    return StoredScores(whole, cpu_minutes)


def show_gains(rows: Mapping[str, Row], dataset: Dataset) -> None:
    """Print paired gains: each text encoding over none, and TF-IDF with BERT over TF-IDF alone."""
    no_text, tfidf, *others = model_variants.LABELS
    for base, labels in ((no_text, [tfidf, *others]), (tfidf, [name for name in others if name.startswith(tfidf)])):
        pairs = [
            (row, rows[base_row])
            for name, row in rows.items()
            if _text_label(name) in labels and (base_row := name.replace(_text_label(name), base)) in rows
        ]
        if pairs:
            print("\n" + format_gains([row for row, _ in pairs], [base_row for _, base_row in pairs], dataset.columns))


def _text_label(name: str) -> str:
    """Return the text encoding in the name of an ablation's row: one of model_variants.LABELS."""
    return name.split(": ")[-1].split(", ")[0]


def _towers_row(name: str) -> str:
    return f"towers alone: {name}"


if __name__ == "__main__":
    main()
