"""Findings about a machine, and their verdict as text and JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Sequence


@dataclasses.dataclass(frozen=True)
class Finding:
    """The result of one check."""

    name: str
    is_ok: bool
    text: str
    """The state, and the blocker if it is not ok."""
    cure: str = ""
    is_needed: bool = True
    """False if `make demo` and `make test` run without it."""

    def __str__(self) -> str:
        mark = "ok" if self.is_ok else "no"
        return f"{mark}  {self.name:<9} {self.text}" + (f"\n{'':<14}cure: {self.cure}" if self.cure else "")


def is_fit(findings: Iterable[Finding]) -> bool:
    """True if `make demo` and `make test` can run."""
    return all(finding.is_ok for finding in findings if finding.is_needed)


def render(findings: Sequence[Finding]) -> str:
    """Format the findings, one line each with its cure below, and the verdict."""
    blockers = [finding.name for finding in findings if finding.is_needed and not finding.is_ok]
    has_gpu = all(finding.is_ok for finding in findings if finding.name in ("gpu", "cuda"))
    verdict = f"This machine runs `make demo` and `make test`, on the {'GPU' if has_gpu else 'CPU'}."
    if blockers:
        verdict = f"This machine can't run tfrec yet: {', '.join(dict.fromkeys(blockers))}."
    return "\n".join([*map(str, findings), "", verdict])


def render_json(findings: Sequence[Finding]) -> str:
    """Format the findings as a JSON list of objects with Finding's fields."""
    return json.dumps([dataclasses.asdict(finding) for finding in findings], indent=2)
