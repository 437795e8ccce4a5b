"""One version of a model: its state, the requests that run on it and, when it failed, when to try again."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

from serving.lifecycle.storage import fingerprint
from serving.request.status import StatusError
from serving.servable.servable import Servable

MAX_RETRIES = 5
MAX_RETRY_SECONDS = 60.0


@dataclasses.dataclass(frozen=True)
class VersionStatus:
    """What a client may know: `state` START, LOADING, AVAILABLE, UNLOADING or END, `error` why it ended."""

    number: int
    state: str
    error: StatusError | None


@dataclasses.dataclass
class Version:
    """A version folder that was seen. Its model's lock guards it, except where only the poller looks."""

    number: int
    path: Path
    state: str = "START"
    error: StatusError | None = None
    servable: Servable | None = None
    in_flight: int = 0
    failures: int = 0
    retry_at: float = 0.0  # time.monotonic() seconds
    files: frozenset[tuple[str, int, int]] = frozenset()

    @property
    def status(self) -> VersionStatus:
        return VersionStatus(self.number, self.state, self.error)

    @property
    def gave_up(self) -> bool:
        """Whether it failed for good, unless its files change."""
        return self.failures > MAX_RETRIES

    def is_due(self) -> bool:
        """Whether to load it now: never tried, unloaded before, or failed and worth another try."""
        if self.state not in ("START", "END"):
            return False
        if self.error is None or fingerprint(self.path) != self.files:
            return True
        return not self.gave_up and time.monotonic() >= self.retry_at

    def begin(self, files: frozenset[tuple[str, int, int]]) -> None:
        """Marks the start of a load of `files`; if they changed since the last one, failures count anew."""
        if files != self.files:
            self.failures = 0
        self.files = files
        self.state, self.error = "LOADING", None

    def fail(self, error: StatusError) -> None:
        """Marks the attempt as failed; the next one is due after 1, 2, 4 ... MAX_RETRY_SECONDS."""
        self.state, self.error = "END", error
        self.retry_at = time.monotonic() + min(2.0**self.failures, MAX_RETRY_SECONDS)
        self.failures += 1

    def succeed(self, servable: Servable) -> None:
        """Puts it in service."""
        self.state, self.servable, self.failures = "AVAILABLE", servable, 0
        self.files = frozenset()  # versions are remembered for ever, their files need not be
