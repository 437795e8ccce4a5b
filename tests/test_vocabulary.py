"""One word for one idea: the code uses the words of the field, not private ones."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = [
    path for name in ("tfrec", "pipeline", "serving", "benchmarks") for path in sorted((ROOT / name).rglob("*.py"))
]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

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
    "told": "`tfrec kubeflow plan --told` is a flag that users may have in scripts",
    "moment": "Adam's first and second moments are the field's words",
    "chance": "an output of stored SavedModels, and agreement by chance in statistics",
    "labelled": "`aria-labelledby` is HTML's",
}

STORED_KEYS = (ROOT / "tfrec" / "evaluation" / "details.py", ROOT / "tfrec" / "reports" / "sections.py")
"""Read evaluation.json files of older versions, whose keys are strings in these files."""


def test_no_identifier_is_a_private_word():
    assert [line for path in SOURCES for line in private_words(path, identifiers_only=True)] == []


def test_no_prose_of_the_code_holds_a_private_word():
    assert [
        line for path in SOURCES if path not in STORED_KEYS for line in private_words(path, identifiers_only=False)
    ] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_no_page_holds_a_private_word(page):
    assert list(in_text(page.read_text(encoding="utf-8"))) == []


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
    for token in tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline):
        if (token.type == tokenize.NAME) != identifiers_only or token.type not in (
            tokenize.NAME,
            tokenize.STRING,
            tokenize.COMMENT,
        ):
            continue
        for word in in_text(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", token.string)):
            yield f"{path.name}:{token.start[0]}: {word}"


def in_text(text: str) -> Iterator[str]:
    """Each private word of a text, exceptions left out, with its replacement."""
    for word in re.findall(r"[a-z]+", text.lower()):
        for singular in {word, word.removesuffix("s"), word.removesuffix("es")}:
            if singular in INSTEAD and singular not in EXCEPTIONS:
                yield f"{singular}; write {INSTEAD[singular]}"
