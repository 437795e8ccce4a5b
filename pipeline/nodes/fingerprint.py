"""What TFX's cache can't see by itself: the code and the weights behind a node's import path.

Each node carries a hash of the module that it runs and of all that it imports of ours, so that a pulled fix runs again.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from pathlib import Path

import tfrec
from tfrec.language.text_encoder import bert_directory

ROOT = Path(str(tfrec.__file__)).parents[1]
OURS = ("tfrec", "pipeline", "serving")


def code(*modules: str) -> str:
    """Hash of the source of the named modules and of every project module that they import."""
    found: dict[str, bytes] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = _file(name).read_bytes()
            waiting += _imports(found[name])
    return _digest([found[name] for name in sorted(found)])


def weights(bert: str) -> str:
    """A hash of the names and sizes of a BERT's files; of its name where it is a preset to be downloaded."""
    folder = Path(bert_directory(bert))
    if not folder.is_dir():
        return _digest([str(folder).encode()])
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return _digest([f"{path.relative_to(folder)} {path.stat().st_size}".encode() for path in files])


def _imports(source: bytes) -> Iterator[str]:
    """Modules of ours that a source imports, inside functions too, but not for the type checker alone."""
    for node in ast.walk(_Executed().visit(ast.parse(source))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        yield from (name for name in names if name.split(".")[0] in OURS and _file(name).is_file())


class _Executed(ast.NodeTransformer):
    """Leaves out what stands under `if TYPE_CHECKING:`."""

    def visit_If(self, node: ast.If) -> ast.AST | None:
        return None if ast.unparse(node.test) == "TYPE_CHECKING" else self.generic_visit(node)


def _file(module: str) -> Path:
    path = ROOT.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _digest(parts: list[bytes]) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]
