"""JSON Schema of a shop's YAML file, for editors that complete and check it.

The settings come from the dataclasses of tfrec/config.py, the tables' keys from the mapping's.
"""

from __future__ import annotations

import json
from typing import Any, get_args

from pydantic import TypeAdapter

from pipeline.engines import Engine, Step
from pipeline.run_file import SHORT_NAMES, Preset, Source
from tfrec.config import TUNED, Config
from tfrec.data.mapping import TABLE_KEYS
from tfrec.data.readers.options import Format
from tfrec.schema import KINDS
from tfrec.setting_names import SPACE, setting_types

URL = "https://json-schema.org/draft/2020-12/schema"

_TEXT: dict[str, Any] = {"type": "string"}
_SCALAR: dict[str, Any] = {"type": ["string", "number", "boolean"]}
_TEXTS: dict[str, Any] = {"anyOf": [_TEXT, {"type": "array", "items": _TEXT}]}
_COLUMNS: dict[str, Any] = {"anyOf": [_SCALAR, {"type": "array", "items": _SCALAR}]}
_NAMES: dict[str, Any] = {
    "anyOf": [{"type": "array", "items": _SCALAR}, {"type": "object", "additionalProperties": _SCALAR}]
}
_TABLE_VALUES: dict[str, dict[str, Any]] = {
    "path": {
        **_TEXTS,
        "description": "A file, folder or glob, relative to this file, or a list of these.",
    },
    "columns": {
        "type": "object",
        "additionalProperties": _COLUMNS,
        "description": "Column of the schema -> column of the file.",
    },
    "only": {
        "type": "object",
        "additionalProperties": _TEXT,
        "description": "Column of the file -> regular expression that its text must match.",
    },
    "kind": {"enum": list(KINDS), "description": "Kind of every row."},
    "kinds": {
        "type": "object",
        "additionalProperties": {"enum": list(KINDS)},
        "description": "Kind in the file -> kind of an event.",
    },
    "format": {"enum": list(get_args(Format)), "description": "Default: by the files' first bytes, then the name."},
    "encoding": {"type": "string", "description": "Of CSV and JSON files; default: utf-8."},
    "delimiter": {"type": "string", "description": "Between the columns of CSV files: ';', tab ..."},
    "quote": {"type": "string", "description": "Character around values, or none; default: a double quote."},
    "escape": {"type": "string", "description": "Character that takes the next one literally."},
    "header": {"type": "array", "items": _SCALAR, "description": "Names of the columns, without a header line."},
    "skip_rows": {"type": "integer", "minimum": 0, "description": "Lines before the header."},
    "bad_rows": {"type": ["string", "number"], "description": "Share of broken rows that are left out: 1 % or 0.01."},
    "explode": {"type": "string", "description": "Path of a list whose elements become a row each."},
    "missing": {**_TEXTS, "description": "Further words for a missing value."},
    "timezone": {"type": "string", "description": "Zone of times that name none, such as Europe/Berlin."},
    "cancelled": {
        "type": "object",
        "additionalProperties": False,
        "required": ["column"],
        "properties": {"column": _SCALAR, "prefix": _SCALAR},
        "description": "Rows that are cancellations: by a prefix, or by any value of the column.",
    },
    "per_session": {**_TEXTS, "description": "Columns that hold for the whole session when one line has them."},
    "context": {**_NAMES, "description": "Further columns of an event, such as store and device."},
    "numbers": {**_NAMES, "description": "Further columns of numbers."},
    "vectors": {**_NAMES, "description": "Further columns of lists of numbers."},
    "timestamp_format": {
        "type": "string",
        "description": "auto, seconds, milliseconds, or a strptime pattern such as %d/%m/%Y.",
    },
    "order": {"type": "string", "description": "Column that orders a user's events, without timestamps."},
    "category_levels": {"type": "string", "description": "Between the levels of a category in one cell; default: >."},
    "category_paths": {"type": "string", "description": "Between several categories in one cell; the deepest counts."},
    "extra": {**_NAMES, "description": "Further columns, names unchanged."},
    "profile": {**_NAMES, "description": "Further columns, names unchanged."},
}


def run_schema() -> dict[str, Any]:
    """The schema as JSON values."""
    settings = _settings()
    short = {
        key: settings[name] | {"description": f"The setting {name}. {settings[name].get('description', '')}".strip()}
        for key, name in SHORT_NAMES.items()
    }
    event_table = {"$ref": "#/$defs/interactions"}
    beam = TypeAdapter(dict[Step, Engine]).json_schema()
    return {
        "$schema": URL,
        "title": "A shop's file: its tables and its run",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            **{name: {"$ref": f"#/$defs/{name}"} for name in TABLE_KEYS},
            "interactions": {"anyOf": [event_table, {"type": "array", "items": event_table, "minItems": 1}]},
            "source": {"enum": list(get_args(Source)), "description": "A known data set, in place of tables."},
            "preset": {"enum": list(get_args(Preset)), "default": "auto", "description": "Settings that suit a shop."},
            "settings": {
                "type": "object",
                "additionalProperties": False,
                "properties": settings,
                "description": "Settings by their names, above those of the preset.",
            },
            **short,
            "tables": {"type": "string", "description": "Folder of the ingested tables; default: data/ and the name."},
            "out": {"type": "string", "default": "out", "description": "Folder of everything else that is written."},
            "partitions": {
                "type": "integer",
                "minimum": 1,
                "maximum": 99_999,
                "default": 16,
                "description": "Files of each table.",
            },
            "beam": {name: beam[name] for name in beam if name != "$defs"}
            | {"description": "Step of Beam, or default -> engine."},
        },
        "$defs": {name: _table(name) for name in TABLE_KEYS} | beam.get("$defs", {}),
    }


def schema_text() -> str:
    """The schema as the file docs/shop.schema.json holds it."""
    return json.dumps(run_schema(), indent=2, ensure_ascii=False) + "\n"


def _settings() -> dict[str, Any]:
    """Dotted name -> schema of each setting."""
    whole = TypeAdapter(Config).json_schema()
    definitions = whole["$defs"]

    def find(name: str) -> dict[str, Any]:
        part, _, field = name.rpartition(".")
        properties = whole["properties"]
        for step in part.split(".") if part else []:
            properties = definitions[properties[step]["$ref"].rsplit("/", 1)[-1]]["properties"]
        return {key: _one_line(value) for key, value in properties[field].items() if key != "title"}

    settings = {name: find(name) for name in setting_types()}
    settings[SPACE] = {
        "type": "object",
        "additionalProperties": {"anyOf": [_SCALAR, {"type": "array", "items": _SCALAR}]},
        "propertyNames": {"enum": [name for name in settings if name.split(".")[0] in TUNED]},
        "description": settings[SPACE]["description"],
    }
    return settings


def _one_line(value: Any) -> Any:
    return " ".join(value.split()) if isinstance(value, str) else value


def _table(name: str) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": ["path"],
        "properties": {key: _TABLE_VALUES.get(key, {}) for key in TABLE_KEYS[name]},
    }
