"""A model configuration file of TensorFlow Serving (--model_config_file), with notes.

The notes are one comment at its top, `# tfrec: {...}` in JSON. Servers ignore it, it stays with the
file, and one rename changes both.
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
    """A model configuration file; of a symbolic link the target is replaced."""

    path: Path

    def text(self) -> str:
        """Read the file as text; raises ServingError as `config` does."""
        self.config()
        return self.path.read_text(encoding="utf-8")

    def config(self) -> ModelServerConfig:
        """Read the configuration; raises ServingError if it is not a ModelServerConfig."""
        return config_protos.read("--model_config_file", self.path, ModelServerConfig)

    def notes(self) -> dict[str, Any]:
        """Read the notes by model name; {} if there is no comment."""
        match = _NOTES.search(self.text())
        if not match:
            return {}
        try:
            return dict(json.loads(match[1]))
        except ValueError as error:
            raise ServingError(
                f"the comment that starts with '# tfrec:' in {self.path} is not JSON ({error}); remove that line"
            ) from error

    def write(self, config: ModelServerConfig, notes: Mapping[str, Any]) -> None:
        """Replace the file; the comments at its top stay, all others are lost."""
        head = _NOTES.sub("", _HEAD.match(self.text())[0])  # type: ignore[index]  # it always matches
        line = f"# tfrec: {json.dumps(dict(sorted(notes.items())))}\n"
        self.replace(head + line + text_format.MessageToString(config))

    def replace(self, text: str) -> None:
        """Replace the file by `text` atomically; raises ServingError if it can't be written."""
        target = self.path.resolve()
        try:
            with (
                tempfile.NamedTemporaryFile(
                    "w", encoding="utf-8", dir=target.parent, prefix=f".{target.name}.", delete=False
                ) as temporary,
                _removed_on_failure(temporary.name),
            ):
                temporary.write(text)
                temporary.flush()
                os.fsync(temporary.fileno())
                shutil.copymode(target, temporary.name)  # the server may run as another user
                os.replace(temporary.name, target)
        except OSError as error:
            raise ServingError(
                f"{self.path} can't be replaced ({error}); it needs a writable folder, and a container must mount the "
                "folder, not this one file"
            ) from error


@contextlib.contextmanager
def _removed_on_failure(path: str) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        raise
