"""Variants of the tfrec model, trained and scored as in the pipeline; for quality.py.

Variants differ in the encoding of texts (none, TF-IDF, frozen or tuned BERT, both), in the
embedding of ids and in the seed. All variants share one run of the pipeline up to Transform.
"""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
import time
from pathlib import Path
from typing import Any

import pipeline  # noqa: F401  # isort: skip  sets the Keras version

import numpy as np

from pipeline.local_runner import run_pipeline  # before TensorFlow: TFX after it crashes
from pipeline.outcome import latest_artifact
from pipeline.runs import Run, run_from_json
from tfrec.config import Config
from tfrec.errors import ConfigError
from tfrec.evaluation.evaluate import Extras, evaluate, protocol_of
from tfrec.evaluation.holdout import Holdout, configured_holdout
from tfrec.evaluation.result import Evaluation
from tfrec.evaluation.scores import Scores, Verdict
from tfrec.examples.build import SPLITS
from tfrec.examples.catalog import Catalog
from tfrec.retrieval.two_tower import TwoTower
from tfrec.training.train import TrainingJob

PER_USER_METRICS = ("ndcg@10", "recall@10", "ndcg@20", "recall@20")
"""Per-user metrics, for intervals and paired comparisons."""

TEXT_STEPS = 200
"""Steps of tuning the BERT, if the run itself keeps it frozen."""

WORD_DIM = 256
"""Dimension of TF-IDF vectors, if the run itself has none."""

TEXTS = ("none", "words", "frozen", "tuned", "words and frozen", "words and tuned")


@dataclasses.dataclass(frozen=True)
class Variant:
    """A model to train."""

    text: str = ""  # one of TEXTS; "" keeps the run's setting
    ids: bool = True
    seed: int = 1

    def key(self) -> str:
        """Return the name of the variant's files."""
        return f"tfrec text {self.text or 'as configured'}{'' if self.ids else ' without ids'} seed {self.seed}"

    def resolved(self, config: Config) -> Variant:
        """Replace text "" by the name of the run's setting, so that equal models share a name."""
        bert = "frozen" if config.towers.text_mode == "frozen" else "tuned"
        usual = f"words and {bert}" if config.towers.word_dim else bert
        return dataclasses.replace(self, text=self.text or usual)

    def to_json(self) -> str:
        """Return the JSON that `main` takes."""
        return json.dumps(dataclasses.asdict(self))


FULL_MODEL = Variant()
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


def main(run: str, variant: str, path: str) -> None:
    """Train a variant of a run (both JSON) and write its test scores to `path`."""
    measure(run_from_json(run), Variant(**json.loads(variant)), Path(path))


def prepare(run: Run) -> None:
    """Run the pipeline up to Transform, unless its results exist."""
    run_pipeline(run, until="Transform")


def measure(run: Run, variant: Variant, path: Path) -> None:
    """Train, export, load the export and score it on the test window.

    A repeated call resumes an interrupted training.
    """
    from pipeline.resolved_run import resolve
    from tfrec.evaluation.exported_model import ExportedModel
    from tfrec.examples.dataset import load_catalog
    from tfrec.examples.preprocessing import Transformed
    from tfrec.export.recommender import Recommender, export
    from tfrec.export.two_stage_recommender import TwoStageRecommender
    from tfrec.ranking.fit_second_stage import fit_second_stage
    from tfrec.training.train import catch_up, fit

    prepare(run)
    started = time.process_time()
    config = apply_to_config(resolve(run).config, variant)
    examples = latest_artifact(run, "Transform", "transformed_examples")
    files = {split: sorted(map(str, examples.glob(f"Split-{split}/*"))) for split in SPLITS}
    transformed = Transformed(str(latest_artifact(run, "Transform", "transform_graph")))
    catalog = reduce_catalog(load_catalog(files["catalog"], files["train"], transformed, config.features), variant)
    work = path.parent / f"{path.stem}.work"
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
    if config.ranking.epochs:
        ranking_dir = str(work / "ranking-checkpoints")
        stage = fit_second_stage(trained, files["train"], files["validation"], config, ranking_dir)
        recommender: Recommender = TwoStageRecommender(trained, transformed, config, stage)
    else:
        catch_up(trained.model, files["validation"])
        recommender = Recommender(trained, transformed, config)
    export(recommender, str(work / "model"))
    cpu_minutes = (time.process_time() - started) / 60
    raw = str(latest_artifact(run, "TableSetExampleGen", "examples"))
    holdout = configured_holdout(raw, "test", config)
    stages = ExportedModel(work / "model", raw, holdout).stages()
    for stage_path, scorer in zip((towers_path(path), path)[-len(stages) :], stages, strict=True):
        scores = evaluate(stage_path.stem, scorer, holdout, Extras(PER_USER_METRICS))
        write_scores(scores, holdout, stage_path, cpu_minutes)
    shutil.rmtree(work)


def towers_path(path: Path) -> Path:
    """Return the path of the scores of the towers alone, next to those of both stages."""
    return path.with_name(f"{path.stem} towers alone.json")


def apply_to_config(config: Config, variant: Variant) -> Config:
    """Set the variant's seed and text encoding in the run's configuration."""
    if variant.text not in ("", *TEXTS):
        raise ConfigError(f"`text` is {variant.text!r}, expected one of {', '.join(TEXTS)}")
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


def reduce_catalog(catalog: Catalog, variant: Variant) -> Catalog:
    """Remove the texts or the ids from the catalog, as the variant demands."""
    if variant.text == "none":
        catalog = dataclasses.replace(
            catalog,
            tokens=catalog.tokens[:1],
            text_row=np.zeros_like(catalog.text_row),
            query_row=np.zeros_like(catalog.query_row),
        )
    return catalog if variant.ids else WithoutIds(**vars(catalog))


def begin_without_bert(model: TwoTower, catalog: Catalog, job: TrainingJob) -> bool:
    """Fit the TF-IDF weights and leave the BERT's vectors of the texts at zero."""
    model.texts.fit_words()
    return False


class WithoutIds(Catalog):
    """A catalog in which no item has an id embedding."""

    @property
    def id_row(self) -> np.ndarray:
        """[rows] int64, all 0."""
        return np.zeros(self.rows, np.int64)


def write_scores(scores: Scores, holdout: Holdout, path: Path, cpu_minutes: float = math.nan) -> None:
    """Write scores as JSON, and per-user metrics and cost as .npz; the JSON last, by rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values: dict[str, Any] = {
        name: np.stack([part.per_user[metric] for metric in PER_USER_METRICS])
        for name, part in scores.slices.items()
        if part.per_user
    }
    np.savez(path.with_suffix(".npz"), **values, cpu_minutes=cpu_minutes)
    temporary = path.with_suffix(".json.part")
    evaluation = Evaluation(protocol_of(holdout), {scores.name: scores}, Verdict(False, ("no verdict",)))
    temporary.write_text(evaluation.to_json(), encoding="utf-8")
    temporary.rename(path)
