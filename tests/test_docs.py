"""The documentation: sizes, links, indexes, and the same commands in both languages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "README.zh-CN.md", *sorted(DOCS.rglob("*.md"))]


def test_the_readme_is_at_most_150_lines_of_100_characters():
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 150
    assert [line for line in lines if len(line) > 100 and not line.startswith("|")] == []


def test_both_readmes_have_the_same_commands():
    english, chinese = (commands(ROOT / name) for name in ("README.md", "README.zh-CN.md"))
    assert len(english) >= 5
    assert english == chinese


def test_commands_are_compared_without_their_comments(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("```sh\nmake demo  # a comment\n```\n\n```\na picture\n```\n", encoding="utf-8")
    assert commands(page) == [("sh", ["make demo"])]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_to_files(page):
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    local = [link for link in links if "://" not in link and not link.startswith("mailto:")]
    assert [link for link in local if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("folder", [DOCS, DOCS / "decisions"], ids=["docs", "decisions"])
def test_each_page_stands_in_the_index_of_its_folder(folder):
    index = (folder / "README.md").read_text(encoding="utf-8")
    assert [
        page.name for page in folder.glob("*.md") if f"({page.name})" not in index and page.name != "README.md"
    ] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_files_that_a_page_names_exist(page):
    names = re.findall(r"`((?:tfrec|pipeline|serving|tests|benchmarks|examples)/[\w./-]+)`", page.read_text("utf-8"))
    assert [name for name in names if not (ROOT / name).exists()] == []


def commands(page: Path) -> list[tuple[str, list[str]]]:
    """The language and the lines, without comments, of each code block that names its language."""
    blocks = re.findall(r"^```(\w+)\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [(language, [re.sub(r"\s*#.*", "", line) for line in text.splitlines()]) for language, text in blocks]
