"""Reading and replacing a model configuration file, with its notes and the comments at its top."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from google.protobuf import text_format

from serving.rollout.config_file import ConfigFile
from serving.wire.protos import ModelServerConfig
from tfrec.errors import ServingError

TEXT = """# The shop's models.

# Ask before you change them.
model_config_list {
  config { name: "toy" base_path: "/models/toy" model_platform: "tensorflow" }  # the toy
}
"""


@pytest.fixture
def file(tmp_path: Path) -> ConfigFile:
    (tmp_path / "models.config").write_text(TEXT, encoding="utf-8")
    return ConfigFile(tmp_path / "models.config")


def test_writing_keeps_the_top_comments_and_replaces_the_notes(file: ConfigFile) -> None:
    assert file.notes() == {}
    config = file.config()
    config.model_config_list.config[0].name = "tòy"
    file.write(config, {"tòy": {"share": 0.1}, "a": {}})
    assert file.text().splitlines()[:4] == [
        "# The shop's models.",
        "",
        "# Ask before you change them.",
        r'# tfrec: {"a": {}, "t\u00f2y": {"share": 0.1}}',
    ]
    assert file.notes() == {"a": {}, "tòy": {"share": 0.1}}
    assert file.config() == config
    file.write(config, {"b": 1})
    assert file.text().count("# tfrec:") == 1
    assert file.text().startswith("# The shop's models.\n\n# Ask before")
    assert file.notes() == {"b": 1}


def test_a_server_ignores_the_notes(file: ConfigFile) -> None:
    config = file.config()
    file.write(config, {"toy": {"previous": [1, 2]}})
    assert text_format.Parse(file.text(), ModelServerConfig()) == config


def test_broken_notes_are_refused(file: ConfigFile) -> None:
    file.replace("# tfrec: {oops\n" + TEXT)
    with pytest.raises(ServingError, match=r"starts with '# tfrec:' in .* is not JSON .*; remove that line"):
        file.notes()


def test_replacing_keeps_the_mode_and_a_link_stays_a_link(file: ConfigFile, tmp_path: Path) -> None:
    file.path.chmod(0o644)
    link = tmp_path / "elsewhere" / "link.config"
    link.parent.mkdir()
    link.symlink_to(file.path)
    ConfigFile(link).replace("# new\n")
    assert link.is_symlink()
    assert file.text() == "# new\n"
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o644
    assert sorted(os.listdir(tmp_path)) == ["elsewhere", "models.config"]


def test_a_file_in_a_missing_folder_can_not_be_replaced(tmp_path: Path) -> None:
    missing = ConfigFile(tmp_path / "nosuch" / "models.config")
    with pytest.raises(ServingError, match=r"models.config can't be replaced \(.*No such file.*\); it needs a writ"):
        missing.replace(TEXT)


def test_a_failed_write_leaves_the_file_and_no_temporary_file(file: ConfigFile, tmp_path: Path) -> None:
    with pytest.raises(UnicodeEncodeError, match="surrogates not allowed"):
        file.replace("half of it " * 10_000 + "\udc80")
    assert file.text() == TEXT
    assert os.listdir(tmp_path) == ["models.config"]


@pytest.mark.parametrize("content", [b"\xff", b"models: 7"])
def test_a_file_without_a_configuration_is_refused(file: ConfigFile, content: bytes) -> None:
    file.path.write_bytes(content)
    for read in (file.config, file.notes, file.text):
        with pytest.raises(ServingError, match=r"--model_config_file: Invalid protobuf file: .* write it as a ModelS"):
            read()


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ServingError, match=r"--model_config_file is .*nosuch but it can't be read"):
        ConfigFile(tmp_path / "nosuch").text()
