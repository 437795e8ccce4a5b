"""This project's own TFX nodes: checks of examples and export, evaluation, push."""

# No `from __future__ import annotations`: TFX reads the annotations of its function components.

import os
from pathlib import Path
from typing import Any

from tfx.components.example_validator.executor import DEFAULT_FILE_NAME
from tfx.components.pusher import executor as pusher
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.proto import pusher_pb2
from tfx.types import Artifact, artifact_utils
from tfx.types.standard_artifacts import (
    ExampleAnomalies,
    Examples,
    InfraBlessing,
    Model,
    ModelBlessing,
    ModelEvaluation,
)
from tfx.utils import io_utils, path_utils, proto_utils

from pipeline.outcome import EVALUATION_FILE, REPORT_FILE
from tfrec.evaluation.analysis.user_scores import LISTS_FILE, SCORES_FILE


@component
def check_examples(
    anomalies: InputArtifact[ExampleAnomalies],
    examples: InputArtifact[Examples],
    blessing: OutputArtifact[InfraBlessing],
    validation_start: Parameter[int],  # seconds since the epoch; -1 without windows
    test_start: Parameter[int],
    code: Parameter[str],  # for TFX's cache alone; see fingerprint.py
) -> None:
    """Raise DataError, which ends the run, for anomalies or leaks of the future in examples."""
    from tfrec.errors import DataError
    from tfrec.examples.leakage import find_leaks, find_state_leaks

    reasons = _anomalies(anomalies)
    if reasons:
        raise DataError(f"the examples have anomalies: {'; '.join(reasons)}; correct the shop's files and ingest again")
    has_windows = test_start >= 0
    windows = (validation_start, test_start) if has_windows else (None, None)
    leaks = find_leaks(examples.uri, *windows) + find_state_leaks(examples.uri)
    if leaks:
        raise DataError(f"the future leaks into the examples: {'; '.join(leaks)}; fix what made {examples.uri}")
    _bless(blessing, True, "INFRA_BLESSED", "")


@component
def check_model(
    model: InputArtifact[Model],
    blessing: OutputArtifact[InfraBlessing],
    code: Parameter[str],  # for TFX's cache alone; see fingerprint.py
) -> None:
    """Bless an export of supported ops that answers its golden requests in a fresh process."""
    from tfrec.console import log
    from tfrec.export.verify import verify_in_fresh_process

    reason = verify_in_fresh_process(path_utils.serving_model_path(model.uri))
    _bless(blessing, reason is None, "INFRA_BLESSED" if reason is None else "INFRA_NOT_BLESSED", reason or "")
    log(f"export checked: {reason or 'a fresh process reproduces the golden requests'}")


@component
def evaluate_model(
    examples: InputArtifact[Examples],
    model: InputArtifact[Model],
    evaluation: OutputArtifact[ModelEvaluation],
    blessing: OutputArtifact[ModelBlessing],
    config: Parameter[str],
    production: Parameter[str],
    code: Parameter[str],  # for TFX's cache alone; see fingerprint.py
) -> None:
    """Evaluate the export beside baselines and the latest model in `production`; bless or refuse.

    `production` is a folder of versions, read when the node runs. As an input artifact it would
    change with every push, and a run with nothing changed would evaluate again.
    """
    from tfrec.config import config_from_json
    from tfrec.console import log
    from tfrec.evaluation.blessing import evaluate_and_bless
    from tfrec.reports.page import render_page
    from tfrec.reports.score_tables import render_table

    result = evaluate_and_bless(
        path_utils.serving_model_path(model.uri), production, examples.uri, config_from_json(config), log
    )
    for folder in (Path(evaluation.uri), Path(blessing.uri)):  # Pusher gets the blessing alone
        folder.mkdir(parents=True, exist_ok=True)
        result.write(folder)
    _bless(
        blessing,
        result.verdict.blessed,
        "BLESSED" if result.verdict.blessed else "NOT_BLESSED",
        "\n".join(result.verdict.reasons),
    )
    print(render_table(result), flush=True)
    # `tfrec report` renders it again from EVALUATION_FILE, so a changed page needs no new
    # evaluation.
    io_utils.write_string_file(os.path.join(evaluation.uri, REPORT_FILE), render_page(result, "Evaluation"))


class AtomicPusher(pusher.Executor):
    """TFX's Pusher with an atomic push: TFX's own copies file by file into the version's folder."""

    def Do(
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Push by rename if both blessings were given; arguments as of pusher.Executor.Do."""
        from tfrec.versions import add_files, push

        pushed = artifact_utils.get_single_instance(output_dict["pushed_model"])
        if not self.CheckBlessing(input_dict):
            self._MarkNotPushed(pushed)
            return
        destination = pusher_pb2.PushDestination()
        proto_utils.json_to_proto(exec_properties["push_destination"], destination)
        model = self.GetModelPath(input_dict)
        evaluation = _evaluation_files(artifact_utils.get_single_instance(input_dict["model_blessing"]))
        version = push(model, destination.filesystem.base_directory, evaluation)
        io_utils.copy_dir(model, pushed.uri)
        add_files(Path(pushed.uri), evaluation)  # for a later push of this copy
        self._MarkPushed(pushed, pushed_destination=str(version), pushed_version=version.name)


def _evaluation_files(blessing: Artifact) -> list[Path]:
    """The evaluation and the scores of its users, which evaluate_model wrote beside the verdict."""
    files = [Path(blessing.uri) / name for name in (EVALUATION_FILE, SCORES_FILE, LISTS_FILE)]
    return [file for file in files if file.is_file()]


def _anomalies(artifact: Artifact) -> list[str]:
    """A line for each feature with an anomaly."""
    from tensorflow_metadata.proto.v0 import anomalies_pb2

    lines = []
    for split in artifact_utils.decode_split_names(artifact.split_names):
        path = os.path.join(artifact_utils.get_split_uri([artifact], split), DEFAULT_FILE_NAME)
        anomalies = anomalies_pb2.Anomalies.FromString(Path(path).read_bytes())
        for name, info in anomalies.anomaly_info.items():
            lines.append(f"{name} of split {split}: {info.description}")
    return lines


def _bless(blessing: Artifact, is_blessed: bool, file_name: str, reason: str) -> None:
    """Mark the blessing as TFX's validators do: a property for Pusher, a file for people."""
    blessing.set_int_custom_property("blessed", int(is_blessed))
    Path(blessing.uri).mkdir(parents=True, exist_ok=True)
    io_utils.write_string_file(os.path.join(blessing.uri, file_name), reason)
