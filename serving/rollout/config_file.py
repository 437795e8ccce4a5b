"""A file of models (TensorFlow Serving's --model_config_file), read and replaced as a whole, with notes of our own.

The notes are one comment at its top, `# tfrec: {...}` in JSON: servers read over it, it travels with the file, and
one rename changes both.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from google.protobuf import text_format

from serving.wire import config_protos
from serving.wire.protos import ModelServerConfig
from tfrec.errors import ServingError

_NOTES = re.compile(r"^# tfrec: (.*)\n", re.MULTILINE)
_HEAD = re.compile(r"(?:[ \t]*(?:#.*)?\n)*")


@dataclasses.dataclass(frozen=True)
class ConfigFile:
    """A file by its path; where that is a link, what it leads to is replaced, not the link."""

    path: Path

    def text(self) -> str:
        """As it lies there; ServingError as `config`."""
        self.config()
        return self.path.read_text(encoding="utf-8")

    def config(self) -> ModelServerConfig:
        """What it says to a server; ServingError when it is no ModelServerConfig."""
        return config_protos.read("--model_config_file", self.path, ModelServerConfig)

    def notes(self) -> dict[str, Any]:
        """What we wrote down beside it, by model; nothing where somebody removed the comment."""
        found = _NOTES.search(self.text())
        if not found:
            return {}
        try:
            return dict(json.loads(found[1]))
        except ValueError as error:
            raise ServingError(
                f"the comment that starts with '# tfrec:' in {self.path} is no JSON ({error}); remove that line"
            ) from error

    def write(self, config: ModelServerConfig, notes: Mapping[str, Any]) -> None:
        """Replaces the file; the comments at its top stay, others are lost."""
        head = _NOTES.sub("", _HEAD.match(self.text())[0])  # type: ignore[index]  # it matches nothing at all too
        line = f"# tfrec: {json.dumps(dict(sorted(notes.items())))}\n"
        self.replace(head + line + text_format.MessageToString(config))

    def replace(self, text: str) -> None:
        """Puts `text` in the place of the file, whole at every moment; ServingError when it can't be written."""
        target = self.path.resolve()
        try:
            with (
                tempfile.NamedTemporaryFile(
                    "w", encoding="utf-8", dir=target.parent, prefix=f".{target.name}.", delete=False
                ) as beside,
                _removed_on_failure(beside.name),
            ):
                beside.write(text)
                beside.flush()
                os.fsync(beside.fileno())
                shutil.copymode(target, beside.name)  # the server may run as somebody else
                os.replace(beside.name, target)
        except OSError as error:
            raise ServingError(
                f"{self.path} can't be replaced ({error}); it takes a folder that you may write to, and mounted into a "
                "container as a folder, not as this one file"
            ) from error


@contextlib.contextmanager
def _removed_on_failure(path: str) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        raise
