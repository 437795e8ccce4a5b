"""Search for settings of towers and ranker on the validation window, within a budget of minutes."""

from __future__ import annotations

import dataclasses
import gc
import hashlib
import math
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pipeline.experiments.held_out_score import held_out_score, split_users
from pipeline.experiments.space import ranker_space, towers_space
from pipeline.experiments.study import Study, Trial
from pipeline.local_runner import run_pipeline  # before TensorFlow: TFX after it crashes
from pipeline.nodes import fingerprint
from pipeline.outcome import latest_artifact
from pipeline.resolved_run import resolve
from pipeline.runs import Run
from tfrec.config import Config
from tfrec.console import log
from tfrec.errors import TfrecError
from tfrec.examples.build import SPLITS
from tfrec.examples.preprocessing import Transformed
from tfrec.setting_names import with_parsed
from tfrec.training.train import Trained, TrainingJob, train

TOWERS_SHARE = 0.6
"""Share of the budget for the towers, where a ranker follows."""


@dataclasses.dataclass(frozen=True)
class Tuned:
    """The best settings, as they differ from the run's, and their validation NDCG@20."""

    settings: dict[str, Any]
    towers: tuple[float, float]  # of the run's own settings, and of the best ones
    ranker: tuple[float, float] | None  # the same over held-out users; None without a second stage
    trials: int
    seconds: float


def transform(run: Run) -> None:
    """Run the pipeline up to Transform, unless its results are current."""
    run_pipeline(run, until="Transform")


def search(run: Run, minutes: float) -> Tuned:
    """Search until the budget of all calls of this study is spent; an earlier one is resumed.

    A trial is not cut short: it is not begun where it would probably not end in time. The first
    trial, of the run's own settings, is always made.
    """
    resolved = resolve(run)
    config = _without_start(resolved.config)
    content = config.to_json() + resolved.snapshot + resolved.bert_weights + fingerprint.code(__name__)
    folder = Path(run.work) / "tune" / hashlib.sha256(content.encode()).hexdigest()[:12]
    job = _job(run, config, folder)
    budget = 60 * minutes

    def train_towers(settings: Mapping[str, Any], number: int) -> Trained:
        own = _checkpoints(folder, number)
        changed = with_parsed(config, settings)
        return train(dataclasses.replace(job, config=changed, checkpoint_dir=str(own), log_dir=str(own / "log")))

    towers = Study(folder / "towers", towers_space(config), config)
    share = TOWERS_SHARE if config.ranking.epochs else 1.0

    def score_towers(settings: Mapping[str, Any], number: int) -> float:
        kept = {_checkpoints(folder, number)}
        if towers.trials:
            kept.add(_checkpoints(folder, towers.trials.index(towers.best)))
        _remove_checkpoints(folder.parent, kept)
        return train_towers(settings, number).validation_ndcg

    _run_trials("towers", towers, share * budget, score_towers)
    best = towers.trials.index(towers.best)
    scores = (towers.trials[0].score, towers.best.score)
    if not config.ranking.epochs:
        return Tuned(towers.best.settings, scores, None, len(towers.trials), towers.seconds)

    trained = train_towers(towers.best.settings, best)  # nothing is left to train
    users = split_users(job.validation_files, folder / "users")
    config = with_parsed(config, towers.best.settings)
    ranker = Study(folder / f"ranker-{best:04}", ranker_space(config), config)

    def score_ranker(settings: Mapping[str, Any], number: int) -> float:
        checkpoints = folder / f"ranker-{best:04}" / f"checkpoints-{number:04}"
        score = held_out_score(trained, job.train_files, users, with_parsed(config, settings), str(checkpoints))
        shutil.rmtree(checkpoints, ignore_errors=True)
        return score

    _run_trials("ranker", ranker, budget - towers.seconds, score_ranker)
    return Tuned(
        towers.best.settings | ranker.best.settings,
        scores,
        (ranker.trials[0].score, ranker.best.score),
        len(towers.trials) + len(ranker.trials),
        towers.seconds + ranker.seconds,
    )


def _checkpoints(folder: Path, number: int) -> Path:
    return folder / f"towers-{number:04}"


def _remove_checkpoints(studies: Path, kept: set[Path]) -> None:
    """Remove those of all studies but the kept ones; the trials themselves stay."""
    for folder in studies.glob("*/towers-*"):
        if folder not in kept:
            shutil.rmtree(folder)


def _run_trials(
    part: str, study: Study, budget_seconds: float, score: Callable[[Mapping[str, Any], int], float]
) -> None:
    if study.trials:
        log(f"{part}: {len(study.trials)} trials were made before, the best with NDCG@20 {study.best.score:.4f}")
    while study.has_time(budget_seconds):
        settings, number = study.next_settings(), len(study.trials)
        if settings is None:
            log(f"{part}: no other settings are left to try")
            return
        changes = ", ".join(f"{name} {value}" for name, value in settings.items())
        log(f"{part} trial {number + 1}: {changes or 'the own settings of the run'}")
        started = time.monotonic()
        try:
            value = score(settings, number)
        except TfrecError as error:
            log(f"{part} trial {number + 1} failed: {error}")
            value = math.nan
        gc.collect()  # two models may not fit into memory
        study.add(Trial(settings, value, time.monotonic() - started))
        left = max(budget_seconds - study.seconds, 0) / 60
        log(f"{part} trial {number + 1}: NDCG@20 {value:.4f}, best {study.best.score:.4f}; {left:.1f} minutes left")


def _without_start(config: Config) -> Config:
    """The configuration of a search: one process, random weights at the start of each trial."""
    return dataclasses.replace(config, train=dataclasses.replace(config.train, workers=1, warm_start=False))


def _job(run: Run, config: Config, folder: Path) -> TrainingJob:
    examples = latest_artifact(run, "Transform", "transformed_examples")
    files = {split: sorted(map(str, examples.glob(f"Split-{split}/*"))) for split in SPLITS}
    return TrainingJob(
        train_files=files["train"],
        validation_files=files["validation"],
        catalog_files=files["catalog"],
        transformed=Transformed(str(latest_artifact(run, "Transform", "transform_graph"))),
        config=config,
        checkpoint_dir=str(folder / "checkpoints"),
        log_dir=str(folder / "log"),
    )
