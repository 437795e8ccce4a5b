"""The verbs of `tfrec kubeflow` that need neither TFX nor a cluster."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest
from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

from pipeline.configuration import named_run
from pipeline.outcome import connection
from pipeline.runs import Run
from tfrec.cli.kubeflow import VERBS
from tfrec.cli.main import main
from tfrec.evaluation.result import Evaluation
from tfrec.evaluation.scores import Protocol, Verdict


def test_help_lists_every_verb_and_marks_those_for_pods(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"^0$"):
        main(["kubeflow", "--help"])
    output = " ".join(capsys.readouterr().out.split())
    assert [name for name, _, _ in VERBS] == ["compile", "submit", "run-local", "plan", "node", "outcome"]
    for name, command, _ in VERBS:
        assert f"{name} {command.__doc__}" in output
        assert str(command.__doc__).startswith("for a pod: ") == (name in ("plan", "node", "outcome"))


def test_a_missing_run_or_cluster_is_an_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["kubeflow", "compile", "--run", "nosuch"]) == 2
    assert "run 'nosuch' is not one of discovery, " in capsys.readouterr().err
    assert main(["kubeflow", "compile", "--run", "tiny", "--cluster", "nosuch.yaml"]) == 2
    assert "cluster nosuch.yaml can't be read" in capsys.readouterr().err


def test_a_missing_kfp_is_an_error_with_a_cure() -> None:
    code = "import sys; sys.modules['kfp'] = None\nfrom tfrec.cli.main import main\nsys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "kubeflow", "run-local", "shop.yaml"]
    done = subprocess.run(command, capture_output=True, text=True)
    error = "tfrec: error: Kubeflow's library kfp is not installed; install the extra: pip install '.[kubeflow]'\n"
    assert (done.returncode, done.stderr) == (2, error)


def test_a_run_that_another_version_compiled_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    former = json.loads(named_run("tiny").to_json()) | {"expects": ""}
    assert main(["kubeflow", "outcome", "--run-json", json.dumps(former)]) == 2
    assert "the run has expects too much or too little, so another version of tfrec compiled it; compile it again" in (
        capsys.readouterr().err
    )


def evaluated_run(folder: Path, verdict: Verdict) -> Run:
    """A run whose metadata hold one evaluation."""
    run = dataclasses.replace(named_run("tiny"), out=str(folder))
    Path(run.pipeline_root).mkdir(parents=True)
    protocol = Protocol("test", 0, "utc", ("purchase",), "sold", 1, 0, 1, 0, "", "")
    (folder / "evaluation.json").write_text(Evaluation(protocol, {}, verdict).to_json(), encoding="utf-8")
    store = MetadataStore(connection(run))
    evaluation = mlmd.Artifact(type_id=store.put_artifact_type(mlmd.ArtifactType(name="ModelEvaluation")))
    evaluation.uri = str(folder)
    execution = mlmd.Execution(type_id=store.put_execution_type(mlmd.ExecutionType(name="evaluate_model")))
    execution.last_known_state = mlmd.Execution.COMPLETE
    event = mlmd.Event(type=mlmd.Event.OUTPUT)
    event.path.steps.add(key="evaluation")
    event.path.steps.add(index=0)
    node = mlmd.Context(type_id=store.put_context_type(mlmd.ContextType(name="node")), name="tiny.evaluate_model")
    store.put_execution(execution, [(evaluation, event)], [node])
    return run


def test_outcome_fails_if_the_model_was_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = evaluated_run(tmp_path, Verdict(False, ("worse than popularity",)))
    assert main(["kubeflow", "outcome", "--run-json", run.to_json()]) == 1
    output = "the model was refused, so nothing was pushed: worse than popularity; nothing is in service\n"
    assert capsys.readouterr().out == output


def test_outcome_succeeds_if_the_model_was_blessed(tmp_path: Path) -> None:
    run = evaluated_run(tmp_path, Verdict(True, ("better than popularity",)))
    assert main(["kubeflow", "outcome", "--run-json", run.to_json()]) == 0


@pytest.mark.slow
def test_a_compiled_run_ends_in_pipeline_yaml(monkeypatch, tmp_path, capsys):
    written = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("pipeline.kubeflow.runner.compile_run", lambda run, cluster, out: written.append(out))
    (tmp_path / "cluster.yaml").write_text(
        "image: shop/tfrec:1\nvolume: {claim: tfrec, path: /mnt/tfrec}\n", encoding="utf-8"
    )
    assert main(["kubeflow", "compile", "--run", "tiny"]) == 0
    assert written == ["tiny.pipeline.yaml"]
    assert capsys.readouterr().out == "compiled: tiny.pipeline.yaml\n"
