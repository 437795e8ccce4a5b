"""The complete file of a run: every setting with its value, as YAML that can be read again."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import yaml

from pipeline.engines import Engine
from pipeline.run_file import RunFile
from pipeline.runs import Run
from tfrec.config import Config
from tfrec.setting_names import SPACE, setting_types, value_of


def complete_file(file: RunFile, run: Run, reason: str) -> str:
    """Every setting of the run, with the default behind those that differ from it.

    `reason` says where the preset comes from. The tables of the file stand first.
    """
    tables = dict(file.raw_tables)
    parts = tables | ({"beam": {step: _plain(engine) for step, engine in run.beam.items()}} if run.beam else {})
    folders = {"tables": run.tables, "out": run.out, "partitions": file.partitions}
    lines = [
        *([f"source: {file.source}"] if file.source else []),
        f"preset: none  # all settings stand below: {reason}",
        *(_pair(name, value) for name, value in folders.items()),
        "settings:",
        *(f"  {_setting(run.config, name)}" for name in setting_types()),
    ]
    text = yaml.safe_dump(parts, allow_unicode=True, sort_keys=False) if parts else ""
    return text + "\n".join(lines) + "\n"


def _plain(engine: Engine) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(engine).items()}


def _setting(config: Config, name: str) -> str:
    value, default = value_of(config, name), value_of(Config(), name)
    pair = _pair(name, dict(value) if name == SPACE else value)
    return pair if value == default else f"{pair}  # default: {_flow(dict(default) if name == SPACE else default)}"


def _pair(name: str, value: Any) -> str:
    return f"{name}: {_flow(value)}"


def _flow(value: Any) -> str:
    """A value on one line of YAML."""
    if isinstance(value, tuple):
        value = list(value)
    elif isinstance(value, dict):
        value = {key: list(values) for key, values in value.items()}
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10**6)
    return text.removesuffix("\n...\n").removesuffix("...\n").strip()
