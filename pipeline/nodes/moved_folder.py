"""A pipeline's folder that was moved: TFX's records follow it, and its cache does not see paths.

ML Metadata holds the absolute path of each artifact, and TFX's cache hashes paths among the
properties and inputs of a node. Without this module a moved folder would run every step again.
"""

from __future__ import annotations

import contextlib
import copy
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tfx import types
from tfx.orchestration.portable import cache_utils

from pipeline.runs import RunFolders

_URI_PARTS = 3  # TFX's artifacts lie in <pipeline root>/<node>/<output>/<execution>


def move_records(run: RunFolders) -> str:
    """Point ML Metadata's artifacts at the run's folder.

    Returns the folder that they named before, "" for the same one. Records on a metadata server
    stay as they are.
    """
    file = Path(run.metadata)
    if run.metadata_server or not file.is_file():
        return ""
    with contextlib.closing(sqlite3.connect(file)) as database, database:
        if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'Artifact'").fetchone():
            return ""  # an interrupted first run
        before = ""
        for id_, uri in database.execute("SELECT id, uri FROM Artifact WHERE uri IS NOT NULL").fetchall():
            root, *rest = uri.rsplit("/", _URI_PARTS)
            if len(rest) == _URI_PARTS and root != run.pipeline_root:
                before = root
                # Not by MetadataStore: it would change a time that the cache hashes.
                moved = "/".join([run.pipeline_root, *rest])
                database.execute("UPDATE Artifact SET uri = ? WHERE id = ?", (moved, id_))
    return before


@contextlib.contextmanager
def cache_without_paths(run: RunFolders) -> Iterator[None]:
    """Let TFX's cache keys hold no path of the run's folders.

    What lies there is hashed by its content.
    """
    folders = [str(Path(run.out).absolute()), str(Path(run.tables).absolute())]
    with_paths = cache_utils.get_cache_context

    def get_cache_context(
        *,
        input_artifacts: Mapping[str, Sequence[types.Artifact]] | None = None,
        parameters: Mapping[str, Any] | None = None,
        **others: Any,
    ) -> Any:
        return with_paths(
            input_artifacts={
                key: [_without(folders, artifact) for artifact in artifacts]
                for key, artifacts in (input_artifacts or {}).items()
            },
            parameters={name: _removed(folders, str(value)) for name, value in (parameters or {}).items()},
            **others,
        )

    # TFX has no hook for its keys; its launcher looks the function up at each node.
    cache_utils.get_cache_context = get_cache_context
    try:
        yield
    finally:
        cache_utils.get_cache_context = with_paths


def _without(folders: Sequence[str], artifact: types.Artifact) -> types.Artifact:
    """A copy of an artifact without the folders in its URI and properties."""
    artifact = copy.deepcopy(artifact)
    record = artifact.mlmd_artifact
    record.uri = _removed(folders, record.uri)
    for value in [*record.properties.values(), *record.custom_properties.values()]:
        if value.HasField("string_value"):
            value.string_value = _removed(folders, value.string_value)
    return artifact


def _removed(folders: Sequence[str], text: str) -> str:
    """The text without the folders where they stand whole: as a value, or before a slash."""
    return re.sub(rf"(?<![^\"'])({'|'.join(map(re.escape, folders))})(?![^/\"'])", "", text)
