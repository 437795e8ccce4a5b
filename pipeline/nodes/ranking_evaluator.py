"""TFX's Evaluator for the ranker's probabilities: log loss, AUC and calibration by slice.

It gives no blessing; evaluate_model does. The Evaluator reads the model's predictions
(`rank_candidates`) and not the model, whose inputs are histories and whose outputs rank the
catalog: TFMA can't call it.
"""

# No `from __future__ import annotations`: TFX reads the annotations of its function components.

import os
from typing import Any

import tensorflow_model_analysis as tfma
from google.protobuf import text_format
from tfx.components.evaluator import executor
from tfx.components.evaluator.component import Evaluator
from tfx.components.util import examples_utils
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.components.base.executor_spec import BeamExecutorSpec
from tfx.proto import example_gen_pb2
from tfx.types import Artifact, artifact_utils
from tfx.types.standard_artifacts import Examples, Model
from tfx.utils import path_utils

SPLIT = "eval"
EVAL_CONFIG = text_format.Parse(
    """
    model_specs { label_key: "label" prediction_key: "probability" example_weight_key: "weight" }
    slicing_specs { feature_keys: ["head"] }
    slicing_specs { feature_keys: ["head", "department"] }
    slicing_specs { feature_keys: ["head", "activity"] }
    slicing_specs { feature_keys: ["head", "is_repeat"] }
    metrics_specs {
      metrics { class_name: "AUC" }
      metrics { class_name: "AUCPrecisionRecall" }
      metrics { class_name: "BinaryCrossEntropy" }
      metrics { class_name: "Calibration" }
      metrics { class_name: "MeanLabel" }
      metrics { class_name: "MeanPrediction" }
      metrics { class_name: "ExampleCount" }
    }
    """,
    tfma.EvalConfig(),
)
COLUMNS = {
    "auc": "AUC",
    "auc_precision_recall": "AUC of precision",
    "binary_crossentropy": "log loss",
    "mean_label": "mean label",
    "mean_prediction": "mean prediction",
    "calibration": "calibration",
    "example_count": "candidates",
}
"""Metric of TFMA -> title in the table."""


@component
def rank_candidates(
    examples: InputArtifact[Examples],
    model: InputArtifact[Model],
    candidates: OutputArtifact[Examples],
    users: Parameter[int],
    clock: Parameter[str],
    split: Parameter[str],  # examples.split.method
    code: Parameter[str],  # for TFX's cache alone; see fingerprint.py
) -> None:
    """Write probabilities and labels of candidates of the test window, as tf.Examples."""
    import tensorflow as tf

    from tfrec.evaluation.analysis.candidate_log import ranked_candidates

    rows = ranked_candidates(path_utils.serving_model_path(model.uri), examples.uri, users, clock, split)
    candidates.split_names = artifact_utils.encode_split_names([SPLIT])
    examples_utils.set_payload_format(candidates, example_gen_pb2.PayloadFormat.FORMAT_TF_EXAMPLE)
    folder = artifact_utils.get_split_uri([candidates], SPLIT)
    os.makedirs(folder, exist_ok=True)
    with tf.io.TFRecordWriter(os.path.join(folder, "candidates.gz"), "GZIP") as writer:
        for row in rows.itertuples(index=False, name=None):
            writer.write(to_example(dict(zip(rows.columns, row, strict=True))).SerializeToString())


class TableExecutor(executor.Executor):
    """TFX's Evaluator, which also prints its result as a table."""

    def Do(
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Evaluate and print; executor.Executor.Do documents the arguments."""
        super().Do(input_dict, output_dict, exec_properties)
        print(render(read_slices(artifact_utils.get_single_uri(output_dict["evaluation"]))), flush=True)


class RankingEvaluator(Evaluator):
    """Evaluator with TableExecutor."""

    EXECUTOR_SPEC = BeamExecutorSpec(TableExecutor)


def read_slices(folder: str) -> dict[str, dict[str, float]]:
    """Read an Evaluator's result: slice, such as "purchase, is_repeat yes" -> metric -> value."""
    slices = {}
    for key, outputs in tfma.load_eval_result(folder).slicing_metrics:
        values = {metric: float(value["doubleValue"]) for metric, value in outputs[""][""].items()}
        details = [f"{column} {value}" for column, value in key if column != "head"]
        slices[", ".join([*(value for column, value in key if column == "head"), *details])] = values
    return dict(sorted(slices.items()))


def render(slices: dict[str, dict[str, float]]) -> str:
    """Render a table by head, activity and repeats; departments are in the artifact alone."""
    lines = [f"{'probabilities of the ranker':34}" + "".join(f"{title:>17}" for title in COLUMNS.values())]
    for name, values in slices.items():
        if ", department" not in name:
            cells = [f"{values[metric]:>17,.4f}" for metric in COLUMNS if metric != "example_count"]
            lines.append("".join([f"{name:34}", *cells, f"{values['example_count']:>17,.0f}"]))
    return "\n".join(lines)


def to_example(row: dict[str, Any]) -> Any:
    """Make a tf.Example, with numbers as floats and texts as bytes."""
    import tensorflow as tf

    example = tf.train.Example()
    for name, value in row.items():
        feature = example.features.feature[name]
        if isinstance(value, str):
            feature.bytes_list.value.append(value.encode())
        else:
            feature.float_list.value.append(value)
    return example
