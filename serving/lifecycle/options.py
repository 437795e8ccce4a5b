"""How versions come into service."""

from __future__ import annotations

import dataclasses

from serving.batching.scheduler import BatchScheduler
from serving.servable.servable import DEFAULT_THREADS, Threads


@dataclasses.dataclass(frozen=True)
class Loading:
    """The same for all models of a server."""

    poll_seconds: float = 1.0
    """Between two looks at a base path."""
    threads: Threads = DEFAULT_THREADS
    labels_may_wait: bool = False
    """Whether a label that is not assigned yet may be given to a version that is not in service yet."""
    warms_up: bool = True
    """Whether the requests exported with a version are replayed before it serves."""
    scheduler: BatchScheduler | None = None
    """With one concurrent requests of a version are merged into batches."""
    checks_method_names: bool = False
    """Whether a signature answers only the calls that its method name allows."""


DEFAULT_LOADING = Loading()
