"""What changed since the last run of a pipeline, in words: why steps run again.

TFX's cache decides by properties, inputs and paths, and says nothing. `last_run.json` in the
pipeline's folder holds the properties of the last completed run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tfx.orchestration.pipeline import Pipeline
from tfx.types.standard_component_specs import INPUT_BASE_KEY

from tfrec.atomic_file import write_text

RECORD = "last_run.json"
_WORDS = {"snapshot": "the tables", "weights": "the files of the BERT"}


def explain_changes(dag: Pipeline) -> str:
    """What changed since the last completed run, "" for nothing or a first run."""
    now = _record(dag)
    before = _read(_file(dag)) or now
    changes = list(dict.fromkeys(_changes(before["nodes"], now["nodes"])))
    return f"{'; '.join(changes)}; what depends on that runs again" if changes else ""


def record_run(dag: Pipeline) -> None:
    """Write the record of a completed run."""
    path = _file(dag)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(_record(dag), indent=1, sort_keys=True))


def _file(dag: Pipeline) -> Path:
    return Path(dag.pipeline_info.pipeline_root) / RECORD


def _record(dag: Pipeline) -> dict[str, Any]:
    """The properties of each node, without the run's folders: a moved folder is no change."""
    out = str(Path(dag.pipeline_info.pipeline_root).parents[1])  # of RunFolders
    nodes = {}
    for node in dag.components:
        properties = _properties(node.exec_properties)
        nodes[node.id] = {name: value.replace(out, "") for name, value in properties.items() if name != INPUT_BASE_KEY}
    return {"nodes": nodes}


def _read(path: Path) -> dict[str, Any]:
    """The record of the last run; {} without a readable one."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) and record.keys() == {"nodes"} else {}


def _properties(properties: Mapping[str, Any]) -> dict[str, str]:
    """Flat properties of a node; those of `custom_config` and of the configuration one by one."""
    flat: dict[str, str] = {}
    for name, value in properties.items():
        try:
            parsed = json.loads(value)
        except (TypeError, ValueError):
            parsed = value
        flat |= _properties_of(name, parsed)
    return flat


def _properties_of(name: str, value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        return {name: str(value)}
    flat: dict[str, str] = {}
    for key, inner in value.items():
        prefix = "" if name in ("custom_config", "config") else f"{name}."
        if key == "config" and isinstance(inner, str):
            inner = json.loads(inner)
        flat |= _properties_of(f"{prefix}{key}", inner)
    return flat


def _changes(before: Mapping[str, Mapping[str, str]], now: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    for node, properties in now.items():
        if node not in before:
            yield f"{node} is new"
            continue
        old = before[node]
        for name in sorted(properties.keys() | old.keys()):
            if properties.get(name) != old.get(name):
                yield _in_words(node, name, old.get(name, "unset"), properties.get(name, "unset"))


def _in_words(node: str, name: str, before: str, now: str) -> str:
    if name == "code":
        return f"the code of {node} changed"
    if name in _WORDS:
        return f"{_WORDS[name]} changed"
    return f"{name} is {now}, was {before}" if len(before + now) < 100 else f"{name} changed"
