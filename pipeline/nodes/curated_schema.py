"""The schema of the examples, against which ExampleValidator checks new data.

It is written by hand: SchemaGen's inference marks a feature as deprecated if a split lacks it, and
sequences and catalog have no feature in common.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from tfrec.atomic_file import write_text
from tfrec.config import Config
from tfrec.examples.item_states import state_features
from tfrec.schema import EVENT_KINDS

BYTES, INT, FLOAT = schema_pb2.BYTES, schema_pb2.INT, schema_pb2.FLOAT

SEQUENCE = {
    "user_id": BYTES,
    "event_item_id": BYTES,
    "event_kind": BYTES,
    "event_timestamp": INT,
    "event_price": FLOAT,
    "event_query": BYTES,
    "event_is_target": INT,
}
ITEM = {
    "item_id": BYTES,
    "item_title": BYTES,
    "item_description": BYTES,
    "item_category": BYTES,
    "item_brand": BYTES,
    "item_price": FLOAT,
}


def curated_schema(config: Config) -> schema_pb2.Schema:
    """Make the schema: types of all features, event kinds, ranges of prices and flags."""
    schema = schema_pb2.Schema()
    context = {f"event_{column}": BYTES for column in config.examples.context_columns}
    request = {f"user_{column}": BYTES for column in config.request_columns}
    extra = {f"item_{column}": BYTES for column in config.features.item_columns}
    numbers = {f"item_{column}": FLOAT for column in (*config.features.item_numbers, *config.features.item_vectors)}
    states = {name: INT if name == "state_from" else FLOAT for name in state_features(config.examples)}
    for name, kind in (SEQUENCE | context | request | ITEM | extra | numbers | states).items():
        feature = schema.feature.add(name=name, type=kind)
        if name == "event_kind":
            feature.string_domain.value.extend(EVENT_KINDS)
        elif name == "event_is_target":
            feature.int_domain.min, feature.int_domain.max = 0, 1
        elif kind == FLOAT and name not in (*states, *numbers):
            feature.float_domain.min = 0.0
    return schema


def write_schema(config: Config, folder: str | Path) -> str:
    """Write the schema to a file named by its content: a changed schema is imported again."""
    text = text_format.MessageToString(curated_schema(config))
    path = Path(folder) / f"schema-{hashlib.sha256(text.encode()).hexdigest()[:12]}.pbtxt"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, text)
    return str(path)
