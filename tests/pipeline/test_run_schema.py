"""The JSON Schema of a shop's file: published, and true of the files that the project has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from pipeline.run_file import NAMED_RUNS
from pipeline.run_schema import run_schema, schema_text
from tests.pipeline.shop_of_two_tastes import SHOP_FILE

ROOT = Path(__file__).parents[2]
EXAMPLES = [ROOT / "examples" / name for name in ("online_retail.yaml", "amazon_beauty.yaml")]
PRESETS = sorted((ROOT / "pipeline" / "presets").glob("*.yaml"))


def errors(text: str) -> list[str]:
    """What an editor would underline."""
    validator = jsonschema.Draft202012Validator(run_schema())
    return [error.message for error in validator.iter_errors(yaml.safe_load(text))]


def test_the_published_schema_is_current() -> None:
    published = (ROOT / "docs" / "shop.schema.json").read_text(encoding="utf-8")
    assert published == schema_text(), "write it again: tfrec config --schema > docs/shop.schema.json"


@pytest.mark.parametrize("path", [*EXAMPLES, *sorted(NAMED_RUNS.glob("*.yaml")), *PRESETS], ids=lambda path: path.name)
def test_the_projects_own_files_are_valid(path: Path) -> None:
    assert errors(path.read_text(encoding="utf-8")) == []


def test_a_file_with_every_kind_of_value_is_valid() -> None:
    text = SHOP_FILE + (
        "label_kinds: [purchase]\nfloor: []\nprotected: [cold]\nout: out\ntables: t\n"
        "beam: {default: {engine: local-parallel, workers: 2}}\n"
    )
    assert errors(text) == []
    assert errors("interactions: [{path: a, kind: view}, {path: [b, c], kind: purchase, columns: {user_id: 7}}]") == []
    assert errors("settings: {tune.space: {train.epochs: [1, 2], towers.dropout: 0.1}}") == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prest: auto", "'prest' was unexpected"),
        ("preset: grocer", "'grocer' is not one of ['auto', 'grocery'"),
        ("settings: {train.learnig_rate: 1}", "'train.learnig_rate' was unexpected"),
        ("settings: {train.epochs: 0}", "0 is less than the minimum of 1"),
        ("settings: {train.epochs: many}", "'many' is not of type 'integer'"),
        ("settings: {train.mask_positives: baskets}", "'baskets' is not one of ['sequence', 'basket'"),
        ("settings: {clock: order}", "'clock' was unexpected"),
        ("settings: {tune.space: {ranking.epochs: [1]}}", "'ranking.epochs' is not one of ['towers.dim'"),
        ("floor: [recent_popularty]", "'recent_popularty' is not one of ['random'"),
        ("items: {path: a, colums: {}}", "'colums' was unexpected"),
        ("beam: {default: {engine: spak}}", "'spak'"),
    ],
)
def test_a_wrong_key_or_value_is_marked(text: str, message: str) -> None:
    (error,) = errors(text)
    assert message in error


def test_settings_are_described_by_the_words_of_their_dataclass() -> None:
    properties: dict[str, Any] = run_schema()["properties"]["settings"]["properties"]
    assert properties["train.batch_size"] == {
        "default": 32,
        "description": "Most sequences in a step; each gives up to `max_events` predictions.",
        "minimum": 1,
        "type": "integer",
    }
    assert properties["examples.split.test_days"]["default"] == 28
