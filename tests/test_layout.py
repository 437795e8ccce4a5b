"""The two rules of the layout, read from every import of every file with `ast`, nested imports included.

Who may import whom: pipeline -> tfrec; serving -> tfrec.schema and tfrec.errors; tfrec -> nothing of ours
outside it, and inside it only modules that stand above it in ORDER. One foreign library, one door.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
OURS = ("tfrec", "pipeline", "serving")

ORDER = """
    errors schema config columns times readers mapping sources ledger clean snapshot ingest
    examples features text words catalog dataset replicas towers optimizer retrieval metrics trend validation learning
    workers train warm
    linear popularity evidence newcomers candidates ranking calibration second_stage rank_examples rank_training
    confidence records audit holdout baselines collaborative textual combined scores verdict groups
    tally evaluate tuning gains shoppers reliability report plots page
    push index filters diversity export handover scorer ranked cold_start judge probes linked_ops verify
    machine doctor lookup answers flags asking_flags connecting subjects asking releasing scheduling cli
""".split()
"""Modules of tfrec: each may import those before it. A new module finds its place here."""

EDGE = tuple(f"tfrec/{name}.py" for name in "cli connecting subjects asking releasing scheduling".split())
"""The command line: may import serving and pipeline, inside functions.

docs/decisions/0001-the-command-line-is-the-edge.md
"""

FOR_SERVING = ("tfrec", "tfrec.schema", "tfrec.errors")

DOORS = {
    "keras_hub": ("tfrec/language/text_encoder.py",),
    "keras_nlp": ("tfrec/language/text_encoder.py",),
    "tensorflow_recommenders": (
        "tfrec/retrieval/two_tower.py",
        "tfrec/ranking/ranker.py",
        "tfrec/export/top_k_index.py",
    ),
    "tensorflow_transform": ("tfrec/examples/preprocessing.py", "tfrec/export/recommender.py"),
    "matplotlib": ("tfrec/reports/plots.py",),
    "jinja2": ("tfrec/reports/page.py",),
    "tensorflow_model_analysis": ("pipeline/",),
    "keras_tuner": ("pipeline/",),
    "tfx": ("pipeline/",),
    "apache_beam": ("pipeline/",),
    "kfp": ("pipeline/kubeflow_",),
    "grpc": ("serving/",),
    "starlette": ("serving/",),
    "uvicorn": ("serving/",),
    "httpx": ("serving/client/rest/http_exchange.py", "serving/client/rest/rest_connection.py"),
    "tenacity": ("serving/client/retries.py",),
    "rapidjson": ("serving/api/rest/json_text.py",),
}
"""Foreign library -> the files, or folders, that may import it."""


def test_each_package_imports_only_the_packages_it_may():
    assert [line for path in sources(ROOT) for line in package_breaches(path, ROOT)] == []


def test_a_module_of_tfrec_imports_only_modules_above_it():
    assert [line for path in sources(ROOT, "tfrec") for line in order_breaches(path, ROOT)] == []


def test_each_foreign_library_has_one_door():
    assert [line for path in sources(ROOT) for line in door_breaches(path, ROOT)] == []


@pytest.mark.parametrize(
    ("file", "line", "breach"),
    [
        ("tfrec/schema.py", "import serving.client", "tfrec/schema.py imports serving.client"),
        ("tfrec/schema.py", "def f():\n    from pipeline import dag", "tfrec/schema.py imports pipeline.dag"),
        ("tfrec/cli/main.py", "from serving.client import Client", "tfrec/cli/main.py imports serving.client.Client"),
        (
            "tfrec/cli/flags.py",
            "def f():\n    import serving.server.flags",
            "tfrec/cli/flags.py imports serving.server.flags",
        ),
        ("serving/api/rest/app.py", "from tfrec import config", "serving/api/rest/app.py imports tfrec.config"),
        ("serving/api/rest/app.py", "import pipeline", "serving/api/rest/app.py imports pipeline"),
        ("pipeline/dag.py", "import serving", "pipeline/dag.py imports serving"),
    ],
)
def test_an_import_across_the_border_is_named(tmp_path, file, line, breach):
    assert list(package_breaches(written(tmp_path, file, line), tmp_path)) == [breach]


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("tfrec/cli/main.py", "def serve():\n    from serving.server import serve"),
        ("tfrec/cli/recommend.py", "def rank():\n    from serving.client import Client"),
        ("serving/api/rest/app.py", "from tfrec.schema import EVENT_KINDS\nimport tfrec.errors"),
        ("pipeline/dag.py", "from tfrec.examples.build import SPLITS"),
    ],
)
def test_an_import_that_is_allowed_is_not_named(tmp_path, file, line):
    assert list(package_breaches(written(tmp_path, file, line), tmp_path)) == []


@pytest.mark.parametrize(
    ("file", "line", "breach"),
    [
        (
            "tfrec/schema.py",
            "from tfrec.cli import main",
            "tfrec/schema.py imports cli, which stands below it",
        ),
        (
            "tfrec/schema.py",
            "from tfrec import ingest",
            "tfrec/schema.py imports ingest, which stands below it",
        ),
        (
            "tfrec/sources/a.py",
            "import tfrec.data.clean",
            "tfrec/sources/a.py imports clean, which stands below it",
        ),
        ("tfrec/utils.py", "", "tfrec/utils.py is not in ORDER"),
    ],
)
def test_an_import_of_a_module_below_is_named(tmp_path, file, line, breach):
    assert list(order_breaches(written(tmp_path, file, line), tmp_path)) == [breach]


def test_a_foreign_library_at_another_door_is_named(tmp_path):
    path = written(tmp_path, "tfrec/retrieval/towers.py", "def f():\n    import keras_hub.models")
    assert list(door_breaches(path, tmp_path)) == ["tfrec/retrieval/towers.py imports keras_hub"]


def sources(root: Path, *packages: str) -> Iterator[Path]:
    """The Python files of our packages."""
    found = [path for package in packages or OURS for path in sorted((root / package).rglob("*.py"))]
    assert found, f"no Python file below {root}"
    yield from found


def package_breaches(path: Path, root: Path) -> Iterator[str]:
    """A line for each import of ours that the file's package may not have."""
    file = path.relative_to(root).as_posix()
    package = file.split("/")[0]
    tree = ast.parse(path.read_text(encoding="utf-8"))
    early = set(imports(ast.Module([node for node in tree.body if not is_lazy(node)], [])))
    for name in sorted(set(imports(tree))):
        if file in EDGE and name not in early:
            continue
        target = name.split(".")[0]
        if target in OURS and target != package and not may(package, name):
            yield f"{file} imports {name}"


def may(package: str, name: str) -> bool:
    """Whether a package may import a name of another of our packages."""
    if package == "pipeline":
        return name.startswith("tfrec")
    return package == "serving" and (name in FOR_SERVING or name.rpartition(".")[0] in FOR_SERVING[1:])


def order_breaches(path: Path, root: Path) -> Iterator[str]:
    """A line for each import of a module of tfrec that does not stand above the file's own."""
    file = path.relative_to(root).as_posix()
    own = Path(file.split("/")[1]).stem
    if own == "__init__":
        return
    if own not in ORDER:
        yield f"{file} is not in ORDER"
        return
    names = {name.split(".")[1] for name in imports(ast.parse(path.read_text("utf-8"))) if name.startswith("tfrec.")}
    for name in sorted(names & set(ORDER)):
        if ORDER.index(name) > ORDER.index(own):
            yield f"{file} imports {name}, which stands below it"


def door_breaches(path: Path, root: Path) -> Iterator[str]:
    """A line for each foreign library that another file is the door of."""
    file = path.relative_to(root).as_posix()
    libraries = {name.split(".")[0] for name in imports(ast.parse(path.read_text(encoding="utf-8")))}
    for library in sorted(libraries & set(DOORS)):
        if not file.startswith(DOORS[library]):
            yield f"{file} imports {library}"


def imports(tree: ast.AST) -> Iterator[str]:
    """Dotted names of all that is imported: `from tfrec import schema` gives tfrec.schema."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "write absolute imports: this test reads them"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_lazy(node: ast.stmt) -> bool:
    """Whether a statement's imports wait for a call, or are for the type checker alone."""
    is_typing = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    return is_typing or isinstance(node, ast.FunctionDef)


def written(root: Path, file: str, text: str) -> Path:
    """A file below `root` with that text."""
    path = root / file
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")
    return path
