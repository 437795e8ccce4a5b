"""Outcomes of runs; tests/pipeline/test_end_to_end.py reads those of real runs."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

from pipeline.configuration import named_run
from pipeline.outcome import Outcome, node_seconds, read_evaluation, read_outcome
from pipeline.runs import Run
from tfrec.errors import ConfigError, DataError
from tfrec.evaluation.result import Evaluation
from tfrec.evaluation.scores import Protocol, Verdict

PROTOCOL = Protocol("test", 0, "utc", ("purchase",), "sold", 1, 0, 1, 0, "", "")
GOOD = Evaluation(PROTOCOL, {}, Verdict(True, ("better than popularity",)))
BAD = Evaluation(PROTOCOL, {}, Verdict(False, ("worse than popularity", "above the floor"), ("worse than popularity",)))
OLD = Evaluation(PROTOCOL, {}, Verdict(False, ("worse than popularity", "no number")))  # without a list of the unmet


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run that was never started."""
    return dataclasses.replace(named_run("tiny"), out=str(tmp_path))


def pushed_model(folder: Path, fingerprint: str) -> str:
    """Write a folder with the file that identifies a model."""
    folder.mkdir(parents=True)
    (folder / "fingerprint.pb").write_text(fingerprint)
    return str(folder)


def test_the_sentence_of_a_pushed_model_names_its_version(run: Run, tmp_path: Path) -> None:
    pushed = pushed_model(tmp_path / "Pusher", "ours")
    pushed_model(Path(run.serving) / "7", "ours")
    assert Outcome(GOOD, "", pushed).refusal == ""
    assert Outcome(GOOD, "", pushed).sentence(run) == f"pushed: {run.serving}/7"


def test_the_sentence_of_a_removed_version_names_the_one_in_service(run: Run, tmp_path: Path) -> None:
    outcome = Outcome(GOOD, "", pushed_model(tmp_path / "Pusher", "ours"))
    pushed_model(Path(run.serving) / "2", "an older one")
    message = "the model was pushed before and taken out by hand since; "
    assert outcome.sentence(run) == message + f"{run.serving}/2 stays in service"


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        (Outcome(BAD, ""), "worse than popularity"),
        (Outcome(OLD, ""), "worse than popularity; no number"),
        (Outcome(GOOD, "a foreign op"), "a foreign op"),
    ],
)
def test_the_sentence_of_a_refused_model_has_the_reason_and_the_version_in_service(
    run: Run, outcome: Outcome, reason: str
) -> None:
    message = f"the model was refused, so nothing was pushed: {reason}; "
    assert outcome.refusal == reason
    assert outcome.sentence(run) == message + "nothing is in service"
    (Path(run.serving) / "3").mkdir(parents=True)
    assert outcome.sentence(run) == message + f"{run.serving}/3 stays in service"


def test_a_run_without_an_evaluation_has_no_outcome(run: Run) -> None:
    with pytest.raises(DataError, match="run tiny has no evaluation yet; make one: `tfrec train --run tiny`"):
        read_outcome(run)


def test_an_evaluation_is_read_from_a_file_or_by_the_name_of_its_run(tmp_path: Path) -> None:
    file = tmp_path / "evaluation.json"
    file.write_text(GOOD.to_json(), encoding="utf-8")
    assert read_evaluation(str(file)) == GOOD
    file.write_text('{"scores": {}}', encoding="utf-8")
    with pytest.raises(DataError, match="is not an evaluation"):
        read_evaluation(str(file))
    file.write_text('{"protocol": {"label_kinds": []}, "verdict": {}, "scores": []}', encoding="utf-8")
    with pytest.raises(DataError, match="is not an evaluation"):
        read_evaluation(str(file))
    with pytest.raises(ConfigError, match="run 'nosuch' is not one of"):
        read_evaluation("nosuch")
    with pytest.raises(DataError, match=r"there is no file .*nosuch.json; give the evaluation.json of evaluate_model"):
        read_evaluation(str(tmp_path / "nosuch.json"))


def test_an_evaluation_is_read_from_the_folder_of_a_version(tmp_path: Path) -> None:
    (tmp_path / "17" / "assets.extra").mkdir(parents=True)
    with pytest.raises(DataError, match=r"17 holds no assets.extra/evaluation.json; name a pushed version that has it"):
        read_evaluation(str(tmp_path / "17"))
    GOOD.write(tmp_path / "17" / "assets.extra")
    assert read_evaluation(str(tmp_path / "17")) == GOOD


def test_a_run_that_was_never_started_has_no_node_seconds(run: Run) -> None:
    assert node_seconds(run) == {}


def test_node_seconds_are_those_of_the_last_execution_that_was_not_cached(run: Run) -> None:
    # Both nodes are Trainers, so their executions have one type; the context of type "node"
    # differs.
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
