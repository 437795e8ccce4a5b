"""Our TFX nodes on real artifacts: which model gets which blessing, and what then lies in the serving folder.

The models are the toys of tests/conftest.py; each executor is called as TFX's launcher calls it.
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
from tfrec.evaluation.scores import Evaluation

TOY_START = 20_000 * 86_400  # of the toys' test window, as tests/conftest.py has it


@pytest.fixture(scope="module")
def checked(toys: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders in which check_model was run on the wise toy, and on copies that were damaged in one way each."""
    homes = {}
    for damage in (nothing, foreign_op, byte_flipped, graph_cut_off, probes_missing):
        homes[damage.__name__] = home = tmp_path_factory.mktemp(damage.__name__)
        shutil.copytree(toys["wise"], home / "trained" / "Format-Serving")
        damage(home / "trained" / "Format-Serving")
    with ThreadPoolExecutor(2) as pool:  # each check is a process of its own
        list(pool.map(check, homes.values()))
    return homes


def nothing(model: Path) -> None:
    """The model is sound."""


def foreign_op(model: Path) -> None:
    """Its function calls an op that no server links."""
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    saved = SavedModel.FromString((model / "saved_model.pb").read_bytes())
    nodes = [node for function in saved.meta_graphs[0].graph_def.library.function for node in function.node_def]
    next(node for node in nodes if node.op == "MatMul").op = "ShopsOwnMatMul"
    (model / "saved_model.pb").write_bytes(saved.SerializeToString())


def byte_flipped(model: Path) -> None:
    """One byte of the weights is another."""
    (data,) = (model / "variables").glob("variables.data*")
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 0xFF
    data.write_bytes(content)


def graph_cut_off(model: Path) -> None:
    """The disk was full."""
    content = (model / "saved_model.pb").read_bytes()
    (model / "saved_model.pb").write_bytes(content[: len(content) // 2])


def probes_missing(model: Path) -> None:
    """Nobody can tell any more what the trained model answered."""
    (model / "assets.extra" / "tfrec_probes.npz").unlink()


def artifact(name: str, folder: Path) -> Artifact:
    """One of TFX's standard artifacts, its files in a folder."""
    made = getattr(standard_artifacts, name)()
    made.uri = str(folder)
    return made


def execute(node: Any, inputs: dict[str, Artifact], outputs: dict[str, Artifact], **properties: str | int) -> None:
    executor = node.EXECUTOR_SPEC.executor_class()
    executor.Do({k: [v] for k, v in inputs.items()}, {k: [v] for k, v in outputs.items()}, properties)


def check(home: Path) -> None:
    """Runs check_model on the model in `home`; its verdict is then in `home` too."""
    blessing = artifact("InfraBlessing", home / "checked")
    execute(check_model, {"model": artifact("Model", home / "trained")}, {"blessing": blessing}, code="")
    assert blessing.get_int_custom_property("blessed") == int((home / "checked" / "INFRA_BLESSED").exists())


def evaluate(model: Path, examples: Path, production: Path, home: Path) -> bool:
    """Runs evaluate_model on a copy of `model`; whether it was blessed."""
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


def push(home: Path, serving: Path, is_sound: bool, is_good: bool) -> Artifact:
    """Runs Pusher on the model in `home` with those two blessings; what it says it pushed."""
    judged, checked = artifact("ModelBlessing", home / "judged"), artifact("InfraBlessing", home / "checked")
    judged.set_int_custom_property("blessed", int(is_good))
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


def validated(folder: Path, **anomalies: str) -> Artifact:
    """What ExampleValidator leaves where it found those anomalies (feature -> description) in the train split."""
    found = anomalies_pb2.Anomalies()
    for name, description in anomalies.items():
        found.anomaly_info[name].description = description
    (folder / "Split-train").mkdir(parents=True)
    (folder / "Split-train" / "SchemaDiff.pb").write_bytes(found.SerializeToString())
    made = artifact("ExampleAnomalies", folder)
    made.split_names = '["train"]'
    return made


def check_split(anomalies: Artifact, examples: Path, home: Path, test_start: int = TOY_START) -> None:
    """Runs check_examples on the examples; its blessing, if any, is then in `home`."""
    inputs = {"anomalies": anomalies, "examples": artifact("Examples", examples)}
    windows = {"validation_start": test_start - 7 * 86_400, "test_start": test_start}
    execute(check_examples, inputs, {"blessing": artifact("InfraBlessing", home / "blessing")}, code="", **windows)


def test_sound_examples_let_the_run_go_on(toy_examples: Path, tmp_path: Path) -> None:
    check_split(validated(tmp_path / "anomalies"), toy_examples, tmp_path)
    assert (tmp_path / "blessing" / "INFRA_BLESSED").exists()


def test_examples_that_break_the_schema_end_the_run_with_each_reason(toy_examples: Path, tmp_path: Path) -> None:
    anomalies = validated(tmp_path / "anomalies", event_price="Unexpectedly low values: -3.000000 < 0.000000.")
    with pytest.raises(DataError, match=r"event_price of split train: Unexpectedly low values: -3.* ingest again"):
        check_split(anomalies, toy_examples, tmp_path)
    assert not (tmp_path / "blessing").exists()


def test_a_leak_of_the_future_ends_the_run(toy_examples: Path, tmp_path: Path) -> None:
    # As if the test window began ten days later: its targets then lie before it.
    with pytest.raises(
        DataError, match=r"the future leaks into the examples: .* test targets before second .*mend what"
    ):
        check_split(validated(tmp_path / "anomalies"), toy_examples, tmp_path, TOY_START + 10 * 86_400)
    assert not (tmp_path / "blessing").exists()


def test_a_sound_export_is_blessed(checked: dict[str, Path]) -> None:
    assert is_checked(checked["nothing"])


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        ("foreign_op", "the model uses ShopsOwnMatMul, which stock TensorFlow Serving does not link"),
        ("byte_flipped", "does not load: "),
        ("graph_cut_off", "holds no readable saved_model.pb"),
        ("probes_missing", "has no readable probes"),
    ],
)
def test_a_damaged_export_is_not_blessed_and_not_pushed(
    checked: dict[str, Path], damage: str, reason: str, tmp_path: Path
) -> None:
    home = checked[damage]
    assert not is_checked(home)
    assert reason in (home / "checked" / "INFRA_NOT_BLESSED").read_text(encoding="utf-8")
    pushed = push(home, tmp_path / "serving", is_checked(home), is_good=True)
    assert pushed.get_int_custom_property("pushed") == 0
    assert not (tmp_path / "serving").exists()


def test_a_model_below_the_baseline_is_refused_with_the_reason_and_not_pushed(
    toys: dict[str, Path], toy_examples: Path, tmp_path: Path
) -> None:
    is_good = evaluate(toys["wrong"], toy_examples, tmp_path / "serving", tmp_path)
    assert not is_good
    assert (tmp_path / "judged" / "NOT_BLESSED").read_text(encoding="utf-8") == (
        "two-tower has ndcg@20 0.4307 on all, not surely above the 0.4769 of the baseline recent_popularity: "
        "by -0.0462, 95 % interval -0.1456 to 0.0532"
    )
    assert push(tmp_path, tmp_path / "serving", True, is_good).get_int_custom_property("pushed") == 0
    assert not (tmp_path / "serving").exists()


def test_a_model_worse_than_the_one_in_production_leaves_that_one_in_its_place(
    toys: dict[str, Path], toy_examples: Path, tmp_path: Path
) -> None:
    serving = tmp_path / "serving"
    is_good = evaluate(toys["wise"], toy_examples, serving, tmp_path / "first")
    assert is_good
    assert (tmp_path / "first" / "judged" / "BLESSED").exists()
    page = (tmp_path / "first" / "evaluation" / REPORT_FILE).read_text(encoding="utf-8")
    assert page.index("BLESSED") < page.index("two-tower has ndcg@20 1.0000 on all, above the 0.4769")
    first = push(tmp_path / "first", serving, True, is_good)
    assert first.get_int_custom_property("pushed") == 1
    assert first.get_string_custom_property("pushed_destination") == str(
        serving / first.get_string_custom_property("pushed_version")
    )

    is_good = evaluate(toys["half"], toy_examples, serving, tmp_path / "second")
    assert not is_good
    assert "below the required 0.9800" in (tmp_path / "second" / "judged" / "NOT_BLESSED").read_text(encoding="utf-8")
    push(tmp_path / "second", serving, True, is_good)
    assert [path.name for path in serving.iterdir()] == [first.get_string_custom_property("pushed_version")]


def test_a_better_model_becomes_a_later_version_beside_the_first(
    toys: dict[str, Path], toy_examples: Path, tmp_path: Path
) -> None:
    serving = tmp_path / "serving"
    versions = []
    for name in ("half", "wise"):
        assert evaluate(toys[name], toy_examples, serving, tmp_path / name)
        for _ in range(2):  # the second time as after a kill between the push and the metadata's record of it
            pushed = push(tmp_path / name, serving, True, True)
        versions.append(int(pushed.get_string_custom_property("pushed_version")))
    assert versions[0] < versions[1]
    assert sorted(int(path.name) for path in serving.iterdir()) == versions
    evaluation = Evaluation.from_json((tmp_path / "wise" / "evaluation" / EVALUATION_FILE).read_text(encoding="utf-8"))
    assert "in production" in evaluation.scores
    assert filecmp.dircmp(toys["wise"], serving / str(versions[1])).diff_files == []


def test_either_refusal_alone_keeps_a_model_from_being_pushed(toys: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(toys["wise"], tmp_path / "trained" / "Format-Serving")
    for is_sound, is_good in ((False, True), (True, False), (False, False)):
        push(tmp_path, tmp_path / "serving", is_sound, is_good)
    assert not (tmp_path / "serving").exists()
