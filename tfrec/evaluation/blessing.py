"""Evaluation from files to verdict: model against baselines and model in production.

verdict/ decides whether the result is BLESSED or REFUSED.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tfrec.config import Config
from tfrec.errors import ModelError
from tfrec.evaluation.analysis.calibration_curve import CandidateProbabilities
from tfrec.evaluation.analysis.cold_start import cold_start, cuts, points
from tfrec.evaluation.analysis.exposure import exposure
from tfrec.evaluation.analysis.gains import gains, strongest
from tfrec.evaluation.analysis.probability_metrics import probability_metrics
from tfrec.evaluation.analysis.sample_users import sample_users
from tfrec.evaluation.analysis.user_scores import user_scores
from tfrec.evaluation.baselines.floor import floor_baselines
from tfrec.evaluation.details import Details
from tfrec.evaluation.evaluate import Extras, evaluate, label_shares, protocol_of
from tfrec.evaluation.exported_model import ExportedModel
from tfrec.evaluation.groups import exposure_partitions, groups
from tfrec.evaluation.holdout import Holdout, configured_holdout
from tfrec.evaluation.per_user import GROUP_METRICS
from tfrec.evaluation.result import PRODUCTION, Evaluation
from tfrec.evaluation.verdict.decide import Comparison, decide_verdict
from tfrec.evaluation.verdict.first_clicks import NON_PERSONALIZED
from tfrec.examples.read import read_items
from tfrec.schema import DAY_SECONDS
from tfrec.training.learning_curve import IN_MODEL, read_epochs
from tfrec.training.warm_start import SPLIT_SETTING, read_record
from tfrec.versions import latest_version

BOTH_STAGES = "two stages"
STAGES = ("two-tower", BOTH_STAGES)
"""The verdict is about the last stage of the model: the towers alone, or both stages."""

SLACK_SECONDS = 7 * DAY_SECONDS
"""A record's end of training is late by the days without an event at the start of its window."""

Log = Callable[[str], None]


def evaluate_and_bless(
    model: str | Path, production: str | Path, examples_dir: str | Path, config: Config, log: Log
) -> Evaluation:
    """Evaluation on the test window with its verdict; baselines are tuned on the validation window.

    A model in production that can't be loaded, or that was trained on labels of the window, is
    logged and left out.
    """
    validation, holdout = (configured_holdout(examples_dir, window, config) for window in ("validation", "test"))
    floor = floor_baselines(validation, holdout, config.verdict)
    for name, settings in floor.settings.items():
        log(f"{name} by the validation window: {settings}")
    item_columns = config.features.item_columns
    items = read_items(examples_dir, holdout.item_ids, item_columns)
    exported = ExportedModel(model, examples_dir, holdout)
    in_production = _in_production(production, examples_dir, holdout, log)

    # Scorers in the order of the table: baselines, production, the stages of the model
    stages = dict(zip(STAGES, exported.stages(), strict=False))
    name = list(stages)[-1]
    scorers = {**floor.scorers, **({PRODUCTION: in_production.stages()[-1]} if in_production else {}), **stages}
    probabilities = CandidateProbabilities(holdout)
    if name == BOTH_STAGES:  # scores of the towers alone are no probabilities
        scorers[name] = probabilities.recorded(stages[name])

    per_user = tuple(dict.fromkeys((*GROUP_METRICS, config.verdict.metric)))
    extras = Extras(per_user, groups(holdout, items.category.to_numpy()), exported.texts)
    scores = {}
    for each, scorer in scorers.items():
        log(f"scoring {len(holdout.user_ids):,} users over {len(holdout.item_ids):,} items: {each}")
        scores[each] = evaluate(each, scorer, holdout, extras)

    lists = {each: floor.scorers[each] for each in NON_PERSONALIZED}
    cut = cuts(exported, config.evaluation.cold_start_users)
    baseline_scores = {each: scores[each] for each in floor.scorers}
    best = strongest(baseline_scores)
    details = Details(
        baseline=best.name,
        gains=gains(scores[name], best),
        cold_start=cold_start(points(exported, holdout, cut, scores[name]), exported, holdout, lists, cut)
        if cut
        else None,
        calibration=probabilities.curve() if name == BOTH_STAGES else None,
        label_shares=label_shares(holdout),
        exposure=exposure(holdout, scores[name], best, exposure_partitions(holdout, items, item_columns)),
        sample_users=sample_users(holdout, stages[name], items.title.to_numpy()),
        training=read_epochs(Path(model) / IN_MODEL),
        probabilities=probability_metrics(*probabilities.joined()) if name == BOTH_STAGES else None,
    )
    compared = Comparison(
        scores[name],
        baseline_scores,
        floor.strongest,
        first_stage=scores[STAGES[0]] if name == BOTH_STAGES else None,
        first_clicks=details.cold_start,
        production=scores.get(PRODUCTION),
        production_clicks=points(in_production, holdout, cut, scores[PRODUCTION]) if in_production and cut else (),
    )
    verdict = decide_verdict(compared, config.verdict)
    kept = {each: scores[each] for each in (best.name, PRODUCTION, name) if each in scores}
    users = user_scores(holdout, kept, items.title.to_numpy())
    return Evaluation(protocol_of(holdout), scores, verdict, details, users)


def _in_production(
    production: str | Path, examples_dir: str | Path, holdout: Holdout, log: Log
) -> ExportedModel | None:
    """The latest version in the folder `production`; None if there is none to compare with."""
    latest = latest_version(str(production))
    if latest is None:
        return None
    try:
        model = ExportedModel(latest, examples_dir, holdout)
    except ModelError as error:
        log(f"not compared with the model in production: {error}")
        return None
    reason = _trained_on_labels(latest, holdout)
    if reason:
        log(f"not compared with the model in production: version {latest.name} {reason}")
        return None
    return model


def _trained_on_labels(version: Path, holdout: Holdout) -> str:
    """Why a version was trained on events that the window holds out; "" if it was not.

    Such a version would win by what it has seen. A version without a record of its towers is
    compared.
    """
    try:
        record = read_record(version)
    except ModelError:
        return ""
    split = record.settings.get(SPLIT_SETTING, "time")
    if holdout.clock == "utc" and split != holdout.split:
        return f"was trained under the split {split}, so its training held labels of this one, {holdout.split}"
    if holdout.has_windows and record.known_before > holdout.window_start + SLACK_SECONDS:
        return "was trained on events of the test window"
    return ""
