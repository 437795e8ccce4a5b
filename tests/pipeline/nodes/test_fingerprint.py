"""What TFX's cache is told of the code behind a node."""

from __future__ import annotations

import pytest

from pipeline.nodes import fingerprint


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Three modules of which the first needs the second, inside a function, and the third none."""
    monkeypatch.setattr(fingerprint, "ROOT", tmp_path)
    (tmp_path / "tfrec").mkdir()
    for name, text in (
        ("__init__", ""),
        (
            "judge",
            "if TYPE_CHECKING:\n    import tfrec.cli.doctor\ndef judge():\n    from tfrec.metrics import ndcg",
            "if TYPE_CHECKING:\n    import tfrec.cli.doctor\n"
            "def judge():\n    from tfrec.evaluation.metrics import ndcg",
        ),
        ("metrics", "ndcg = 1"),
        ("doctor", "import os"),
    ):
        (tmp_path / "tfrec" / f"{name}.py").write_text(text)
    return tmp_path / "tfrec"


@pytest.mark.parametrize(("changed", "is_other"), [("judge", True), ("metrics", True), ("doctor", False)])
def test_a_module_or_what_it_needs_makes_another_fingerprint_and_nothing_else_does(package, changed, is_other):
    before = fingerprint.code("tfrec.evaluation.blessing")
    (package / f"{changed}.py").write_text("ndcg = 2")
    assert (fingerprint.code("tfrec.evaluation.blessing") != before) is is_other


def test_the_trainer_needs_the_towers_and_not_the_command_line():
    with_imports = all_imports("pipeline.nodes.trainer")
    assert {
        "tfrec.retrieval.towers",
        "tfrec.metrics",
        "tfrec.export.golden_requests",
        "tfrec.config",
    } <= with_imports
    assert "tfrec.cli.main" not in with_imports


def test_the_code_of_the_ranker_trains_no_towers_again():
    assert {"tfrec.ranking.ranker", "tfrec.retrieval.towers"} <= all_imports("pipeline.nodes.ranking_trainer")
    assert not {"tfrec.ranking.ranker", "tfrec.ranking.second_stage", "tfrec.ranking.features"} & all_imports(
        "pipeline.nodes.trainer"
    )


def all_imports(module):
    """The module and all that it imports of ours, directly or not."""
    with_imports = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name not in with_imports:
            with_imports.add(name)
            waiting += fingerprint._imports(fingerprint._file(name).read_bytes())
    return with_imports
