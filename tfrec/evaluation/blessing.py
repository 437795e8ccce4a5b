"""One evaluation from files to verdict: the exported model beside the baselines and the model in production."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tfrec.config import Config
from tfrec.errors import ModelError
from tfrec.evaluation.analysis.calibration_curve import Chances
from tfrec.evaluation.analysis.cold_start import cold_start
from tfrec.evaluation.analysis.gains import gains, strongest
from tfrec.evaluation.analysis.sample_users import shoppers
from tfrec.evaluation.baselines.popularity import baselines, tune
from tfrec.evaluation.evaluate import Evaluation, chosen_by_tenth, decide, evaluate, protocol_of, read_holdout
from tfrec.evaluation.exported_model import Exported, exported_model
from tfrec.evaluation.groups import groups
from tfrec.evaluation.scores import Details
from tfrec.examples.read import read_items
from tfrec.training.learning_curve import IN_MODEL, read_epochs
from tfrec.versions import latest_version

BOTH = "two stages"
STAGES = ("two-tower", BOTH)
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
    items = read_items(examples_dir, holdout.item_ids)
    exported = Exported(model, examples_dir, holdout)
    known = baselines(holdout, half_life)
    scorers = dict(known)
    current = latest_version(str(production))
    if current is not None:
        try:
            scorers[PRODUCTION] = exported_model(current, examples_dir, holdout)
        except ModelError as error:
            say(f"not compared with the model in production: {error}")
    stages = dict(zip(STAGES, exported.stages(), strict=False))
    judged, probabilities = list(stages)[-1], Chances(holdout)
    scorers |= stages
    if judged == BOTH:  # the towers alone give no chances
        scorers[judged] = probabilities.listening(stages[judged])
    parts, texts = groups(holdout, items.category.to_numpy()), exported.texts
    scores = {}
    for name, scorer in scorers.items():
        say(f"scoring {len(holdout.user_ids):,} users over {len(holdout.item_ids):,} items: {name}")
        scores[name] = evaluate(name, scorer, holdout, by_user=(config.verdict.metric,), groups=parts, texts=texts)
    floor = {name: scores[name] for name in known}
    verdict = decide(scores[judged], floor, scores.get(PRODUCTION), config.verdict)
    best = strongest(floor)
    details = Details(
        baseline=best.name,
        gains=gains(scores[judged], best),
        cold_start=cold_start(exported, holdout, known["recent_popularity"], config.evaluation.cold_start_users),
        reliability=probabilities.reliability() if judged == BOTH else None,
        chosen=chosen_by_tenth(holdout),
        shoppers=shoppers(holdout, stages[judged], items.title.to_numpy()),
        training=read_epochs(Path(model) / IN_MODEL),
    )
    return Evaluation(protocol_of(holdout), scores, verdict, details)
