"""Tuned baselines on the data of a run, each stored when it is measured.

They are tuned on the validation window and measured on the test window, as the run's model is.
"""

from __future__ import annotations

import dataclasses
import hashlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.local_runner import run_pipeline  # before TensorFlow: TFX after it crashes
from pipeline.nodes import fingerprint
from pipeline.outcome import latest_artifact, read_outcome
from pipeline.resolved_run import ResolvedRun, resolve
from pipeline.runs import Run
from tfrec import results_json
from tfrec.atomic_file import write_text
from tfrec.config import Config
from tfrec.console import log
from tfrec.errors import DataError, TfrecError
from tfrec.evaluation.baselines.shop import Shop, make_shops
from tfrec.evaluation.baselines.tuning import USES_VECTORS, compare
from tfrec.evaluation.blessing import STAGES
from tfrec.evaluation.evaluate import protocol_of
from tfrec.evaluation.holdout import Holdout, configured_holdout
from tfrec.evaluation.result import PRODUCTION
from tfrec.evaluation.scores import Protocol, Scores

EXAMPLES_NODE = "TableSetExampleGen"
_CODE = "tfrec.evaluation.baselines.tuning"


@dataclasses.dataclass(frozen=True)
class Measured:
    """Scores of several models under one protocol."""

    protocol: Protocol
    scores: dict[str, Scores]  # by name, in the order of the table


def make_examples(run: Run) -> str:
    """Run the pipeline's first node unless its results are current; return its folder."""
    run_pipeline(run, until=EXAMPLES_NODE)
    return str(latest_artifact(run, EXAMPLES_NODE, "examples"))


def measure(run: Run, examples: str, names: Sequence[str]) -> Measured:
    """Measure the baselines `names`, then add the run's model if it has the same protocol.

    What an earlier call stored is read. A baseline that can't be fitted here, such as one whose
    package is missing, is logged and left out.
    """
    resolved = resolve(run)
    config = resolved.config
    log("reading the examples")
    validation, test = (configured_holdout(examples, window, config) for window in ("validation", "test"))
    protocol = protocol_of(test)
    folder = Path(run.work) / "baselines" / _key(protocol, protocol_of(validation), resolved)
    folder.mkdir(parents=True, exist_ok=True)
    scores = {each.name: each for each in _measure_each(names, folder, validation, test, examples, config)}
    return Measured(protocol, scores | _model_scores(run, protocol))


def _measure_each(
    names: Sequence[str], folder: Path, validation: Holdout, test: Holdout, examples: str, config: Config
) -> Iterator[Scores]:
    shops: tuple[Shop, Shop] | None = None
    missing = [name for name in names if not _file(folder, name).exists()]
    for number, name in enumerate(names, 1):
        file = _file(folder, name)
        if file.exists():
            log(f"{name}: measured before, {number} of {len(names)}")
            yield results_json.parse(Scores, file.read_text(encoding="utf-8"), str(file), "scores", "delete it")
            continue
        log(f"{name}: tuning and measuring, {number} of {len(names)}")
        started = time.monotonic()
        try:
            needs_vectors = any(each in USES_VECTORS for each in missing)
            shops = shops or make_shops(validation, test, examples, config.features if needs_vectors else None)
            (scores,) = compare(*shops, log, [name])
        except TfrecError as error:
            log(f"{name} is left out: {error}")
            continue
        write_text(file, results_json.dump(Scores, scores))
        ndcg = scores.slices["all"].metrics["ndcg@20"]
        log(f"{name}: NDCG@20 {ndcg:.4f}, {time.monotonic() - started:.0f} s")
        yield scores


def _key(test: Protocol, validation: Protocol, run: ResolvedRun) -> str:
    """Name of a folder of scores: by the data, both windows, the texts' features and the code."""
    content = repr((test, validation, run.snapshot, run.bert_weights, run.config.features, fingerprint.code(_CODE)))
    return hashlib.sha256(content.encode()).hexdigest()[:12]


def _file(folder: Path, name: str) -> Path:
    return folder / f"{name}.json"


def _model_scores(run: Run, protocol: Protocol) -> dict[str, Scores]:
    """Scores of the run's last model and of that in production; {} without such of this data."""
    try:
        evaluation = read_outcome(run).evaluation
    except DataError:
        log(f"the run has no model yet; train one: `tfrec train {run.argument}`")
        return {}
    if evaluation.protocol != protocol:
        other = [name for name, value in vars(evaluation.protocol).items() if value != getattr(protocol, name)]
        log(
            f"the run's last model was evaluated under another protocol ({', '.join(other)}); "
            f"`tfrec train {run.argument}` evaluates it again"
        )
        return {}
    return {name: scores for name, scores in evaluation.scores.items() if name in (PRODUCTION, *STAGES)}
