"""A served model: its versions, their states, and the requests that run on them.

The watcher (watcher.py) sets the aspired versions, TensorFlow Serving's word for those that should
be in service. The model loads and warms up a new version first, lets it take over, and only then
unloads the old one, after the last request that runs on it. A version that fails leaves the old one
in service and is retried: when its files change (a copy was still under way), else a few times at
growing intervals (version.py).
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

from serving.lifecycle.options import DEFAULT_LIFECYCLE, LifecycleOptions
from serving.lifecycle.storage import fingerprint
from serving.lifecycle.version import Version, VersionStatus
from serving.lifecycle.warmup import load
from serving.request.status import Code, StatusError, not_found
from serving.servable.servable import Servable

log = logging.getLogger(__name__)


class Model:
    """Versions of one model name; any thread may call any method but `set_aspired_versions`."""

    def __init__(self, name: str, options: LifecycleOptions = DEFAULT_LIFECYCLE) -> None:
        self.name = name
        self._options = options
        self._versions: dict[int, Version] = {}
        self._serving: dict[int, Version] = {}  # those in service
        self._unloading: list[threading.Thread] = []
        self._changed = threading.Condition()

    def set_aspired_versions(self, aspired: Mapping[int, Path]) -> None:
        """Bring the aspired versions into service, the highest first, then retire the others.

        Without aspired versions all are retired; while none of them loads, none is. One thread
        alone may call this.
        """
        for number, path in sorted(aspired.items(), reverse=True):
            with self._changed:
                version = self._versions.setdefault(number, Version(number, path))
            version.path = path
            if version.is_due():
                self._load(version)
        in_service = self._in_service()
        if not aspired or any(version.number in aspired for version in in_service):
            for version in in_service:
                if version.number not in aspired:
                    self._retire(version)

    def stop(self) -> None:
        """Unload every version once its requests are answered; the watcher must have ended."""
        for version in self._in_service():
            self._retire(version)
        for unloading in self._unloading:  # includes versions that were replaced just now
            unloading.join()

    def cancel(self) -> None:
        """Cancel the requests that run on any version."""
        with self._changed:  # without the lock a request may end, and its servable be closed, meanwhile
            for version in self._versions.values():
                if version.servable and version.in_flight:
                    version.servable.cancel()

    def wait_until_decided(self, timeout_seconds: float) -> bool:
        """Wait until a version is in service or failed for good; False after the timeout."""

        def decided() -> bool:
            return any(version.servable or version.has_given_up for version in self._versions.values())

        with self._changed:
            return self._changed.wait_for(decided, timeout_seconds)

    def in_flight(self) -> int:
        """Number of requests that run on any version."""
        with self._changed:
            return sum(version.in_flight for version in self._versions.values())

    def is_available(self) -> bool:
        """True when a version is in service."""
        return bool(self._in_service())

    def statuses(self) -> list[VersionStatus]:
        """Return every version found since the start, lowest number first."""
        with self._changed:
            return [self._versions[number].status for number in sorted(self._versions)]

    @contextlib.contextmanager
    def use(self, number: int | None = None) -> Iterator[tuple[int, Servable]]:
        """Keep a version loaded for a block; yield its number and servable.

        `number` None is the latest version. Raises StatusError NOT_FOUND when it is not in service.
        """
        with self._changed:
            version, servable = self._find(number)
            version.in_flight += 1
        try:
            yield version.number, servable
        finally:
            with self._changed:
                version.in_flight -= 1
                if version.state == "UNLOADING":
                    self._changed.notify_all()

    def _find(self, number: int | None) -> tuple[Version, Servable]:
        version = self._serving.get(max(self._serving, default=0) if number is None else number)
        if version is None or version.servable is None:
            raise not_found(self.name, number)
        return version, version.servable

    def _in_service(self) -> list[Version]:
        with self._changed:
            return list(self._serving.values())

    def _load(self, version: Version) -> None:
        files = fingerprint(version.path)
        with self._changed:
            version.start_load(files)
        try:
            servable = load(version.path, self.name, self._options)
        except Exception as error:  # any error: a version that stays LOADING would never be retried
            refusal = error if isinstance(error, StatusError) else StatusError(Code.UNKNOWN, str(error))
            log.error("Loading version %d of %s failed: %s", version.number, self.name, refusal)
            with self._changed:
                version.fail(refusal)
                self._changed.notify_all()
            return
        with self._changed:
            version.succeed(servable)
            self._serving[version.number] = version
            self._changed.notify_all()
        log.info("Successfully loaded servable version {name: %s version: %d}", self.name, version.number)

    def _retire(self, version: Version) -> None:
        """Take no more requests on a version; unload it in a thread once they are answered."""
        with self._changed:
            version.state = "UNLOADING"
            del self._serving[version.number]
        unloading = threading.Thread(target=self._unload, args=(version,), daemon=True)
        unloading.start()
        self._unloading = [*(thread for thread in self._unloading if thread.is_alive()), unloading]

    def _unload(self, version: Version) -> None:
        with self._changed:
            self._changed.wait_for(lambda: version.in_flight == 0)
            servable = version.servable
            version.servable = None
        if servable:
            servable.close()
        with self._changed:
            version.state = "END"
        log.info("Done unloading servable version {name: %s version: %d}", self.name, version.number)
