"""What a run came to, in the words that a person reads; tests/pipeline/test_end_to_end.py reads real outcomes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from pipeline.outcome import Outcome, read_outcome
from pipeline.runs import Run, named_run
from tfrec.errors import DataError
from tfrec.scores import Evaluation, Protocol, Verdict

PROTOCOL = Protocol("test", 0, "utc", ("purchase",), "sold", 1, 0, 1, 0, "", "")
GOOD = Evaluation(PROTOCOL, {}, Verdict(True, ("better than popularity",)))
BAD = Evaluation(PROTOCOL, {}, Verdict(False, ("worse than popularity", "no number")))


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run that nobody started yet."""
    return dataclasses.replace(named_run("tiny"), out=str(tmp_path))


def test_a_good_model_is_pushed_and_the_version_named(run: Run) -> None:
    (Path(run.serving) / "7").mkdir(parents=True)
    assert Outcome(GOOD, "").refusal == ""
    assert Outcome(GOOD, "").sentence(run) == f"pushed: {run.serving}/7"


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [(Outcome(BAD, ""), "worse than popularity; no number"), (Outcome(GOOD, "a foreign op"), "a foreign op")],
)
def test_a_refused_model_is_told_with_the_reason_and_what_stays(run: Run, outcome: Outcome, reason: str) -> None:
    told = f"the model was refused, so nothing was pushed: {reason}; "
    assert outcome.refusal == reason
    assert outcome.sentence(run) == told + "nothing is in service"
    (Path(run.serving) / "3").mkdir(parents=True)
    assert outcome.sentence(run) == told + f"{run.serving}/3 stays in service"


def test_a_run_that_never_ended_has_no_outcome(run: Run) -> None:
    with pytest.raises(DataError, match="run tiny has no evaluation yet; make one: `tfrec train --run tiny`"):
        read_outcome(run)
