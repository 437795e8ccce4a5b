"""Options of a server's models: how their versions are found, loaded and run."""

from __future__ import annotations

import dataclasses

from serving.batching.scheduler import BatchScheduler
from serving.servable.servable import DEFAULT_THREADS, Threads


@dataclasses.dataclass(frozen=True)
class LifecycleOptions:
    """One set of options for all models of a server."""

    poll_seconds: float = 1.0
    """Time between two looks at a base path."""
    threads: Threads = DEFAULT_THREADS
    labels_may_wait: bool = False
    """A new label may name a version that is not in service yet."""
    warms_up: bool = True
    """The requests exported with a version are replayed before it serves."""
    scheduler: BatchScheduler | None = None
    """Merges concurrent requests of a version into batches; None: each request runs by itself."""
    checks_method_names: bool = False
    """A signature answers only the calls that its method name allows."""


DEFAULT_LIFECYCLE = LifecycleOptions()
