"""The best settings of a search as YAML for a shop's file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from pipeline.experiments.tuning import Tuned


def snippet(tuned: Tuned, keys: Mapping[str, str | Sequence[str]], file: str) -> str:
    """YAML with what the search began from, such as the preset, and the settings that are better.

    `file` names the shop's file.
    """
    own, best = tuned.towers
    lines = [
        f"# Found by `tfrec tune` in {tuned.trials} trials and {tuned.seconds / 60:.0f} minutes.",
        f"# Towers, validation NDCG@20: {own:.4f} with the settings of {file}, {best:.4f} with these.",
    ]
    if tuned.ranker:
        own, best = tuned.ranker
        lines.append(f"# Ranker, NDCG@20 of held-out users of the validation window: {own:.4f}, {best:.4f} with these.")
    lines.append("# The best of many trials looks better than it is: `tfrec train` measures it on the test window.")
    if not tuned.settings:
        return "\n".join([*lines, f"# No trial was better than the settings of {file}: leave it as it is.", ""])
    return "\n".join([*lines, _dump({**keys, "settings": tuned.settings})])


def _dump(values: Mapping[str, Any]) -> str:
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in values["settings"].items()}
    return str(yaml.safe_dump({**values, "settings": plain}, sort_keys=False, default_flow_style=None))
