"""Moves the labels stable and canary of running servers, by the file of models that they read.

A version is labelled only once it is in service: servers refuse a file otherwise. So a step first has the version
loaded beside those in service, waits, and then moves the labels; both times the file is replaced by one rename, and
serves whenever it is interrupted. docs/decisions/0017-rollout-state.md says why so.
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
from serving.rollout.release import Release, configure, model_of, read
from serving.wire.protos import ModelConfig, ModelServerConfig
from tfrec.errors import ServingError

_PAUSE_SECONDS = 0.2

_Statuses = Mapping[int, VersionStatus]


class Rollout:
    """The state of one model on all servers that follow one file."""

    def __init__(
        self,
        path: str | Path,
        model: str,
        servers: Sequence[Client],
        *,
        sends: bool = False,
        wait_seconds: float = 300.0,
    ) -> None:
        """`servers` ask each of them for the model; if `sends` each is sent the file, else it is to read it again.

        `wait_seconds` bounds the wait for a load, and that for the labels.
        """
        self._file = ConfigFile(Path(path))
        self._model = model
        self._servers = servers
        self._sends = sends
        self._wait_seconds = wait_seconds

    def change(self, step: Callable[[Release], Release]) -> Release:
        """The state after `step`, once all servers are in it.

        ServingError where the step can't be taken, or a version does not come: then all is as before. Where servers
        do not follow once every version is in service, the file says the new state all the same.
        """
        release = step(read(self._file.path, self._model))
        wanted, seen = set(release.labels().values()), self._seen()
        if not all(wanted <= _in_service(statuses) for statuses in seen.values()):
            self._load(wanted, seen)
        self._label(release)
        return release

    def _load(self, wanted: set[int], seen: Mapping[str, _Statuses]) -> None:
        config = self._file.config()
        model = model_of(config, self._model, self._file.path)
        _check_folder(model, wanted)
        in_service = [_in_service(statuses) for statuses in seen.values()]
        for label, version in list(model.version_labels.items()):
            if version not in set.intersection(*in_service):  # a server would refuse the file
                del model.version_labels[label]
        model.model_version_policy.specific.versions[:] = sorted(wanted.union(*in_service))
        with self._undone():
            self._give(config, self._file.notes())
            self._await(lambda server: _missing(server, wanted, seen[server.target]))

    def _label(self, release: Release) -> None:
        config = self._file.config()
        in_service = set[int]().union(*map(_in_service, self._seen().values()))
        configure(model_of(config, self._model, self._file.path), release.labels(), release.versions(in_service))
        notes = self._file.notes() | {self._model: release.noted()}
        try:
            self._give(config, notes)
            self._await(lambda server: _astray(server, release.labels()))
        except CallError as error:
            raise ServingError(f"{self._file.path} says it by now, but {error}; then give the command again") from error

    def _give(self, config: ModelServerConfig, notes: Mapping[str, object]) -> None:
        self._file.write(config, notes)
        if self._sends:
            for server in self._servers:
                server.reload(config)

    @contextlib.contextmanager
    def _undone(self) -> Iterator[None]:
        """Puts the file back as it is now, and the servers, where what is within fails or is interrupted."""
        before = self._file.text()
        try:
            yield
        except BaseException:
            self._file.replace(before)
            if self._sends:
                for server in self._servers:
                    with contextlib.suppress(ServingError):  # why it failed is told, not that it fails still
                        server.reload(self._file.config())
            raise

    def _await(self, lack: Callable[[Client], str]) -> None:
        """Returns once no server lacks anything; ServingError when one does for too long."""
        end = time.monotonic() + self._wait_seconds
        for server in self._servers:
            while reason := lack(server):
                if time.monotonic() >= end:
                    cure = "" if self._sends else f"; does it read {self._file.path} again and again? If not, send it"
                    raise ServingError(f"{server.target}: {reason}, after {self._wait_seconds:g} seconds{cure}")
                time.sleep(_PAUSE_SECONDS)

    def _seen(self) -> dict[str, _Statuses]:
        """What each server says, by its target."""
        return {server.target: _statuses(server) for server in self._servers}


def _statuses(server: Client) -> _Statuses:
    return {status.version: status for status in server.status()}


def _in_service(statuses: _Statuses) -> set[int]:
    return {version for version, status in statuses.items() if status.state == "AVAILABLE"}


def _check_folder(model: ModelConfig, wanted: set[int]) -> None:
    """ServingError where the models lie on this machine, but not all that are wanted."""
    try:
        there = find_versions(Path(model.base_path))
    except OSError:
        return  # they lie where only the server sees them
    for version in sorted(wanted - there.keys()):
        names = ", ".join(map(str, sorted(there))) or "none"
        raise ServingError(f"the version is {version} but {model.base_path} holds {names}; name one of them")


def _missing(server: Client, wanted: set[int], known: _Statuses) -> str:
    """Which of the versions is not in service yet; ServingError once it is certain that one never will be."""
    statuses = _statuses(server)
    for version in sorted(wanted):
        status = statuses.get(version)
        if status is None:
            return f"version {version} is unknown"
        if status.error and status != known.get(version):
            raise ServingError(
                f"version {version} can't be loaded by {server.target} ({status.error}); "
                "what was in service is in service still"
            )
        if status.state != "AVAILABLE":
            return f"version {version} is {status.state} {status.error}".rstrip()
    return ""


def _astray(server: Client, labels: Mapping[str, int]) -> str:
    """Which of the labels does not lead yet where it should."""
    for label, version in labels.items():
        found: int | None = None
        try:
            found = server.using(label=label).version()
        except CallError as error:
            if error.code not in (Code.INVALID_ARGUMENT, Code.NOT_FOUND):
                raise
        if found != version:
            return f"label {label} leads to {'nothing' if found is None else f'version {found}'}, not to {version}"
    return ""
