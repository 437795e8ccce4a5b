"""Hash of the code behind a node, for TFX's cache."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.nodes import fingerprint


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`verdict` imports `metrics` inside a function, and `doctor` for the type checker alone."""
    monkeypatch.setattr(fingerprint, "ROOT", tmp_path)
    (tmp_path / "tfrec").mkdir()
    for name, text in (
        ("__init__", ""),
        ("verdict", "if TYPE_CHECKING:\n    import tfrec.doctor\ndef judge():\n    from tfrec.metrics import ndcg"),
        ("metrics", "ndcg = 1"),
        ("doctor", "import os"),
    ):
        (tmp_path / "tfrec" / f"{name}.py").write_text(text)
    return tmp_path / "tfrec"


@pytest.mark.parametrize(("changed", "is_other"), [("verdict", True), ("metrics", True), ("doctor", False)])
def test_the_fingerprint_changes_with_a_module_and_its_imports_alone(
    package: Path, changed: str, is_other: bool
) -> None:
    before = fingerprint.code("tfrec.verdict")
    (package / f"{changed}.py").write_text("ndcg = 2")
    assert (fingerprint.code("tfrec.verdict") != before) is is_other


def test_the_trainer_imports_the_towers_but_neither_the_ranker_nor_the_command_line() -> None:
    modules = set(fingerprint.sources("pipeline.nodes.trainer"))
    assert {"tfrec.retrieval.towers", "tfrec.metrics", "tfrec.export.golden_requests", "tfrec.config"} <= modules
    assert not {"tfrec.ranking.ranker", "tfrec.ranking.features", "tfrec.cli.main"} & modules


def test_the_ranking_trainer_imports_the_ranker_and_the_towers() -> None:
    modules = set(fingerprint.sources("pipeline.nodes.ranking_trainer"))
    assert {"tfrec.ranking.ranker", "tfrec.ranking.features", "tfrec.retrieval.towers"} <= modules
