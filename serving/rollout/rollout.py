"""Move the labels stable and canary of running servers, by the configuration file they read.

A server refuses a file whose label points to a version that is not in service. So a step first
loads the version beside those in service, waits, and then moves the labels. Both times one rename
replaces the file, which can be served whenever the step is interrupted. See
docs/decisions/0017-rollout-state.md.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from serving.client import CallError, Client, VersionStatus
from serving.client.connection import Code
from serving.lifecycle.storage import find_versions
from serving.rollout.config_file import ConfigFile
from serving.rollout.release import Release, find_model, read_release, with_versions
from serving.wire.protos import ModelConfig, ModelServerConfig
from tfrec.errors import ServingError

_POLL_SECONDS = 0.2

_Statuses = Mapping[int, VersionStatus]


class Rollout:
    """Changes the release of one model on all servers that read one file."""

    def __init__(
        self,
        path: str | Path,
        model: str,
        servers: Sequence[Client],
        *,
        sends: bool = False,
        wait_seconds: float = 300.0,
    ) -> None:
        """Create a rollout; `servers` are clients of the model on each server.

        If `sends`, each server is sent the file; otherwise the servers poll it. `wait_seconds`
        limits the wait for loading, and again the wait for the labels.
        """
        self._file = ConfigFile(Path(path))
        self._model = model
        self._servers = servers
        self._sends = sends
        self._wait_seconds = wait_seconds

    def change(self, step: Callable[[Release], Release]) -> Release:
        """Take a step and return the new release once all servers follow it.

        Raises ServingError if the step is impossible or a version does not load; then everything is
        as before. If only the labels do not follow, ServingError is raised too, but the file keeps
        the new release.
        """
        release = step(read_release(self._file.path, self._model))
        versions, statuses = set(release.labels().values()), self._statuses()
        if not all(versions <= _in_service(server_statuses) for server_statuses in statuses.values()):
            self._load(versions, statuses)
        self._label(release)
        return release

    def _load(self, versions: set[int], before: Mapping[str, _Statuses]) -> None:
        config = self._file.config()
        model = find_model(config, self._model, self._file.path)
        _check_folder(model, versions)
        in_service = [_in_service(statuses) for statuses in before.values()]
        for label, version in list(model.version_labels.items()):
            if version not in set.intersection(*in_service):  # a server would refuse the file
                del model.version_labels[label]
        model.model_version_policy.specific.versions[:] = sorted(versions.union(*in_service))
        with self._restored_on_failure():
            self._publish(config, self._file.notes())
            self._wait(lambda server: _missing_version(server, versions, before[server.target]))

    def _label(self, release: Release) -> None:
        config = self._file.config()
        model = find_model(config, self._model, self._file.path)
        in_service = set[int]().union(*map(_in_service, self._statuses().values()))
        model.CopyFrom(with_versions(model, release.labels(), release.versions_to_serve(in_service)))
        notes = self._file.notes() | {self._model: release.to_notes()}
        try:
            self._publish(config, notes)
            self._wait(lambda server: _misplaced_label(server, release.labels()))
        except CallError as error:
            raise ServingError(f"{self._file.path} has the new release, but {error}; then run it again") from error

    def _publish(self, config: ModelServerConfig, notes: Mapping[str, object]) -> None:
        self._file.write(config, notes)
        if self._sends:
            for server in self._servers:
                server.reload(config)

    @contextlib.contextmanager
    def _restored_on_failure(self) -> Iterator[None]:
        """Restore the file and the servers if the body fails or is interrupted."""
        before = self._file.text()
        try:
            yield
        except BaseException:
            self._file.replace(before)
            if self._sends:
                for server in self._servers:
                    with contextlib.suppress(ServingError):  # the first error is raised
                        server.reload(self._file.config())
            raise

    def _wait(self, find_reason: Callable[[Client], str]) -> None:
        """Wait until no server has a reason to wait.

        Raises ServingError with the reason after `wait_seconds`.
        """
        end = time.monotonic() + self._wait_seconds
        for server in self._servers:
            while reason := find_reason(server):
                if time.monotonic() >= end:
                    cure = "" if self._sends else f"; does it poll {self._file.path}? If not, use --send"
                    raise ServingError(f"{server.target}: {reason}, after {self._wait_seconds:g} seconds{cure}")
                time.sleep(_POLL_SECONDS)

    def _statuses(self) -> dict[str, _Statuses]:
        """Statuses by the server's target."""
        return {server.target: _statuses_of(server) for server in self._servers}


def _statuses_of(server: Client) -> _Statuses:
    return {status.version: status for status in server.status()}


def _in_service(statuses: _Statuses) -> set[int]:
    return {version for version, status in statuses.items() if status.state == "AVAILABLE"}


def _check_folder(model: ModelConfig, versions: set[int]) -> None:
    """Raise ServingError if the model's folder is on this machine but lacks a version."""
    try:
        present = find_versions(Path(model.base_path))
    except OSError:
        return  # only the server sees the folder
    for version in sorted(versions - present.keys()):
        names = ", ".join(map(str, sorted(present))) or "none"
        raise ServingError(f"the version is {version} but {model.base_path} holds {names}; name one of them")


def _missing_version(server: Client, versions: set[int], before: _Statuses) -> str:
    """The reason why one of the versions is not in service yet, or "".

    Raises ServingError if it failed to load.
    """
    statuses = _statuses_of(server)
    for version in sorted(versions):
        status = statuses.get(version)
        if status is None:
            return f"version {version} is unknown"
        if status.error and status != before.get(version):
            raise ServingError(
                f"version {version} can't be loaded by {server.target} ({status.error}); "
                "the versions in service are unchanged"
            )
        if status.state != "AVAILABLE":
            return f"version {version} is {status.state} {status.error}".rstrip()
    return ""


def _misplaced_label(server: Client, labels: Mapping[str, int]) -> str:
    """The reason why one of the labels does not point to its version yet, or ""."""
    for label, version in labels.items():
        current: int | None = None
        try:
            current = server.using(label=label).version()
        except CallError as error:
            if error.code not in (Code.INVALID_ARGUMENT, Code.NOT_FOUND):
                raise
        if current != version:
            target = "nothing" if current is None else f"version {current}"
            return f"label {label} points to {target}, not to {version}"
    return ""
