"""tfrec's own model, whole or with a part left out, trained and scored as the pipeline does it; for quality.py.

A variant differs in how the item tower reads texts (not at all, by TF-IDF, by a frozen or a tuned BERT, by both), in
whether ids have an embedding, and in its seed. Everything up to Transform is the pipeline's, run once for all variants.
"""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
import time
from pathlib import Path
from typing import Any

import pipeline  # noqa: F401  # isort: skip  decides which Keras TensorFlow uses

import numpy as np

from pipeline.local_runner import run_pipeline  # before TensorFlow: TFX after it ends the process by SIGSEGV
from pipeline.outcome import latest_artifact
from pipeline.runs import Run
from tfrec.config import Config, config_from_json
from tfrec.errors import ConfigError
from tfrec.evaluation.evaluate import evaluate, protocol_of
from tfrec.evaluation.holdout import Holdout, read_holdout
from tfrec.evaluation.scores import Evaluation, Scores, Verdict
from tfrec.examples.build import SPLITS
from tfrec.examples.catalog import Catalog
from tfrec.retrieval.two_tower import TwoTower

BY_USER = ("ndcg@10", "recall@10", "ndcg@20", "recall@20")
"""Kept user by user, for intervals and paired comparisons."""

TEXT_STEPS = 200
"""Of tuning the BERT, where the run itself leaves it frozen."""

WORD_DIM = 256
"""Of TF-IDF, where the run itself has none."""

TEXTS = ("none", "words", "frozen", "tuned", "words and frozen", "words and tuned")


@dataclasses.dataclass(frozen=True)
class Variant:
    """A model to train."""

    text: str = ""  # one of TEXTS; "" is as the run has it
    ids: bool = True
    seed: int = 1

    def key(self) -> str:
        """A name for its files."""
        return f"tfrec text {self.text or 'as configured'}{'' if self.ids else ' without ids'} seed {self.seed}"

    def resolved(self, config: Config) -> Variant:
        """With what the run says of texts by name, so that the same model is trained once."""
        bert = "frozen" if config.towers.text_mode == "frozen" else "tuned"
        usual = f"words and {bert}" if config.towers.word_dim else bert
        return dataclasses.replace(self, text=self.text or usual)

    def to_json(self) -> str:
        """As `main` takes it."""
        return json.dumps(dataclasses.asdict(self))


WHOLE = Variant()
LABELS = dict(
    zip(
        ("no text", "TF-IDF", "frozen BERT", "tuned BERT", "TF-IDF + frozen BERT", "TF-IDF + tuned BERT"),
        TEXTS,
        strict=True,
    )
)
ABLATION = {
    f"{label}, {'with' if ids else 'without'} ids": Variant(text, ids)
    for ids in (True, False)
    for label, text in LABELS.items()
    if ids or "and" not in text
}


def main(name: str, config: str, tables: str, out: str, variant: str, kept: str) -> None:
    """Trains the variant of the run and writes its test scores to `kept`."""
    measure(Run(name, config_from_json(config), tables, out), Variant(**json.loads(variant)), Path(kept))


def prepare(run: Run) -> None:
    """Runs the pipeline up to Transform, unless its results are there."""
    run_pipeline(run, until="Transform")


def measure(run: Run, variant: Variant, kept: Path) -> None:
    """Trains, exports, reads the export back and scores it on the test window. An interrupted call goes on."""
    from pipeline.resolved_run import resolve
    from tfrec.evaluation.exported_model import Exported
    from tfrec.examples.dataset import load_catalog
    from tfrec.examples.preprocessing import Transformed
    from tfrec.export.recommender import Recommender, export
    from tfrec.ranking.fit import fit_second_stage
    from tfrec.training.train import TrainingJob, catch_up, fit

    prepare(run)
    began = time.process_time()
    config = configured(resolve(run).config, variant)
    examples = latest_artifact(run, "Transform", "transformed_examples")
    files = {split: sorted(map(str, examples.glob(f"Split-{split}/*"))) for split in SPLITS}
    transformed = Transformed(str(latest_artifact(run, "Transform", "transform_graph")))
    catalog = reduced(load_catalog(files["catalog"], files["train"], transformed, config.features), variant)
    work = kept.parent / f"{kept.stem}.work"
    learnt_from = (files["train"], files["validation"])
    job = TrainingJob(
        train_files=files["train"],
        validation_files=files["validation"],
        catalog_files=files["catalog"],
        transformed=transformed,
        config=config,
        checkpoint_dir=str(work / "checkpoints"),
        log_dir=str(work / "logs"),
    )
    trained = fit(job, catalog, begin=begin_without_bert if variant.text == "words" else None)
    stage = fit_second_stage(trained, *learnt_from, config) if config.ranking.epochs else None
    if stage is None:
        catch_up(trained.model, files["validation"])
    export(Recommender(trained, transformed, config, stage), str(work / "model"))
    cpu_minutes = (time.process_time() - began) / 60
    raw = str(latest_artifact(run, "TableSetExampleGen", "examples"))
    evaluation = config.evaluation
    holdout = read_holdout(raw, "test", evaluation.label_kinds, evaluation.candidates, config.clock)
    stages = Exported(work / "model", raw, holdout).stages()
    for path, scorer in zip((towers_of(kept), kept)[-len(stages) :], stages, strict=True):
        write(evaluate(path.stem, scorer, holdout, by_user=BY_USER), holdout, path, cpu_minutes)
    shutil.rmtree(work)


def towers_of(kept: Path) -> Path:
    """Where the scores of the two towers alone are kept, beside those of both stages."""
    return kept.with_name(f"{kept.stem} towers alone.json")


def configured(config: Config, variant: Variant) -> Config:
    """The run's configuration with the variant's seed and its way to read texts."""
    if variant.text not in ("", *TEXTS):
        raise ConfigError(f"`text` is {variant.text!r}; use one of {', '.join(TEXTS)}")
    train, towers = dataclasses.replace(config.train, seed=variant.seed), config.towers
    if variant.text:
        word_dim = (towers.word_dim or WORD_DIM) if variant.text.startswith("words") else 0
        towers = dataclasses.replace(towers, word_dim=word_dim)
    if variant.text.endswith("tuned") and towers.text_mode == "frozen":
        towers = dataclasses.replace(towers, text_mode="top")
        train = dataclasses.replace(train, text_steps=TEXT_STEPS)
    elif variant.text and not variant.text.endswith("tuned"):
        towers = dataclasses.replace(towers, text_mode="frozen")
    return dataclasses.replace(config, towers=towers, train=train)


def reduced(catalog: Catalog, variant: Variant) -> Catalog:
    """The catalogue without the texts or the ids that the variant does without."""
    if variant.text == "none":
        catalog = dataclasses.replace(
            catalog,
            tokens=catalog.tokens[:1],
            text_row=np.zeros_like(catalog.text_row),
            query_row=np.zeros_like(catalog.query_row),
        )
    return catalog if variant.ids else WithoutIds(**vars(catalog))


def begin_without_bert(model: TwoTower, catalog: Catalog) -> bool:
    """Fit the TF-IDF weights and leave the BERT's vectors of the texts at zero."""
    model.texts.fit_words()
    return False


class WithoutIds(Catalog):
    """Of which no item has an embedding of its own."""

    @property
    def id_row(self) -> np.ndarray:
        """[rows] int64, all 0."""
        return np.zeros(self.rows, np.int64)


def write(scores: Scores, holdout: Holdout, path: Path, cpu_minutes: float = math.nan) -> None:
    """Keeps the scores as JSON, users' own values of BY_USER and the cost beside; the JSON comes last, by rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values: dict[str, Any] = {
        name: np.stack([part.per_user[metric] for metric in BY_USER])
        for name, part in scores.slices.items()
        if part.per_user
    }
    np.savez(path.with_suffix(".npz"), **values, cpu_minutes=cpu_minutes)
    beside = path.with_suffix(".json.part")
    evaluation = Evaluation(protocol_of(holdout), {scores.name: scores}, Verdict(False, ("not judged",)))
    beside.write_text(evaluation.to_json(), encoding="utf-8")
    beside.rename(path)
