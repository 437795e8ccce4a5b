"""Hash of the code behind a node, for TFX's cache."""

from __future__ import annotations

import pytest

from pipeline.nodes import fingerprint


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Three modules: `verdict` imports `metrics` inside a function, and `doctor` for the type checker alone."""
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
def test_the_fingerprint_changes_with_a_module_and_its_imports_alone(package, changed, is_other):
    before = fingerprint.code("tfrec.verdict")
    (package / f"{changed}.py").write_text("ndcg = 2")
    assert (fingerprint.code("tfrec.verdict") != before) is is_other


def test_the_trainer_imports_the_towers_and_not_the_command_line():
    modules = all_imports("pipeline.nodes.trainer")
    assert {
        "tfrec.retrieval.towers",
        "tfrec.evaluation.metrics",
        "tfrec.export.golden_requests",
        "tfrec.config",
    } <= modules
    assert "tfrec.cli.main" not in modules


def test_the_trainer_does_not_import_the_ranker():
    assert {"tfrec.ranking.ranker", "tfrec.retrieval.towers"} <= all_imports("pipeline.nodes.ranking_trainer")
    assert not {"tfrec.ranking.ranker", "tfrec.ranking.second_stage", "tfrec.ranking.features"} & all_imports(
        "pipeline.nodes.trainer"
    )


def all_imports(module):
    """The module and every module of this project that it imports, directly or not."""
    modules = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name not in modules:
            modules.add(name)
            waiting += fingerprint._imports(fingerprint._file(name).read_bytes())
    return modules
