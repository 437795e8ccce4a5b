"""Run a compiled pipeline without a cluster: its command lines in order, each as a process.

A process gets exactly what the pod's launcher would give it (kubeflow/pipelines:
backend/src/v2/component/launcher_v2.go, and backend/src/v2/driver for the inputs): its command line
with the launcher's placeholders filled in, an empty working directory, and the variables in the
file. In place of the image it has this environment's programs. There are no limits, no retries and
no Kubeflow cache, which `tfrec kubeflow compile` turns off anyway.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from google.protobuf import json_format, struct_pb2

from pipeline.kubeflow.spec import Task, read_compiled
from tfrec.errors import ConfigError, TfrecError

Values = dict[str, str]
"""Parameter -> value; this project's pods pass text only."""


def run_local(path: Path, until: str = "") -> None:
    """Run all tasks, or up to the task or TFX node `until`; raises TfrecError for a failure."""
    tasks = read_compiled(path)
    names = [name for task in tasks for name in (task.name, task.spec.task_info.name)]
    if until and until not in names:
        raise ConfigError(f"--until is {until!r}, but {path} has no such task; give one of {', '.join(names[1::2])}")
    for task in tasks:
        _check(task)
    run = {"{{$.pipeline_job_uuid}}": str(uuid.uuid4())}
    outputs: dict[tuple[str, str], str] = {}  # (task, output) -> value
    started = time.monotonic()
    for task in tasks:
        title = task.spec.task_info.name or task.name
        print(f"\n[{time.monotonic() - started:4.0f} s] {title}", flush=True)
        outputs |= {(task.name, name): value for name, value in _run(task, _inputs(task, outputs, run)).items()}
        if until in (task.name, title):
            return


def _check(task: Task) -> None:
    """Raise ConfigError for a volume or secret that this machine lacks."""
    for mount in task.kubernetes.pvc_mount:
        if not os.access(mount.mount_path, os.W_OK):
            raise ConfigError(
                f"task {task.name} mounts the volume {mount.constant!r} at {mount.mount_path}, which is not a writable "
                "folder here; make it, or compile with another path in the cluster's file"
            )
    for secret in task.kubernetes.secret_as_volume:
        if not os.path.isdir(secret.mount_path):
            raise ConfigError(
                f"task {task.name} has the secret {secret.secret_name!r} in {secret.mount_path}; make that folder here"
            )
    for name in _secret_variables(task):
        if name not in os.environ:
            raise ConfigError(f"task {task.name} has its variable {name} from a secret; set {name} here")


def _inputs(task: Task, outputs: Mapping[tuple[str, str], str], run: Values) -> Values:
    """Resolve inputs as the driver does: it replaces placeholders that are whole constants."""
    inputs = {
        name: _text(parameter.default_value) for name, parameter in task.component.input_definitions.parameters.items()
    }
    for name, parameter in task.spec.inputs.parameters.items():
        kind = parameter.WhichOneof("kind")
        if kind == "task_output_parameter":
            source = parameter.task_output_parameter
            inputs[name] = outputs[source.producer_task, source.output_parameter_key]
        elif kind == "runtime_value":
            constant = _text(parameter.runtime_value.constant)
            inputs[name] = run.get(constant, constant)
        else:
            raise ConfigError(f"input {name} of task {task.name} is a {kind}, which only a cluster can resolve")
    return inputs


def _run(task: Task, inputs: Values) -> Values:
    """Run a task; returns its output parameters."""
    with tempfile.TemporaryDirectory(prefix=f"{task.name}-") as pod:
        home, folder = Path(pod, "work"), Path(pod, "outputs")
        home.mkdir()
        folder.mkdir()
        outputs = {name: folder / name for name in task.component.output_definitions.parameters}
        command = _command(task, inputs, outputs)
        try:
            done = subprocess.run(command, cwd=home, env=_environment(task, home), check=False)
        except OSError as error:
            raise TfrecError(f"task {task.name} can't start {command[0]} ({error.strerror}); install it") from None
        if done.returncode:
            raise TfrecError(f"task {task.name} ended with code {done.returncode}; see its output above")
        for name, file in outputs.items():
            if not file.is_file():
                raise TfrecError(f"task {task.name}: failed to read output parameter name={name!r}: it wrote none")
        return {name: file.read_text(encoding="utf-8") for name, file in outputs.items()}


def _command(task: Task, inputs: Values, outputs: Mapping[str, Path]) -> list[str]:
    """Fill in the command line as the launcher does; an unknown placeholder is a ConfigError."""
    placeholders = {f"{{{{$.inputs.parameters['{name}']}}}}": value for name, value in inputs.items()}
    placeholders |= {f"{{{{$.outputs.parameters['{name}'].output_file}}}}": str(file) for name, file in outputs.items()}
    words = [*task.container.command, *task.container.args]
    for placeholder, value in placeholders.items():
        words = [word.replace(placeholder, value) for word in words]
    for word in words:
        if "{{$" in word:
            raise ConfigError(
                f"task {task.name} has the argument {word!r}, whose placeholder Kubeflow does not fill in"
            )
    return words


def _environment(task: Task, home: Path) -> dict[str, str]:
    programs = f"{Path(sys.executable).parent}:{os.defpath}"
    secrets = {name: os.environ[name] for name in _secret_variables(task)}
    return {"PATH": programs, "HOME": str(home)} | {each.name: each.value for each in task.container.env} | secrets


def _secret_variables(task: Task) -> list[str]:
    return [pair.env_var for secret in task.kubernetes.secret_as_env for pair in secret.key_to_env]


def _text(value: struct_pb2.Value) -> str:
    """Format a value as the launcher does in Go: text, numbers without exponent, or JSON."""
    if value.HasField("string_value"):
        return value.string_value
    if value.HasField("number_value"):
        return np.format_float_positional(value.number_value, trim="-")
    return json.dumps(json.loads(json_format.MessageToJson(value), parse_float=_number), separators=(",", ":"))


def _number(text: str) -> int | float:
    return int(float(text)) if float(text).is_integer() else float(text)
