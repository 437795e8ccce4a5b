"""Until when a request may be worked on."""

from __future__ import annotations

import math
import time

from serving.status import Code, StatusError


class Deadline:
    """A moment `seconds` from now; None: never."""

    def __init__(self, seconds: float | None = None) -> None:
        self._end = math.inf if seconds is None else time.monotonic() + seconds

    def check(self) -> None:
        """StatusError DEADLINE_EXCEEDED once it has passed."""
        if time.monotonic() >= self._end:
            raise StatusError(Code.DEADLINE_EXCEEDED, "Deadline Exceeded")

    def remaining_milliseconds(self) -> int:
        """At least 1, or 0 where there is no end; StatusError as `check`."""
        self.check()
        if self._end == math.inf:
            return 0
        return max(1, min(round((self._end - time.monotonic()) * 1000), 2**31 - 1))


NO_DEADLINE = Deadline()
