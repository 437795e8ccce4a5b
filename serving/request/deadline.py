"""Deadline of a request: when its work must end, and whether its client still waits."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable

from serving.request.status import Code, StatusError


def _always() -> bool:
    return True


class Deadline:
    """End of a request: `seconds` from now (None: no end), or once no client waits any more."""

    def __init__(self, seconds: float | None = None, is_awaited: Callable[[], bool] = _always) -> None:
        self._end = math.inf if seconds is None else time.monotonic() + seconds
        self._is_awaited = is_awaited

    @staticmethod
    def latest(deadlines: Iterable[Deadline]) -> Deadline:
        """Return the deadline of work for several requests: their latest, whoever waits."""
        common = Deadline()
        common._end = max(deadline._end for deadline in deadlines)
        return common

    def has_passed(self) -> bool:
        """True once its time is over."""
        return time.monotonic() >= self._end

    def check(self) -> None:
        """Raise StatusError: DEADLINE_EXCEEDED once it has passed, CANCELLED once nobody waits."""
        if self.has_passed():
            raise StatusError(Code.DEADLINE_EXCEEDED, "Deadline Exceeded")
        if not self._is_awaited():
            raise StatusError(Code.CANCELLED, "CANCELLED")

    def remaining_milliseconds(self) -> int:
        """Return the time left, at least 1; 0 where there is no end. Raises as `check`."""
        self.check()
        if self._end == math.inf:
            return 0
        return max(1, min(round((self._end - time.monotonic()) * 1000), 2**31 - 1))


NO_DEADLINE = Deadline()
