"""The outcome of a pipeline's last run, cached results included, read from ML Metadata."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from ml_metadata import errors
from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

from pipeline.run_file import find_run, is_file_name
from pipeline.runs import RunFolders
from tfrec.errors import DataError
from tfrec.evaluation.result import EVALUATION_FILE, Evaluation
from tfrec.versions import EXTRA, is_same_model, latest_version, push, versions

REPORT_FILE = "report.html"
DONE = (mlmd.Execution.COMPLETE, mlmd.Execution.CACHED)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """Results of a run's last evaluation, check and push."""

    evaluation: Evaluation
    export_error: str  # why check_model refused the export; "": it passed
    pushed: str = ""  # folder of the model that Pusher pushed; "": none

    @property
    def refusal(self) -> str:
        """Why the model was not pushed; "" for a pushed model."""
        verdict = self.evaluation.verdict
        return self.export_error or ("" if verdict.blessed else "; ".join(verdict.unmet or verdict.reasons))

    def sentence(self, run: RunFolders) -> str:
        """Outcome of the run in one sentence, for the terminal."""
        latest = latest_version(run.serving)
        in_service = f"{latest} stays in service" if latest else "nothing is in service"
        if self.refusal:
            return f"the model was refused, so nothing was pushed: {self.refusal}; {in_service}"
        if latest and self.pushed and is_same_model(latest, Path(self.pushed)):
            return f"pushed: {latest}"
        return f"the model was pushed before and taken out by hand since; {in_service}"


def read_outcome(run: RunFolders) -> Outcome:
    """Read the outcome of the run's last evaluation; raises DataError when there is none."""
    evaluation, check = _latest(run, "evaluate_model", "evaluation"), _latest(run, "check_model", "blessing")
    if evaluation is None:
        raise DataError(f"run {run.name} has no evaluation yet; make one: `tfrec train {run.argument}`")
    refusal = Path(check.uri) / "INFRA_NOT_BLESSED" if check else Path()
    pushed = _latest(run, "Pusher", "pushed_model")
    return Outcome(
        Evaluation.read(Path(evaluation.uri) / EVALUATION_FILE),
        refusal.read_text(encoding="utf-8") if refusal.is_file() else "",
        pushed.uri if pushed else "",
    )


def read_evaluation(name: str) -> Evaluation:
    """Read the evaluation of a file, of a pushed version, or the last one of a run.

    A version is named by its folder, a run by its shop's file or name. Raises DataError when the
    file or folder holds no evaluation.
    """
    if Path(name).is_dir() and Path(name).name.isdigit():
        file = Path(name) / EXTRA / EVALUATION_FILE
        if not file.is_file():
            raise DataError(f"{name} holds no {EXTRA}/{EVALUATION_FILE}; name a pushed version that has it, or a run")
        return Evaluation.read(file)
    if is_evaluation_file(name):
        return Evaluation.read(Path(name))
    if name.endswith(".json"):
        raise DataError(f"there is no file {name}; give the evaluation.json of evaluate_model, or a run")
    return read_outcome(find_run(name)).evaluation


def is_evaluation_file(name: str) -> bool:
    """True if the name is that of an existing file which is not a shop's YAML file."""
    return Path(name).is_file() and not is_file_name(name)


def put_in_service(run: RunFolders) -> None:
    """Push the run's blessed model again if it is no longer the latest version.

    TFX's cache does not see the serving folder: it may have been emptied, or the run may be back at
    settings whose model a later version replaced. A version that was removed by hand from among
    others stays out.
    """
    pushed, in_service = _latest(run, "Pusher", "pushed_model"), versions(run.serving)
    if pushed is None or pushed.custom_properties["pushed"].int_value != 1:
        return
    if not in_service or any(is_same_model(version, Path(pushed.uri)) for version in in_service):
        push(pushed.uri, run.serving)


def latest_artifact(run: RunFolders, node: str, output: str) -> Path:
    """Folder of the artifact of a node's last execution; raises DataError when there is none."""
    artifact = _latest(run, node, output)
    if artifact is None:
        raise DataError(f"run {run.name} has no {output} of {node} yet; make it: `tfrec train {run.argument}`")
    return Path(artifact.uri)


def node_seconds(run: RunFolders) -> dict[str, float]:
    """Node -> seconds of its last execution that was not cached, ordered by their ends."""
    store = _store(run)
    if store is None:
        return {}
    ends: list[tuple[int, str, float]] = []
    for context in store.get_contexts_by_type("node"):  # both Trainers have the same execution type
        executions = store.get_executions_by_context(context.id)
        done = [each for each in executions if each.last_known_state == mlmd.Execution.COMPLETE]
        for last in sorted(done, key=lambda each: each.id)[-1:]:
            end, start = last.last_update_time_since_epoch, last.create_time_since_epoch
            ends.append((end, context.name.removeprefix(f"{run.name}."), (end - start) / 1000))
    return {name: seconds for _, name, seconds in sorted(ends)}


def connection(run: RunFolders) -> mlmd.ConnectionConfig | mlmd.MetadataStoreClientConfig:
    """The run's ML Metadata: a server, or a file that is created when it is first opened."""
    if run.metadata_server:
        host, _, port = run.metadata_server.rpartition(":")
        return mlmd.MetadataStoreClientConfig(host=host, port=int(port))
    file = mlmd.SqliteMetadataSourceConfig(
        filename_uri=run.metadata, connection_mode=mlmd.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
    )
    return mlmd.ConnectionConfig(sqlite=file)


def _latest(run: RunFolders, node: str, output: str) -> mlmd.Artifact | None:
    """The artifact of the node's last finished execution."""
    store = _store(run)
    if store is None:
        return None
    try:
        context = store.get_context_by_type_and_name("node", f"{run.name}.{node}")
    except errors.NotFoundError:
        return None
    executions = (
        [e for e in store.get_executions_by_context(context.id) if e.last_known_state in DONE] if context else []
    )
    for execution in sorted(executions, key=lambda execution: -execution.id):
        for event in store.get_events_by_execution_ids([execution.id]):
            if event.type == mlmd.Event.OUTPUT and event.path.steps[0].key == output:
                (artifact,) = store.get_artifacts_by_id([event.artifact_id])
                return artifact
    return None


def _store(run: RunFolders) -> MetadataStore | None:
    """ML Metadata of the run; None before its first run."""
    if not run.metadata_server and not Path(run.metadata).exists():
        return None
    return MetadataStore(connection(run))
