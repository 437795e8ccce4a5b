"""Progress lines on stdout."""

from __future__ import annotations


def log(message: str) -> None:
    """Print a line of progress."""
    print(f"tfrec: {message}", flush=True)
