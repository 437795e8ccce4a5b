"""Hashes of the code behind a node, which TFX's cache can't see by itself.

Each node has the hash of its module, and of every module of this project that it imports, among its
properties. So a changed file runs exactly the nodes again that use it.
"""

from __future__ import annotations

import ast
import functools
import hashlib
from pathlib import Path

import tfrec

ROOT = Path(str(tfrec.__file__)).parents[1]
PACKAGES = ("tfrec", "pipeline", "serving")


def code(*modules: str) -> str:
    """Hash the `sources` of modules such as "tfrec.examples.preprocessing"."""
    files = sources(*modules)
    return _digest([files[name] for name in sorted(files)])


def sources(*modules: str) -> dict[str, bytes]:
    """Module -> source, for the modules and everything of this project that they import."""
    files: dict[str, bytes] = {}
    pending = list(modules)
    while pending:
        name = pending.pop()
        if name not in files:
            files[name] = _file(name).read_bytes()
            pending += [imported for imported in _imports(files[name]) if _file(imported).is_file()]
    return files


@functools.cache  # the nodes share most modules, and parsing is all of a hash's cost
def _imports(source: bytes) -> tuple[str, ...]:
    """Names that a source imports from this project, nested imports included, modules or not."""
    names: list[str] = []
    for node in ast.walk(_WithoutTypeChecking().visit(ast.parse(source))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return tuple(name for name in names if name.split(".")[0] in PACKAGES)


class _WithoutTypeChecking(ast.NodeTransformer):
    """Removes what stands under `if TYPE_CHECKING:`."""

    def visit_If(self, node: ast.If) -> ast.AST | None:
        return None if ast.unparse(node.test) == "TYPE_CHECKING" else self.generic_visit(node)


def _file(module: str) -> Path:
    path = ROOT.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _digest(parts: list[bytes]) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]
