"""TFX's Evaluator over candidates written by hand: its metrics and their table."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import tensorflow as tf
from google.protobuf import json_format
from tfx.types import Artifact, standard_artifacts

from pipeline.engines import Local
from pipeline.nodes.ranking_evaluator import EVAL_CONFIG, TableExecutor, read_slices, render, to_example

COMMON = {"head": "purchase", "department": "Tea", "activity": "none"}
CANDIDATES = [
    COMMON | {"label": 1.0, "probability": 0.8, "weight": 1.0, "is_repeat": "yes"},
    COMMON | {"label": 0.0, "probability": 0.4, "weight": 10.0, "is_repeat": "yes"},
    COMMON | {"label": 0.0, "probability": 0.1, "weight": 10.0, "is_repeat": "no"},
    COMMON | {"head": "view", "label": 1.0, "probability": 0.5, "weight": 1.0, "is_repeat": "no"},
]


def artifact(name: str, folder: Path) -> Artifact:
    made = getattr(standard_artifacts, name)()
    made.uri = str(folder)
    return made


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the Evaluator's results."""
    home = tmp_path_factory.mktemp("evaluated")
    (home / "candidates" / "Split-eval").mkdir(parents=True)
    with tf.io.TFRecordWriter(str(home / "candidates" / "Split-eval" / "data.gz"), "GZIP") as writer:
        for candidate in CANDIDATES:
            writer.write(to_example(candidate).SerializeToString())
    candidates = artifact("Examples", home / "candidates")
    candidates.split_names = '["eval"]'
    context = TableExecutor.Context(beam_pipeline_args=Local().beam_flags(), tmp_dir=str(home / "tmp"), unique_id="1")
    outputs = {
        "evaluation": [artifact("ModelEvaluation", home / "evaluation")],
        "blessing": [artifact("ModelBlessing", home / "blessing")],
    }
    eval_config = json_format.MessageToJson(EVAL_CONFIG, preserving_proto_field_name=True)
    TableExecutor(context).Do(
        {"examples": [candidates]}, outputs, {"eval_config": eval_config, "example_splits": "null"}
    )
    return home


def test_metrics_of_a_head_count_each_candidate_by_its_weight(evaluated: Path) -> None:
    # 1 + 10 + 10 = 21 candidates with one label; the predictions sum to 0.8 + 10 * 0.4 + 10 * 0.1 =
    # 5.8.
    values = read_slices(str(evaluated / "evaluation"))["purchase"]
    assert values["example_count"] == pytest.approx(21)
    assert values["mean_label"] == pytest.approx(1 / 21)
    assert values["mean_prediction"] == pytest.approx(5.8 / 21)
    assert values["calibration"] == pytest.approx(5.8)
    losses = -math.log(0.8) - 10 * math.log(0.6) - 10 * math.log(0.9)
    assert values["binary_crossentropy"] == pytest.approx(losses / 21, rel=1e-4)
    assert values["auc"] == pytest.approx(1.0, abs=1e-3)


def test_every_slice_belongs_to_one_head(evaluated: Path) -> None:
    slices = read_slices(str(evaluated / "evaluation"))
    assert slices["purchase, is_repeat yes"]["mean_label"] == pytest.approx(1 / 11)
    assert slices["purchase, is_repeat no"]["mean_label"] == 0
    assert slices["view"]["mean_label"] == 1
    parts = ("activity none", "department Tea", "is_repeat no")
    assert list(slices) == [
        "purchase", "purchase, activity none", "purchase, department Tea", "purchase, is_repeat no",
        "purchase, is_repeat yes", "view", *(f"view, {part}" for part in parts),
    ]  # fmt: skip


def test_the_table_has_a_row_for_every_slice_but_departments(evaluated: Path) -> None:
    head, *lines = render(read_slices(str(evaluated / "evaluation"))).splitlines()
    titles = "AUC AUC of precision log loss mean label mean prediction calibration candidates"
    assert head.split() == f"probabilities of the ranker {titles}".split()
    assert [line[:34].strip() for line in lines] == [
        "purchase", "purchase, activity none", "purchase, is_repeat no", "purchase, is_repeat yes",
        "view", "view, activity none", "view, is_repeat no",
    ]  # fmt: skip
    assert lines[0].split()[-4:] == ["0.0476", "0.2762", "5.8000", "21"]


def test_the_evaluator_gives_no_blessing(evaluated: Path) -> None:
    assert not (evaluated / "blessing").exists()
