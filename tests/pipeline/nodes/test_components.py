"""This project's TFX nodes on real artifacts: blessings of models, and pushed versions.

The models are the toys of tests/conftest.py. Executors are called as TFX's launcher calls them.
"""

from __future__ import annotations

import filecmp
import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx.types import Artifact, standard_artifacts

from pipeline.nodes.components import (
    EVALUATION_FILE,
    REPORT_FILE,
    AtomicPusher,
    check_examples,
    check_model,
    evaluate_model,
)
from tfrec.config import Config
from tfrec.errors import DataError
from tfrec.evaluation.result import Evaluation

TOY_START = 20_000 * 86_400  # of the toys' test window, as in tests/conftest.py


@pytest.fixture(scope="module")
def checked(toys: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Damage -> folder in which check_model ran on a copy of the toy `wise` with that damage."""
    homes = {}
    for damage in (nothing, foreign_op, byte_flipped, graph_cut_off, golden_requests_missing):
        homes[damage.__name__] = home = tmp_path_factory.mktemp(damage.__name__)
        shutil.copytree(toys["wise"], home / "trained" / "Format-Serving")
        damage(home / "trained" / "Format-Serving")
    with ThreadPoolExecutor(2) as pool:  # each check is a process of its own
        list(pool.map(check, homes.values()))
    return homes


def nothing(model: Path) -> None:
    """Change nothing."""


def foreign_op(model: Path) -> None:
    """Call an op that stock TensorFlow Serving does not link."""
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    saved = SavedModel.FromString((model / "saved_model.pb").read_bytes())
    nodes = [node for function in saved.meta_graphs[0].graph_def.library.function for node in function.node_def]
    next(node for node in nodes if node.op == "MatMul").op = "ShopsOwnMatMul"
    (model / "saved_model.pb").write_bytes(saved.SerializeToString())


def byte_flipped(model: Path) -> None:
    """Change one byte of the weights."""
    (data,) = (model / "variables").glob("variables.data*")
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 0xFF
    data.write_bytes(content)


def graph_cut_off(model: Path) -> None:
    """Truncate the graph, as on a full disk."""
    content = (model / "saved_model.pb").read_bytes()
    (model / "saved_model.pb").write_bytes(content[: len(content) // 2])


def golden_requests_missing(model: Path) -> None:
    """Remove the golden requests."""
    (model / "assets.extra" / "tfrec_golden_requests.npz").unlink()


def artifact(name: str, folder: Path) -> Artifact:
    """Make one of TFX's standard artifacts with its files in a folder."""
    one = getattr(standard_artifacts, name)()
    one.uri = str(folder)
    return one


def execute(node: Any, inputs: dict[str, Artifact], outputs: dict[str, Artifact], **properties: str | int) -> None:
    executor = node.EXECUTOR_SPEC.executor_class()
    executor.Do({k: [v] for k, v in inputs.items()}, {k: [v] for k, v in outputs.items()}, properties)


def check(home: Path) -> None:
    """Run check_model on the model in `home`, where it writes its blessing."""
    blessing = artifact("InfraBlessing", home / "checked")
    execute(check_model, {"model": artifact("Model", home / "trained")}, {"blessing": blessing}, code="")
    assert blessing.get_int_custom_property("blessed") == int((home / "checked" / "INFRA_BLESSED").exists())


def evaluate(model: Path, examples: Path, production: Path, home: Path) -> bool:
    """Run evaluate_model on a copy of `model` in `home`; returns whether it was blessed."""
    shutil.copytree(model, home / "trained" / "Format-Serving")
    blessing = artifact("ModelBlessing", home / "judged")
    execute(
        evaluate_model,
        {"examples": artifact("Examples", examples), "model": artifact("Model", home / "trained")},
        {"evaluation": artifact("ModelEvaluation", home / "evaluation"), "blessing": blessing},
        config=Config().to_json(),
        production=str(production),
        code="",
    )
    return blessing.get_int_custom_property("blessed") == 1


def push(home: Path, serving: Path, is_sound: bool, is_blessed: bool) -> Artifact:
    """Run Pusher on the model in `home` with these two blessings; returns its artifact."""
    judged, checked = artifact("ModelBlessing", home / "judged"), artifact("InfraBlessing", home / "checked")
    judged.set_int_custom_property("blessed", int(is_blessed))
    checked.set_int_custom_property("blessed", int(is_sound))
    pushed = artifact("PushedModel", home / "pushed")
    AtomicPusher().Do(
        {"model": [artifact("Model", home / "trained")], "model_blessing": [judged], "infra_blessing": [checked]},
        {"pushed_model": [pushed]},
        {"push_destination": json.dumps({"filesystem": {"base_directory": str(serving)}})},
    )
    return pushed


def is_checked(home: Path) -> bool:
    return (home / "checked" / "INFRA_BLESSED").exists()


def validation_of(folder: Path, **anomalies: str) -> Artifact:
    """ExampleValidator's artifact with anomalies (feature -> description) in the train split."""
    message = anomalies_pb2.Anomalies()
    for name, description in anomalies.items():
        message.anomaly_info[name].description = description
    (folder / "Split-train").mkdir(parents=True)
    (folder / "Split-train" / "SchemaDiff.pb").write_bytes(message.SerializeToString())
    validation = artifact("ExampleAnomalies", folder)
    validation.split_names = '["train"]'
    return validation


def check_split(anomalies: Artifact, examples: Path, home: Path, test_start: int = TOY_START) -> None:
    """Run check_examples, which writes its blessing into `home`."""
    inputs = {"anomalies": anomalies, "examples": artifact("Examples", examples)}
    windows = {"validation_start": test_start - 7 * 86_400, "test_start": test_start}
    execute(check_examples, inputs, {"blessing": artifact("InfraBlessing", home / "blessing")}, code="", **windows)


def test_examples_without_anomalies_and_leaks_are_blessed(toy_examples: Path, tmp_path: Path) -> None:
    check_split(validation_of(tmp_path / "anomalies"), toy_examples, tmp_path)
    assert (tmp_path / "blessing" / "INFRA_BLESSED").exists()


def test_an_anomaly_ends_the_run_with_its_description(toy_examples: Path, tmp_path: Path) -> None:
    anomalies = validation_of(tmp_path / "anomalies", event_price="Unexpectedly low values: -3.000000 < 0.000000.")
    with pytest.raises(DataError, match=r"event_price of split train: Unexpectedly low values: -3.* ingest again"):
        check_split(anomalies, toy_examples, tmp_path)
    assert not (tmp_path / "blessing").exists()


def test_a_leak_of_the_future_ends_the_run(toy_examples: Path, tmp_path: Path) -> None:
    # The test window begins ten days too late, so its targets lie before it.
    with pytest.raises(
        DataError, match=r"the future leaks into the examples: .* test targets before second .*fix what"
    ):
        check_split(validation_of(tmp_path / "anomalies"), toy_examples, tmp_path, TOY_START + 10 * 86_400)
    assert not (tmp_path / "blessing").exists()


@pytest.mark.slow
def test_a_sound_export_is_blessed(checked: dict[str, Path]) -> None:
    assert is_checked(checked["nothing"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        ("foreign_op", "the model uses ShopsOwnMatMul, which stock TensorFlow Serving does not link"),
        ("byte_flipped", "does not load: "),
        ("graph_cut_off", "holds no readable saved_model.pb"),
        ("golden_requests_missing", "has no readable golden requests"),
    ],
)
def test_a_damaged_export_is_not_blessed_and_not_pushed(
    checked: dict[str, Path], damage: str, reason: str, tmp_path: Path
) -> None:
    home = checked[damage]
    assert not is_checked(home)
    assert reason in (home / "checked" / "INFRA_NOT_BLESSED").read_text(encoding="utf-8")
    pushed = push(home, tmp_path / "serving", is_checked(home), is_blessed=True)
    assert pushed.get_int_custom_property("pushed") == 0
    assert not (tmp_path / "serving").exists()


@pytest.mark.slow
def test_a_model_below_the_baseline_is_refused_and_not_pushed(
    toys: dict[str, Path], toy_examples: Path, tmp_path: Path
) -> None:
    is_blessed = evaluate(toys["wrong"], toy_examples, tmp_path / "serving", tmp_path)
    assert not is_blessed
    assert (tmp_path / "judged" / "NOT_BLESSED").read_text(encoding="utf-8").splitlines()[0] == (
        "two-tower has ndcg@20 0.4307 on all, not surely above the 0.4769 of the baseline recent_popularity: "
        "by -0.0462, 95 % interval -0.1456 to 0.0532; a longer test window (examples.split.test_days) narrows the "
        "interval, and `floor: []` pushes a model that is not surely better"
    )
    assert push(tmp_path, tmp_path / "serving", True, is_blessed).get_int_custom_property("pushed") == 0
    assert not (tmp_path / "serving").exists()


@pytest.mark.slow
def test_a_model_worse_than_the_one_in_production_is_not_pushed(
    toys: dict[str, Path], toy_examples: Path, tmp_path: Path
) -> None:
    serving = tmp_path / "serving"
    is_blessed = evaluate(toys["wise"], toy_examples, serving, tmp_path / "first")
    assert is_blessed
    assert (tmp_path / "first" / "judged" / "BLESSED").exists()
    page = (tmp_path / "first" / "evaluation" / REPORT_FILE).read_text(encoding="utf-8")
    assert page.index("BLESSED") < page.index("two-tower has ndcg@20 1.0000 on all, above the 0.4769")
    first = push(tmp_path / "first", serving, True, is_blessed)
    assert first.get_int_custom_property("pushed") == 1
    assert first.get_string_custom_property("pushed_destination") == str(
        serving / first.get_string_custom_property("pushed_version")
    )

    is_blessed = evaluate(toys["half"], toy_examples, serving, tmp_path / "second")
    assert not is_blessed
    refusal = (tmp_path / "second" / "judged" / "NOT_BLESSED").read_text(encoding="utf-8")
    assert "inferior to the 1.0000 of the model in production" in refusal
    push(tmp_path / "second", serving, True, is_blessed)
    assert [path.name for path in serving.iterdir()] == [first.get_string_custom_property("pushed_version")]


@pytest.mark.slow
def test_a_better_model_becomes_a_later_version(toys: dict[str, Path], toy_examples: Path, tmp_path: Path) -> None:
    serving = tmp_path / "serving"
    versions = []
    for name in ("half", "wise"):
        assert evaluate(toys[name], toy_examples, serving, tmp_path / name)
        for _ in range(2):  # again, as after a kill between the push and its record in the metadata
            pushed = push(tmp_path / name, serving, True, True)
        versions.append(int(pushed.get_string_custom_property("pushed_version")))
    assert versions[0] < versions[1]
    assert sorted(int(path.name) for path in serving.iterdir()) == versions
    evaluation = Evaluation.from_json((tmp_path / "wise" / "evaluation" / EVALUATION_FILE).read_text(encoding="utf-8"))
    assert "in production" in evaluation.scores
    version = serving / str(versions[1])
    assert filecmp.dircmp(toys["wise"], version).diff_files == []
    kept = Evaluation.read(version / "assets.extra" / EVALUATION_FILE)
    assert kept == evaluation
    assert kept.users is not None
    assert set(kept.users.scores["model"].to_pylist()) == {"linear_autoencoder", "in production", "two-tower"}


def test_a_model_without_both_blessings_is_not_pushed(toys: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(toys["wise"], tmp_path / "trained" / "Format-Serving")
    for is_sound, is_blessed in ((False, True), (True, False), (False, False)):
        push(tmp_path, tmp_path / "serving", is_sound, is_blessed)
    assert not (tmp_path / "serving").exists()
