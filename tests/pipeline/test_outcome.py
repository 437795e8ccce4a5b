"""What a run came to, in the words that a person reads; tests/pipeline/test_end_to_end.py reads real outcomes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

from pipeline.outcome import Outcome, node_seconds, read_evaluation, read_outcome
from pipeline.runs import Run, named_run
from tfrec.errors import ConfigError, DataError
from tfrec.evaluation.scores import Evaluation, Protocol, Verdict

PROTOCOL = Protocol("test", 0, "utc", ("purchase",), "sold", 1, 0, 1, 0, "", "")
GOOD = Evaluation(PROTOCOL, {}, Verdict(True, ("better than popularity",)))
BAD = Evaluation(PROTOCOL, {}, Verdict(False, ("worse than popularity", "no number")))


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run that nobody started yet."""
    return dataclasses.replace(named_run("tiny"), out=str(tmp_path))


def pushed_model(folder: Path, fingerprint: str) -> str:
    """A folder with what tells one model from another."""
    folder.mkdir(parents=True)
    (folder / "fingerprint.pb").write_text(fingerprint)
    return str(folder)


def test_a_good_model_is_pushed_and_the_version_named(run: Run, tmp_path: Path) -> None:
    pushed = pushed_model(tmp_path / "Pusher", "ours")
    pushed_model(Path(run.serving) / "7", "ours")
    assert Outcome(GOOD, "", pushed).refusal == ""
    assert Outcome(GOOD, "", pushed).sentence(run) == f"pushed: {run.serving}/7"


def test_a_version_that_somebody_took_out_is_not_said_to_be_pushed(run: Run, tmp_path: Path) -> None:
    outcome = Outcome(GOOD, "", pushed_model(tmp_path / "Pusher", "ours"))
    pushed_model(Path(run.serving) / "2", "an older one")
    told = "the model was pushed before and taken out by hand since; "
    assert outcome.sentence(run) == told + f"{run.serving}/2 stays in service"


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


def test_an_evaluation_is_read_from_a_file_or_by_the_name_of_its_run(tmp_path: Path) -> None:
    kept = tmp_path / "evaluation.json"
    kept.write_text(GOOD.to_json(), encoding="utf-8")
    assert read_evaluation(str(kept)) == GOOD
    kept.write_text('{"scores": {}}', encoding="utf-8")
    with pytest.raises(DataError, match="is not an evaluation"):
        read_evaluation(str(kept))
    kept.write_text('{"protocol": {"label_kinds": []}, "verdict": {}, "scores": []}', encoding="utf-8")
    with pytest.raises(DataError, match="is not an evaluation"):
        read_evaluation(str(kept))
    with pytest.raises(ConfigError, match="run 'nosuch' is not one of"):
        read_evaluation("nosuch")
    with pytest.raises(DataError, match=r"there is no file .*nosuch.json; give the evaluation.json of evaluate_model"):
        read_evaluation(str(tmp_path / "nosuch.json"))


def test_a_run_that_never_began_has_cost_nothing(run: Run) -> None:
    assert node_seconds(run) == {}


def test_each_node_has_the_seconds_of_its_last_run_that_was_no_cached_one(run: Run) -> None:
    # Both are Trainers, so both executions have one type: the context of type "node" tells them apart.
    config = mlmd.ConnectionConfig()
    config.sqlite.filename_uri = run.metadata
    Path(run.metadata).parent.mkdir(parents=True)
    store = MetadataStore(config)
    kind = store.put_execution_type(mlmd.ExecutionType(name="Trainer"))
    node = store.put_context_type(mlmd.ContextType(name="node"))
    done, cached = mlmd.Execution.COMPLETE, mlmd.Execution.CACHED
    for name, states in (("RankingTrainer", [done]), ("Trainer", [done, cached])):
        context = mlmd.Context(type_id=node, name=f"{run.name}.{name}")
        for state in states:
            store.put_execution(mlmd.Execution(type_id=kind, last_known_state=state), [], [context], True)
            context = store.get_context_by_type_and_name("node", f"{run.name}.{name}")
    assert sorted(node_seconds(run)) == ["RankingTrainer", "Trainer"]
    assert all(0 <= seconds < 60 for seconds in node_seconds(run).values())
