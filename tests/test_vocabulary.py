"""One word for one idea: the code uses the words of the field, not private ones."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = [ROOT / name for name in ("tfrec", "pipeline", "serving", "benchmarks", "tests", "tools")]
# This file holds the words themselves.
SOURCES = [path for folder in FOLDERS for path in sorted(folder.rglob("*.py")) if path != Path(__file__).resolve()]
SETTINGS = (".yaml", ".yml", ".html", ".config", ".conf", ".json", ".xml", ".sh")
PAGES = [
    *(ROOT / name for name in ("README.md", "Makefile", "Dockerfile", "Dockerfile.serving", "pyproject.toml")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *(
        path
        for folder in (*FOLDERS, ROOT / "examples")
        for path in sorted(folder.rglob("*"))
        if path.suffix in SETTINGS
    ),
]

INSTEAD = {
    "shopper": "user",
    "catalogue": "catalog",
    "chosen": "interaction, positive, label",
    "moment": "query time, timestamp",
    "chance": "probability",
    "opinion": "source score",
    "evidence": "ranking feature",
    "examined": "ranking feature",
    "newcomer": "cold item",
    "habit": "repeat-purchase score, repeat",
    "stranger": "non-personalized",
    "wish": "constraint",
    "asker": "stub",
    "asked": "request",
    "wanted": "what the value is",
    "told": "what the value is",
    "untuned": "without_autotune",
    "copurchased": "n_copurchase",
    "neighbour": "neighbor",
    "initialise": "initialize",
    "serialise": "serialize",
    "optimise": "optimize",
    "centre": "center",
    "tally": "per-user metrics",
    "mend": "fix",
    "learnt": "fit, checkpointed, learned",
    "optimiser": "optimizer",
    "normalise": "normalize",
    "factorise": "factorize",
    "centred": "centered",
    "behaviour": "behavior",
    "colour": "color",
    "labelled": "labeled",
}
"""A word that the code does not use -> the words of the field for it."""

EXCEPTIONS = {
    ("tfrec/cli/kubeflow.py", "told"): "the flag `--told` of `tfrec kubeflow plan`",
    ("pipeline/kubeflow/compiler.py", "told"): "the same flag",
    ("tfrec/training/lazy_adam.py", "moment"): "Adam's first and second moments",
    ("docs/scale.md", "moment"): "Adam's two moments",
    ("tfrec/evaluation/details.py", "stranger"): "key of older evaluation.json files",
    ("tfrec/evaluation/details.py", "chosen"): "key of older evaluation.json files",
    ("tfrec/evaluation/details.py", "shopper"): "key of older evaluation.json files",
    ("tfrec/reports/sections.py", "chosen"): "label of older evaluation.json files",
    ("tfrec/data/guess/names.yaml", "behaviour"): "column name of shops' files",
    ("tfrec/data/guess/names.yaml", "catalogue"): "file name of shops",
    ("tests/tfrec/evaluation/test_result.py", "stranger"): "key of older evaluation.json files",
    ("tests/tfrec/evaluation/test_result.py", "chosen"): "key of older evaluation.json files",
    ("tests/tfrec/evaluation/test_result.py", "shopper"): "key of older evaluation.json files",
    ("tests/tfrec/training/test_lazy_adam.py", "moment"): "Adam's two moments",
}


def test_no_identifier_is_a_private_word():
    assert [line for path in SOURCES for line in private_words(path, identifiers_only=True)] == []


def test_no_prose_of_the_code_holds_a_private_word():
    assert [line for path in SOURCES for line in private_words(path, identifiers_only=False)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_no_page_holds_a_private_word(page):
    assert list(in_text(page.read_text(encoding="utf-8"), page)) == []


def test_each_exception_is_needed():
    used = {
        (file, word)
        for file, word in EXCEPTIONS
        if re.search(rf"(?<![a-z]){word}(?:s|es)?(?![a-z])", (ROOT / file).read_text(encoding="utf-8").lower())
    }
    assert used == set(EXCEPTIONS)


def test_a_private_word_is_named_with_its_replacement(tmp_path):
    path = tmp_path / "module.py"
    path.write_text('"""A catalogue."""\n\nn_shoppers = lastWish = 1\n', encoding="utf-8")
    assert list(private_words(path, identifiers_only=True)) == [
        "module.py:3: shopper; write user",
        "module.py:3: wish; write constraint",
    ]
    assert list(private_words(path, identifiers_only=False)) == ["module.py:1: catalogue; write catalog"]


def private_words(path: Path, *, identifiers_only: bool) -> Iterator[str]:
    """A line for each private word among the identifiers, or in strings and comments, of a file."""
    kinds = (tokenize.NAME,) if identifiers_only else (tokenize.STRING, tokenize.COMMENT)
    for token in tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline):
        if token.type in kinds:
            for word in in_text(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", token.string), path):
                yield f"{path.name}:{token.start[0]}: {word}"


def in_text(text: str, path: Path) -> Iterator[str]:
    """Each private word of a text, with its replacement, but for the exceptions of its file."""
    file = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name
    for word in re.findall(r"[a-z]+", text.lower()):
        for singular in sorted({word, word.removesuffix("s"), word.removesuffix("es")}):
            if singular in INSTEAD and (file, singular) not in EXCEPTIONS:
                yield f"{singular}; write {INSTEAD[singular]}"
