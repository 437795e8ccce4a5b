"""The command line of Kubeflow's verbs, as far as it needs neither TFX nor a cluster."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest
from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

from pipeline.outcome import connection
from pipeline.runs import Run, named_run
from tfrec.cli.kubeflow import VERBS
from tfrec.cli.main import main
from tfrec.evaluation.scores import Evaluation, Protocol, Verdict


def test_help_names_every_verb_and_says_which_are_for_pods(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["kubeflow", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert [name for name, _, _ in VERBS] == ["compile", "submit", "run-local", "plan", "node", "outcome"]
    for name, command, _ in VERBS:
        assert f"{name} {command.__doc__}" in told
        assert str(command.__doc__).startswith("for a pod: ") == (name in ("plan", "node", "outcome"))


def test_a_run_that_there_is_not_and_a_cluster_that_there_is_not_are_told_at_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["kubeflow", "compile", "--run", "nosuch"]) == 2
    assert "run 'nosuch' is not one of tiny, " in capsys.readouterr().err
    assert main(["kubeflow", "compile", "--run", "tiny", "--cluster", "nosuch.yaml"]) == 2
    assert "cluster nosuch.yaml can't be read" in capsys.readouterr().err


def test_without_kubeflows_library_its_cure_is_told() -> None:
    code = "import sys; sys.modules['kfp'] = None\nfrom tfrec.cli.main import main\nsys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "kubeflow", "run-local", "shop.yaml"]
    done = subprocess.run(command, capture_output=True, text=True)
    told = "tfrec: error: Kubeflow's library kfp is not installed; install the extra: pip install '.[kubeflow]'\n"
    assert (done.returncode, done.stderr) == (2, told)


def judged(folder: Path, verdict: Verdict) -> Run:
    """A run whose metadata know of one evaluation."""
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


def test_the_last_pod_fails_where_the_model_was_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = judged(tmp_path, Verdict(False, ("worse than popularity",)))
    assert main(["kubeflow", "outcome", "--run-json", run.to_json()]) == 1
    told = "the model was refused, so nothing was pushed: worse than popularity; nothing is in service\n"
    assert capsys.readouterr().out == told


def test_the_last_pod_ends_well_where_the_model_was_blessed(tmp_path: Path) -> None:
    run = judged(tmp_path, Verdict(True, ("better than popularity",)))
    assert main(["kubeflow", "outcome", "--run-json", run.to_json()]) == 0


def test_a_compiled_run_has_a_name_that_no_mapping_has(monkeypatch, tmp_path, capsys):
    written = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("pipeline.kubeflow.runner.compile_run", lambda run, cluster, out: written.append(out))
    (tmp_path / "cluster.yaml").write_text(
        "image: shop/tfrec:1\nvolume: {claim: tfrec, path: /mnt/tfrec}\n", encoding="utf-8"
    )
    assert main(["kubeflow", "compile", "--run", "tiny"]) == 0
    assert written == ["tiny.pipeline.yaml"]
    assert capsys.readouterr().out == "compiled: tiny.pipeline.yaml\n"
