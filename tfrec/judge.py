"""One evaluation from files to verdict: the exported model beside the baselines and the model in production."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tfrec.baselines import baselines, tune
from tfrec.config import Config
from tfrec.errors import ModelError
from tfrec.evaluate import Evaluation, decide, evaluate, protocol_of, read_holdout
from tfrec.push import latest_version
from tfrec.scorer import exported_model, exported_stages

STAGES = ("two-tower", "two stages")
"""A model of the towers alone is judged by them; one that ranks their candidates by both stages."""

PRODUCTION = "in production"


def judge(
    model: str | Path, production: str | Path, examples_dir: str | Path, config: Config, say: Callable[[str], None]
) -> Evaluation:
    """The evaluation on the test window; baselines are tuned on the validation window.

    A model in production that can't be read any more is said and left out.
    """
    kinds, candidates = config.evaluation.label_kinds, config.evaluation.candidates
    half_life = tune(read_holdout(examples_dir, "validation", kinds, candidates, config.clock))
    holdout = read_holdout(examples_dir, "test", kinds, candidates, config.clock)
    scorers = baselines(holdout, half_life)
    current = latest_version(str(production))
    if current is not None:
        try:
            scorers[PRODUCTION] = exported_model(current, examples_dir, holdout)
        except ModelError as error:
            say(f"not compared with the model in production: {error}")
    stages = dict(zip(STAGES, exported_stages(model, examples_dir, holdout), strict=False))
    scorers |= stages
    scores = {}
    for name, scorer in scorers.items():
        say(f"scoring {len(holdout.user_ids):,} users over {len(holdout.item_ids):,} items: {name}")
        scores[name] = evaluate(name, scorer, holdout, by_user=(config.verdict.metric,))
    named = {name: scores[name] for name in scores if name not in (*STAGES, PRODUCTION)}
    verdict = decide(scores[list(stages)[-1]], named, scores.get(PRODUCTION), config.verdict)
    return Evaluation(protocol_of(holdout), scores, verdict)
