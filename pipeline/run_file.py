"""A shop's YAML file: its tables, as tfrec/data/mapping reads them, and its run.

    interactions: ...            # or `source: complete-journey`; items, users: see docs/data.md
    preset: auto                 # or a file of presets/, or none
    settings: {train.epochs: 4}  # any setting of Config by its dotted name
    split: leave_last_out        # the same as the setting examples.split.method
    label_kinds: [purchase]      # the same as the setting evaluation.label_kinds
    floor: [recent_popularity]   # verdict.floor
    protected: [cold]            # verdict.protected
    tables: data/shop            # default: data/ and the file's name
    out: out
    partitions: 16
    beam: {default: {engine: local}}

The project's own runs are such files too, in named_runs/.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le

from pipeline.engines import Engine, Step, engines_from
from pipeline.runs import RunFolders, other_file, path_from, preset
from tfrec.data import mapping as tables_mapping
from tfrec.errors import ConfigError
from tfrec.schema import TABLES
from tfrec.setting_names import check_search, parse_named, setting_types, suggested_setting, with_parsed
from tfrec.settings import parse, suggestion

Preset = Literal["auto", "grocery", "retail", "discovery", "full", "gpu", "none"]
Source = Literal["complete-journey"]
"""A data set that the project reads without a mapping."""

Partitions = Annotated[int, Ge(1), Le(99_999)]

AUTO = ("grocery", "retail", "discovery")
"""Presets that `auto` may choose."""

SHORT_NAMES = {
    "split": "examples.split.method",
    "label_kinds": "evaluation.label_kinds",
    "floor": "verdict.floor",
    "protected": "verdict.protected",
}
"""Key of the file -> the setting that it stands for."""
SUFFIXES = (".yaml", ".yml")
NAMED_RUNS = Path(__file__).parent / "named_runs"


@dataclasses.dataclass(frozen=True)
class RunFile(RunFolders):
    """What a shop's file says before the tables complete it; configuration.py makes a Run of it."""

    preset: Preset = dataclasses.field(default="auto", kw_only=True)
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict, kw_only=True)
    """Dotted name -> the YAML's texts; checked."""
    source: Source | None = dataclasses.field(default=None, kw_only=True)
    mapping: tables_mapping.Mapping | None = dataclasses.field(default=None, kw_only=True)
    raw_tables: Mapping[str, Any] = dataclasses.field(default_factory=dict, kw_only=True)
    """The tables of the file as the YAML has them, every scalar a text."""
    partitions: int = dataclasses.field(default=16, kw_only=True)
    beam: Mapping[Step, Engine] = dataclasses.field(default_factory=dict, kw_only=True)


def run_names() -> list[str]:
    """Names of the project's own runs."""
    return sorted(path.stem for path in NAMED_RUNS.glob("*.yaml"))


def find_run(name: str) -> RunFile:
    """Read the file of a run: a shop's YAML file by its path, or a run of the project by its name.

    Raises ConfigError when there is none, and for a wrong key or value.
    """
    if is_file_name(name):
        file = read_run_file(Path(name), str(Path(name)))
        _check_owner(file)
        return file
    if name in run_names():
        return read_run_file(NAMED_RUNS / f"{name}.yaml")
    raise ConfigError(
        f"run {name!r} is not one of {', '.join(run_names())}{suggestion(name, run_names())}; give one of them or a "
        "shop's file, such as shop.yaml"
    )


def is_file_name(name: str) -> bool:
    """True for the name of a YAML file, whatever its case."""
    return name.lower().endswith(SUFFIXES)


def write_owner(file: RunFile) -> None:
    """Record the shop's file in the folder of its run."""
    if file.file:
        file.owner.parent.mkdir(parents=True, exist_ok=True)
        file.owner.write_text(path_from(file.owner.parent, file.file), encoding="utf-8")


def _check_owner(file: RunFile) -> None:
    """Raise ConfigError if the file's folders are those of another file or of a named run."""
    recorded = file.owner.read_text(encoding="utf-8") if file.owner.is_file() else ""
    other: object = other_file(file.owner.parent, recorded, file.file)
    if file.name in run_names() and Path(file.out).absolute() == Path("out").absolute():
        other = "the project"
    if other:
        raise ConfigError(
            f"`out` is {file.out}, where {file.name} is already the run of {other}; name another folder by `out` in "
            f"{file.file}, or rename it"
        )


def read_run_file(path: Path, file: str = "") -> RunFile:
    """Read a shop's YAML file; ConfigError for a wrong key or value.

    The mapping's paths are relative to the file, the folders of tables and output to the working
    directory. `file` names the file on the command line.
    """
    raw = tables_mapping.read_yaml(path)
    _check_places(raw, path.name)
    tables_mapping.check_keys(raw, path.name)
    run = {key: value for key, value in raw.items() if key in tables_mapping.RUN_KEYS}
    has_tables = any(key in TABLES for key in raw)
    source = parse("source", Source, run["source"]) if "source" in run else None
    preset_name = parse("preset", Preset, run.get("preset", "auto"))
    if has_tables and source:
        raise ConfigError(f"{path.name} has both `source` and tables of its own; remove one of them")
    return RunFile(
        name=_slug(path),
        tables=_folder("tables", run.get("tables", f"data/{path.stem}")),
        out=_folder("out", run.get("out", "out")),
        file=file,
        preset=preset_name,
        settings=_settings(run, preset_name),
        source=source,
        mapping=tables_mapping.parse_mapping(raw, path.parent, path.name) if has_tables else None,
        raw_tables={key: value for key, value in raw.items() if key not in run},
        partitions=parse("partitions", Partitions, run.get("partitions", "16")),
        beam=engines_from(run.get("beam", {})),
    )


def _check_places(raw: Any, name: str) -> None:
    """Raise ConfigError for a setting that does not stand under `settings`."""
    types = setting_types()
    for key in raw if isinstance(raw, dict) else ():
        if key in types or "." in key:
            near = "" if key in types else suggested_setting(key, types)
            raise ConfigError(
                f"{name} has the setting {key!r}{near} beside the tables; write it under `settings`: "
                f"{{{key}: {raw[key]}}}"
            )


def _folder(key: str, raw: Any) -> str:
    folder: str = parse(key, str, raw)
    if not folder.strip():
        raise ConfigError(f"`{key}` is blank, expected a folder; name one or remove the key")
    return folder


def _slug(path: Path) -> str:
    """Name that TFX and Kubernetes accept: lower-case letters, digits, hyphens.

    A file name without an ASCII letter or digit gives `shop-` and a hash of it.
    """
    name = re.sub(r"[^a-z0-9]+", "-", path.stem.lower()).strip("-")
    return name or f"shop-{hashlib.sha256(path.stem.encode()).hexdigest()[:8]}"


def _settings(run: Mapping[str, Any], preset_name: str) -> dict[str, Any]:
    """All settings of the file by their dotted names; ConfigError for a wrong one."""
    settings = run.get("settings", {})
    if not isinstance(settings, dict):
        raise ConfigError(f"settings is {settings!r}, expected names with values; write {{train.epochs: 4}}")
    short = {SHORT_NAMES[key]: value for key, value in run.items() if key in SHORT_NAMES}
    for key, name in SHORT_NAMES.items():
        if key in run and name in settings:
            raise ConfigError(f"both `{key}` and the setting {name!r}, which is the same, are given; remove one")
    _check_settings(parse_named(settings | short), preset_name)
    return settings | short


def _check_settings(values: Mapping[str, Any], preset_name: str) -> None:
    """Raise ConfigError for values that do not fit each preset that the file may take."""
    for name in AUTO if preset_name == "auto" else (preset_name,):
        try:
            check_search(with_parsed(preset(name), values))
        except ConfigError as error:
            raise ConfigError(f"{error}" + (f" (with the preset {name})" if name != "none" else "")) from None
    bert = values.get("features.bert", "")
    if "/" in bert and "://" not in bert and not Path(bert).is_dir():
        raise ConfigError(
            f"`features.bert` is {bert!r}, but there is no such folder; name a Hugging Face model folder or a KerasHub "
            "preset"
        )
