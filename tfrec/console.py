"""Progress lines for the person who waits."""

from __future__ import annotations


def log(message: str) -> None:
    """A line of progress for the person who waits."""
    print(f"tfrec: {message}", flush=True)
