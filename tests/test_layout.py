"""The rules of the layout, checked on every import of every file, nested imports included.

Packages: pipeline -> tfrec; serving -> tfrec.schema and tfrec.errors; tfrec -> nothing of ours
outside it, but from tfrec/cli/. Folders: a folder imports only folders that stand before it in
FOLDERS.
Foreign libraries: each is imported behind its door alone.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

FOLDERS = {
    "tfrec": "data language examples retrieval training ranking evaluation reports export cli".split(),
    "serving": "wire request batching servable lifecycle api server client rollout".split(),
    "pipeline": (
        "engines runs run_checks run_file run_schema auto_preset configuration complete_file outcome "
        "nodes tables resolved_run dag local_runner experiments beam_worker kubeflow demo"
    ).split(),
}
"""Folders of each package in the order of the flow. The modules of `pipeline` have a position each;
those of `tfrec` and `serving` are the ground, which imports no folder."""

CLI = "tfrec/cli/"
"""The command line: may import serving and pipeline, inside functions.

docs/decisions/0001-command-line.md
"""

FOR_SERVING = ("tfrec", "tfrec.schema", "tfrec.errors")

MOST_MODULES = 14  # of a folder

DOORS = {
    "keras_hub": ("tfrec/language/text_encoder.py",),
    "tensorflow_recommenders": ("tfrec/retrieval/", "tfrec/ranking/"),
    "tensorflow_transform": ("tfrec/examples/",),
    "matplotlib": ("tfrec/reports/plots.py",),
    "jinja2": ("tfrec/reports/page.py",),
    "tensorflow_model_analysis": ("pipeline/nodes/",),
    "keras_tuner": ("pipeline/nodes/",),
    "tfx": ("pipeline/",),
    "apache_beam": ("pipeline/",),
    "kfp": ("pipeline/kubeflow/",),
    "grpc": ("serving/",),
    "starlette": ("serving/api/rest/", "serving/server/"),
    "uvicorn": ("serving/server/",),
    "httpx": ("serving/client/rest/",),
    "tenacity": ("serving/client/retries.py",),
    "rapidjson": ("serving/api/rest/",),
}
"""Foreign library -> the files, or folders, that may import it."""


def test_each_package_imports_only_the_packages_it_may():
    assert [line for path in sources(ROOT) for line in package_breaches(path, ROOT)] == []


def test_each_folder_imports_only_folders_before_it():
    assert [line for path in sources(ROOT) for line in folder_breaches(path, ROOT)] == []


def test_each_foreign_library_is_imported_behind_its_door():
    assert [line for path in sources(ROOT) for line in door_breaches(path, ROOT)] == []


def test_each_door_is_used():
    assert list(unused_doors(list(sources(ROOT)), ROOT)) == []


def test_each_folder_of_the_list_exists():
    names = [f"{package}/{name}" for package, folders in FOLDERS.items() for name in folders]
    assert [name for name in names if not (ROOT / name).is_dir() and not (ROOT / f"{name}.py").is_file()] == []


def test_no_modules_import_each_other_in_a_circle():
    assert circle(list(sources(ROOT)), ROOT) == []


def test_no_folder_holds_too_many_modules():
    folders = {path.parent for path in [*sources(ROOT), *(ROOT / "benchmarks").rglob("*.py")]}
    sizes = {folder.relative_to(ROOT).as_posix(): len(modules(folder)) for folder in folders}
    assert {folder: size for folder, size in sizes.items() if size > MOST_MODULES} == {}


def test_each_folder_says_what_it_gives_and_holds_no_logic_in_its_init():
    for path in sources(ROOT):
        if path.name == "__init__.py":
            tree = ast.parse(path.read_text(encoding="utf-8"))
            assert ast.get_docstring(tree), path
            assert not [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.ClassDef)], path


def test_tests_lie_in_the_folders_of_what_they_test():
    unknown = [
        path.relative_to(ROOT).as_posix()
        for package in FOLDERS
        for path in sorted((ROOT / "tests" / package).rglob("test_*.py"))
        if "conformance" not in path.parts and not (ROOT / path.parent.relative_to(ROOT / "tests")).is_dir()
    ]
    assert unknown == []


@pytest.mark.parametrize(
    ("file", "line", "breach"),
    [
        ("tfrec/schema.py", "import serving.client", "tfrec/schema.py imports serving.client"),
        ("tfrec/schema.py", "def f():\n    from pipeline import dag", "tfrec/schema.py imports pipeline.dag"),
        ("tfrec/cli/main.py", "from serving.client import Client", "tfrec/cli/main.py imports serving.client.Client"),
        (
            "tfrec/data/a.py",
            "def f():\n    import serving.server.flags",
            "tfrec/data/a.py imports serving.server.flags",
        ),
        ("serving/api/a.py", "from tfrec import config", "serving/api/a.py imports tfrec.config"),
        ("serving/api/a.py", "import pipeline", "serving/api/a.py imports pipeline"),
        ("pipeline/dag.py", "import serving", "pipeline/dag.py imports serving"),
    ],
)
def test_an_import_of_a_forbidden_package_is_named(tmp_path, file, line, breach):
    assert list(package_breaches(written(tmp_path, file, line), tmp_path)) == [breach]


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("tfrec/cli/main.py", "def serve():\n    from serving.server.main import run"),
        ("serving/api/a.py", "from tfrec.schema import EVENT_KINDS\nimport tfrec.errors"),
        ("pipeline/dag.py", "from tfrec.examples.build import SPLITS"),
    ],
)
def test_an_allowed_import_of_a_package_is_not_named(tmp_path, file, line):
    assert list(package_breaches(written(tmp_path, file, line), tmp_path)) == []


@pytest.mark.parametrize(
    ("file", "line", "breach"),
    [
        ("tfrec/schema.py", "from tfrec.data import clean", "tfrec/schema.py imports tfrec.data.clean"),
        (
            "tfrec/data/sources/a.py",
            "def f():\n    import tfrec.cli.main",
            "tfrec/data/sources/a.py imports tfrec.cli.main",
        ),
        (
            "tfrec/training/a.py",
            "from tfrec.ranking.ranker import Ranker",
            "tfrec/training/a.py imports tfrec.ranking.ranker.Ranker",
        ),
        ("serving/wire/a.py", "import serving.api.handlers", "serving/wire/a.py imports serving.api.handlers"),
        ("pipeline/nodes/a.py", "from pipeline import dag", "pipeline/nodes/a.py imports pipeline.dag"),
        ("tfrec/utils/a.py", "", "tfrec/utils is not in FOLDERS"),
    ],
)
def test_an_import_of_a_later_folder_is_named(tmp_path, file, line, breach):
    assert list(folder_breaches(written(tmp_path, file, line), tmp_path)) == [breach]


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("tfrec/ranking/a.py", "from tfrec.training.train import Trained\nfrom tfrec import config"),
        ("tfrec/data/a.py", "from tfrec.data.sources.own_files import load"),
        ("pipeline/dag.py", "from pipeline.nodes import fingerprint\nfrom pipeline.runs import Run"),
    ],
)
def test_an_import_of_an_earlier_folder_is_not_named(tmp_path, file, line):
    assert list(folder_breaches(written(tmp_path, file, line), tmp_path)) == []


def test_a_foreign_library_behind_another_door_is_named(tmp_path):
    path = written(tmp_path, "tfrec/retrieval/towers.py", "def f():\n    import keras_hub.models")
    assert list(door_breaches(path, tmp_path)) == ["tfrec/retrieval/towers.py imports keras_hub"]


def test_an_unused_door_is_named(tmp_path):
    path = written(tmp_path, "tfrec/language/text_encoder.py", "import keras_hub")
    assert "keras_hub: tfrec/language/text_encoder.py" not in unused_doors([path], tmp_path)
    assert "grpc: serving/" in unused_doors([path], tmp_path)


def test_a_circle_is_named(tmp_path):
    first = written(tmp_path, "tfrec/data/a.py", "from tfrec.data.b import x")
    second = written(tmp_path, "tfrec/data/b.py", "def f():\n    from tfrec.data import a")
    assert set(circle([first, second], tmp_path)) == {"tfrec.data.a", "tfrec.data.b"}


def sources(root: Path) -> Iterator[Path]:
    """The Python files of our packages."""
    paths = [path for package in FOLDERS for path in sorted((root / package).rglob("*.py"))]
    assert paths, f"no Python file below {root}"
    yield from paths


def modules(folder: Path) -> list[Path]:
    """The modules of a folder, but for `__init__` and `__main__`."""
    return [path for path in folder.glob("*.py") if not path.name.startswith("__")]


def package_breaches(path: Path, root: Path) -> Iterator[str]:
    """A line for each import of another package of ours that the file's package may not have."""
    file = path.relative_to(root).as_posix()
    package = file.split("/")[0]
    tree = ast.parse(path.read_text(encoding="utf-8"))
    at_start = set(imports(ast.Module([node for node in tree.body if not is_lazy(node)], [])))
    for name in sorted(set(imports(tree))):
        if file.startswith(CLI) and name not in at_start:
            continue
        target = name.split(".")[0]
        if target in FOLDERS and target != package and not may_import(package, name):
            yield f"{file} imports {name}"


def may_import(package: str, name: str) -> bool:
    """Whether a package may import a name of another of our packages."""
    if package == "pipeline":
        return name.startswith("tfrec")
    return package == "serving" and (name in FOR_SERVING or name.rpartition(".")[0] in FOR_SERVING[1:])


def folder_breaches(path: Path, root: Path) -> Iterator[str]:
    """A line for each import of a folder that stands behind the file's own in FOLDERS."""
    file = path.relative_to(root).as_posix()
    package, own = file.split("/")[0], unit(file.removesuffix(".py").replace("/", "."))
    if own not in FOLDERS[package] and (file.count("/") > 1 or package == "pipeline"):
        if own != "__init__":
            yield f"{package}/{own} is not in FOLDERS"
        return
    for name in sorted(set(imports(ast.parse(path.read_text("utf-8"))))):
        if name.split(".")[0] == package and position(package, unit(name)) > position(package, own):
            yield f"{file} imports {name}"


def unit(name: str) -> str:
    """The folder or module below its package of a dotted name; "" for the package itself."""
    return (*name.split("."), "")[1]


def position(package: str, folder: str) -> int:
    """Where a folder stands in the flow; -1 for the ground."""
    return FOLDERS[package].index(folder) if folder in FOLDERS[package] else -1


def door_breaches(path: Path, root: Path) -> Iterator[str]:
    """A line for each foreign library that the file imports though it is not its door."""
    file = path.relative_to(root).as_posix()
    for library in sorted(libraries(path) & set(DOORS)):
        if not file.startswith(DOORS[library]):
            yield f"{file} imports {library}"


def unused_doors(paths: list[Path], root: Path) -> Iterator[str]:
    """A line for each door behind which no file imports the library."""
    used = [(path.relative_to(root).as_posix(), libraries(path)) for path in paths]
    for library, doors in DOORS.items():
        for door in doors:
            if not any(file.startswith(door) and library in names for file, names in used):
                yield f"{library}: {door}"


def circle(paths: list[Path], root: Path) -> list[str]:
    """The modules of one import circle; none where there is no circle."""
    names = {".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path for path in paths}
    graph = {
        name: {
            target for each in imports(ast.parse(path.read_text("utf-8"))) for target in modules_of(each) & set(names)
        }
        for name, path in names.items()
    }
    try:
        TopologicalSorter({name: targets - {name} for name, targets in graph.items()}).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def modules_of(name: str) -> set[str]:
    """The modules that a dotted import may mean: itself, or its parent for an imported name."""
    return {name, name.rpartition(".")[0]}


def libraries(path: Path) -> set[str]:
    """Top-level names of all that a file imports."""
    return {name.split(".")[0] for name in imports(ast.parse(path.read_text(encoding="utf-8")))}


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
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path
