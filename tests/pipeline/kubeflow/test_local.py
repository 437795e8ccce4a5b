"""A compiled pipeline of two pods run as processes that log their inputs, and refused files."""

# No `from __future__ import annotations`: kfp reads the annotations of its components.

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from kfp import compiler, dsl, kubernetes

from pipeline.kubeflow.local import run_local
from tfrec.errors import ConfigError, TfrecError

POD = """
import json, os, sys
from pathlib import Path
seen = {"words": sys.argv[2:], "folder": os.getcwd(), "here": os.listdir(), "variables": dict(os.environ)}
Path(os.environ["LOG"]).open("a").write(json.dumps(seen) + chr(10))
Path("left behind").touch()
if sys.argv[1] != "-": Path(sys.argv[1]).write_text("from the first")
sys.exit(3 if "fail" in sys.argv else 0)
"""


class Toy:
    """A compiled file of two pods, of which the second gets the first's output, and their log."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "toy.yaml"
        self.log = folder / "log"
        self.volume = folder / "volume"
        self.volume.mkdir()
        self.compile()

    def compile(self, *, last: str = "end", secret: bool = False) -> None:
        @dsl.container_component
        def first(run: str, text: dsl.OutputPath(str)):
            return dsl.ContainerSpec(image="toy", command=[sys.executable, "-c", POD], args=[text, "--run", run])

        @dsl.container_component
        def second(text: str, size: int = 3, rate: float = 1e-7, deep: bool = True, kinds: list = ["a", 1]):  # noqa: B006
            arguments = ["-", f"text={text}", size, rate, deep, kinds, last]
            return dsl.ContainerSpec(image="toy", command=["python", "-c", POD], args=arguments)

        @dsl.pipeline(name="toy")
        def toy():
            one = first(run=dsl.PIPELINE_JOB_ID_PLACEHOLDER)
            for task in (one, second(text=one.outputs["text"])):
                task.set_env_variable("LOG", str(self.log))
                kubernetes.mount_pvc(task, "shop", str(self.volume))
                if secret:
                    kubernetes.use_secret_as_env(task, "bucket", {"key": "TOY_BUCKET_KEY"})

        compiler.Compiler().compile(toy, str(self.file))

    def change(self, *path: str, to: Any) -> None:
        """Set a field of the pipeline's document."""
        pipeline, platform = yaml.safe_load_all(self.file.read_text(encoding="utf-8"))
        fields = pipeline
        for name in path[:-1]:
            fields = fields[name]
        fields[path[-1]] = to
        self.file.write_text(yaml.safe_dump_all([pipeline, platform]), encoding="utf-8")

    def logged(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    return Toy(tmp_path)


def test_a_pod_gets_the_output_of_an_earlier_one(toy: Toy) -> None:
    run_local(toy.file)
    one, two = toy.logged()
    # Numbers as Go's FormatFloat(value, 'f', -1, 64) writes them, lists as its JSON.
    assert two["words"] == ["text=from the first", "3", "0.0000001", "true", '["a",1]', "end"]
    assert one["words"][0] == "--run"
    assert len(one["words"][1]) == 36  # a UUID by the driver


def test_each_pod_has_its_own_empty_folder(toy: Toy) -> None:
    run_local(toy.file)
    one, two = toy.logged()
    assert one["folder"] != two["folder"]
    assert one["here"] == two["here"] == []
    assert not Path(one["folder"]).exists()


def test_a_pod_has_only_the_variables_of_image_and_file(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFREC_RUN", "of this process")
    run_local(toy.file)
    for seen in toy.logged():
        assert set(seen["variables"]) - {"LC_CTYPE"} == {"PATH", "HOME", "LOG"}  # Python sets it in a bare locale


def test_a_secrets_variable_is_taken_from_this_process(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    toy.compile(secret=True)
    with pytest.raises(ConfigError, match="has its variable TOY_BUCKET_KEY from a secret; set TOY_BUCKET_KEY here"):
        run_local(toy.file)
    assert toy.logged() == []
    monkeypatch.setenv("TOY_BUCKET_KEY", "open sesame")
    run_local(toy.file)
    assert [seen["variables"]["TOY_BUCKET_KEY"] for seen in toy.logged()] == ["open sesame"] * 2


def test_until_stops_after_a_task(toy: Toy) -> None:
    run_local(toy.file, until="first")
    assert len(toy.logged()) == 1
    with pytest.raises(ConfigError, match=r"--until is 'third', but .* has no such task; give one of first, second"):
        run_local(toy.file, until="third")


def test_a_failed_task_ends_the_run(toy: Toy) -> None:
    toy.compile(last="fail")
    with pytest.raises(TfrecError, match="task second ended with code 3; see its output above"):
        run_local(toy.file)


def test_a_pod_without_its_output_fails(toy: Toy) -> None:
    toy.change("deploymentSpec", "executors", "exec-first", "container", "command", to=["true"])
    with pytest.raises(TfrecError, match="task first: failed to read output parameter name='text': it wrote none"):
        run_local(toy.file)


def test_a_placeholder_that_kubeflow_does_not_fill_in_is_refused(toy: Toy) -> None:
    container = ("deploymentSpec", "executors", "exec-first", "container")
    toy.change(*container, "args", to=["-", "{{$.pipeline_job_uuid}}"])
    with pytest.raises(
        ConfigError, match=r"task first has the argument '{{\$.pipeline_job_uuid}}', whose placeholder Kubeflow"
    ):
        run_local(toy.file)


def test_a_missing_volume_is_reported_before_anything_runs(toy: Toy) -> None:
    toy.volume.rmdir()
    with pytest.raises(
        ConfigError, match=r"task first mounts the volume 'shop' at .*/volume, which is not a writable folder"
    ):
        run_local(toy.file)
    assert toy.logged() == []


EXECUTOR = ("deploymentSpec", "executors", "exec-first")
TASK = ("root", "dag", "tasks", "first")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (
            ("schemaVersion",),
            "2.0.0",
            r"KFP only supports schema version 2.1.0, but the pipeline spec has version 2.0.0",
        ),
        (("pipelineInfo", "name"), "My Shop", r"invalid v2 pipeline spec: the name is 'My Shop'"),
        (("shop",), "mine", r"invalid v2 pipeline spec: .* no field named \"shop\""),
        (EXECUTOR, {"resolver": {}}, r"compiling task 'first': resolver executors not implemented"),
        (EXECUTOR, {"customJob": {}}, r"custom job executors is Google Cloud only, it's not supported"),
        (EXECUTOR, {}, r"unknown executor spec type"),
        (EXECUTOR, {"container": {"command": ["true"]}}, r"executor 'exec-first' names no image"),
        (EXECUTOR, {"container": {"image": "toy"}}, r"command and arguments are empty"),
        ((*TASK, "componentRef", "name"), "comp-third", r"component spec for 'comp-third' not found"),
        ((*TASK, "artifactIterator"), {"itemInput": "x"}, r"artifact iterator not implemented yet"),
        (("components", "comp-first"), {}, r"unsupported component implementation kind: <nil>"),
        (("components", "comp-first", "executorLabel"), "x", r"executor with label 'x' not found"),
        (("root", "dag", "tasks"), {}, r"DAG root must contain one or more non-exit tasks"),
    ],
)
def test_a_file_that_kubeflow_refuses_has_the_servers_message(
    toy: Toy, path: tuple[str, ...], value: Any, message: str
) -> None:
    toy.change(*path, to=value)
    with pytest.raises(ConfigError, match=f"Kubeflow Pipelines refuses it: .*{message}"):
        run_local(toy.file)
    assert toy.logged() == []


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (EXECUTOR, {"importer": {"typeSchema": {"schemaTitle": "system.Model"}}}, "an importer"),
        (("components", "comp-first"), {"dag": {"tasks": {}}}, "a graph of its own"),
        ((*TASK, "parameterIterator"), {"itemInput": "x"}, "a loop"),
        ((*TASK, "triggerPolicy"), {"condition": "false"}, "under a condition"),
        ((*TASK, "triggerPolicy"), {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"}, "run after failures too"),
        (
            ("components", "comp-first", "outputDefinitions"),
            {"artifacts": {"model": {"artifactType": {"schemaTitle": "system.Model"}}}},
            "given artifacts by Kubeflow",
        ),
    ],
)
def test_a_task_that_only_a_cluster_runs_is_refused(toy: Toy, path: tuple[str, ...], value: Any, message: str) -> None:
    toy.change(*path, to=value)
    with pytest.raises(ConfigError, match=f"task first of .* is {message}, which only a cluster runs; submit the file"):
        run_local(toy.file)


def test_circular_and_missing_dependencies_are_refused(toy: Toy) -> None:
    toy.change(*TASK, "dependentTasks", to=["second"])
    with pytest.raises(ConfigError, match="has tasks that wait for each other: "):
        run_local(toy.file)
    toy.change(*TASK, "dependentTasks", to=["third"])
    with pytest.raises(ConfigError, match=r"task first of .* depends on third, which does not exist"):
        run_local(toy.file)


def test_a_file_without_a_pipeline_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nosuch.yaml can't be read as YAML"):
        run_local(tmp_path / "nosuch.yaml")
    (tmp_path / "empty.yaml").write_text("", encoding="utf-8")
    with pytest.raises(ConfigError, match="no pipeline spec is provided"):
        run_local(tmp_path / "empty.yaml")
    (tmp_path / "list.yaml").write_text("- a pipeline", encoding="utf-8")
    with pytest.raises(ConfigError, match="invalid v2 pipeline spec"):
        run_local(tmp_path / "list.yaml")
