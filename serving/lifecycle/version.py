"""One version of a model: its state, the requests that run on it, and its retries."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Literal

from serving.lifecycle.storage import fingerprint
from serving.request.status import StatusError
from serving.servable.servable import Servable

MAX_RETRIES = 5
MAX_RETRY_SECONDS = 60.0

State = Literal["START", "LOADING", "AVAILABLE", "UNLOADING", "END"]


@dataclasses.dataclass(frozen=True)
class VersionStatus:
    """Status of a version for clients; `error` is why a version ended, if it failed."""

    number: int
    state: State
    error: StatusError | None


@dataclasses.dataclass
class Version:
    """A version folder that was found. Its model's lock guards what more than the poller reads."""

    number: int
    path: Path
    state: State = "START"
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
    def has_given_up(self) -> bool:
        """True once it failed for good, unless its files change."""
        return self.failures > MAX_RETRIES

    def is_due(self) -> bool:
        """True when to load it now: never tried, unloaded before, or failed and due for a retry."""
        if self.state not in ("START", "END"):
            return False
        if self.error is None or fingerprint(self.path) != self.files:
            return True
        return not self.has_given_up and time.monotonic() >= self.retry_at

    def start_load(self, files: frozenset[tuple[str, int, int]]) -> None:
        """Mark the start of a load; failures are reset if `files` changed since the last load."""
        if files != self.files:
            self.failures = 0
        self.files = files
        self.state, self.error = "LOADING", None

    def fail(self, error: StatusError) -> None:
        """Mark the load as failed; the next is due after 1, 2, 4 ... MAX_RETRY_SECONDS."""
        self.state, self.error = "END", error
        self.retry_at = time.monotonic() + min(2.0**self.failures, MAX_RETRY_SECONDS)
        self.failures += 1

    def succeed(self, servable: Servable) -> None:
        """Put it in service."""
        self.state, self.servable, self.failures = "AVAILABLE", servable, 0
        self.files = frozenset()  # versions are kept for ever, their files need not be
