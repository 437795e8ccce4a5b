"""Until when, and for whom, a request may be worked on."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable

from serving.request.status import Code, StatusError


def _always() -> bool:
    return True


class Deadline:
    """A moment `seconds` from now (None: never), or when nobody waits for the answer any more."""

    def __init__(self, seconds: float | None = None, is_awaited: Callable[[], bool] = _always) -> None:
        self._end = math.inf if seconds is None else time.monotonic() + seconds
        self._is_awaited = is_awaited

    @staticmethod
    def of_all(deadlines: Iterable[Deadline]) -> Deadline:
        """Of work that is for several requests: the latest of theirs, whoever waits."""
        common = Deadline()
        common._end = max(deadline._end for deadline in deadlines)
        return common

    def has_passed(self) -> bool:
        """Whether the moment is over."""
        return time.monotonic() >= self._end

    def check(self) -> None:
        """StatusError DEADLINE_EXCEEDED once it has passed, CANCELLED once nobody waits."""
        if self.has_passed():
            raise StatusError(Code.DEADLINE_EXCEEDED, "Deadline Exceeded")
        if not self._is_awaited():
            raise StatusError(Code.CANCELLED, "CANCELLED")

    def remaining_milliseconds(self) -> int:
        """At least 1, or 0 where there is no end; StatusError as `check`."""
        self.check()
        if self._end == math.inf:
            return 0
        return max(1, min(round((self._end - time.monotonic()) * 1000), 2**31 - 1))


NO_DEADLINE = Deadline()
