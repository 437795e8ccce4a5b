"""Texts of items as shops export them: HTML in them, and several category paths in one cell."""

from __future__ import annotations

import collections
import dataclasses
import html
import re
from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from tfrec.schema import CATEGORY_SEPARATOR

_TEXTS = ("title", "description", "brand", "category")
_TAGS = "p|br|b|i|u|em|strong|small|sup|sub|ul|ol|li|dl|dt|dd|div|span|h[1-6]|a|img|hr|table|thead|tbody|tr|td|th|font"
_TAG = re.compile(rf"</?(?:{_TAGS})\b[^<>]*>", re.IGNORECASE)
_ENTITY = re.compile(r"&#?\w+;")
_HTML = r"&#?[A-Za-z0-9]+;|</?[A-Za-z][^<>]*>"
_ROOT_SHARE = 0.9  # of the cells that begin with one root, in a column of paths
_LEVEL = CATEGORY_SEPARATOR.strip()


@dataclasses.dataclass(frozen=True)
class CategoryFormat:
    """How the paths of a category are written in one cell."""

    levels: str = ""  # between the levels of a path; "": ">", or "/" where most paths have one root
    paths: str = ""  # between several paths; "": a cell is one path, or "," where most have one root
    root: str = ""  # of the paths behind the first; "": any text begins one


WHOLE_CELLS = CategoryFormat()


def read_html(rows: pa.Table) -> tuple[pa.Table, dict[str, int]]:
    """Replace entities and tags of HTML in the texts of items; the number of rows by rule."""
    changes: dict[str, int] = {}
    for index, name in enumerate(rows.column_names):
        column = name.partition("/")[0]
        if column in _TEXTS and pa.types.is_string(rows[name].type):
            has_html = pc.fill_null(pc.match_substring_regex(rows[name], _HTML), False)
            if pc.any(has_html).as_py():
                texts = _map_distinct(rows[name], _without_html)
                changed = pc.sum(pc.not_equal(texts, rows[name])).as_py() or 0
                rows = rows.set_column(index, name, texts)
                if changed:
                    changes[f"HTML in {column}"] = changes.get(f"HTML in {column}", 0) + changed
    return rows, changes


def choose_paths(column: pa.ChunkedArray, written: CategoryFormat) -> tuple[pa.ChunkedArray, int]:
    """Reduce each cell to its deepest path, the first of equals; the number of cells with several.

    A root that all paths share ("Default Category") is left out.
    """
    cells = [cell for cell in pc.unique(column).to_pylist() if cell]
    if not any((written.levels, written.paths)):
        written = _guess(cells)
    several = {cell for cell in cells if len(_split(cell, written)) > 1}
    root = _common_root([path for cell in cells for path in _split(cell, written)]) if written.levels else ""
    deepest = _map_distinct(column, lambda cell: _join(max(_split(cell, written), key=len, default=[]), root))
    counted = pc.sum(pc.is_in(column, pa.array(sorted(several), pa.string()))).as_py() or 0
    return deepest, counted


def _without_html(text: str) -> str:
    return _ENTITY.sub(lambda match: html.unescape(match.group()), _TAG.sub(" ", text))


def _guess(cells: list[str]) -> CategoryFormat:
    """Levels by "/" and paths by "," where nearly all cells begin with one root, as in Magento."""
    roots = collections.Counter(cell.split("/")[0] for cell in cells if "/" in cell)
    root, count = roots.most_common(1)[0] if roots else ("", 0)
    if len(cells) > 1 and count >= _ROOT_SHARE * len(cells) and "," not in root:
        return CategoryFormat("/", ",", root.strip())
    return WHOLE_CELLS


def _split(cell: str, written: CategoryFormat) -> list[list[str]]:
    """Paths of a cell, each a list of levels."""
    paths = re.split(_between_paths(written), cell) if written.paths else [cell]
    levels = [[level.strip() for level in path.split(written.levels or _LEVEL)] for path in paths]
    return [known for path in levels if (known := [level for level in path if level])]


def _between_paths(written: CategoryFormat) -> str:
    """Regular expression of what parts two paths: "Garden, outdoor" is one name below a root."""
    paths, levels, root = map(re.escape, (written.paths, written.levels, written.root))
    return rf"{paths}(?=\s*{root}\s*(?:{levels}|{paths}|$))" if root else paths


def _common_root(paths: list[list[str]]) -> str:
    roots = {path[0] for path in paths}
    return roots.pop() if len(roots) == 1 and any(len(path) > 1 for path in paths) else ""


def _join(path: list[str], root: str) -> str | None:
    below = path[1:] if root and path[:1] == [root] else path
    return CATEGORY_SEPARATOR.join(below or path) or None


def _map_distinct(column: pa.ChunkedArray, function: Callable[[str], str | None]) -> pa.ChunkedArray:
    coded = column.combine_chunks().dictionary_encode()
    mapped = pa.array([function(text) for text in coded.dictionary.to_pylist()], pa.string())
    return pa.chunked_array([mapped.take(coded.indices)])
