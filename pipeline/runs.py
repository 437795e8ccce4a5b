"""A run: its folders and its configuration. run_file.py reads one from a shop's YAML file."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path

import yaml

from pipeline.engines import Engine, Step, engines_from
from tfrec.config import Config, config_from_json
from tfrec.errors import ConfigError
from tfrec.setting_names import with_named

PRESETS = Path(__file__).parent / "presets"
COMPLETE_JOURNEY = "data/complete-journey"
"""The demo's tables, written by `tfrec ingest complete-journey`."""


@dataclasses.dataclass(frozen=True)
class RunFolders:
    """Name of a run and the folders that it reads and writes."""

    name: str  # also the TFX pipeline's: lower-case letters, digits, hyphens
    tables: str = COMPLETE_JOURNEY  # folder of an ingested table set
    out: str = "out"
    file: str = dataclasses.field(default="", kw_only=True)  # the shop's YAML file; "": a run of the project
    metadata_server: str = dataclasses.field(default="", kw_only=True)
    """`host:port` of ML Metadata's gRPC server; "": a file."""

    @property
    def argument(self) -> str:
        """Argument that names the run on the command line."""
        return self.file or f"--run {self.name}"

    @property
    def pipeline_root(self) -> str:
        """Folder of TFX's artifacts."""
        return str(Path(self.out).absolute() / "pipelines" / self.name)

    @property
    def metadata(self) -> str:
        """ML Metadata's sqlite file, used when there is no server."""
        return str(Path(self.pipeline_root) / "metadata.sqlite")

    @property
    def work(self) -> str:
        """Folder of checkpoints of unfinished training."""
        return str(Path(self.pipeline_root) / "work")

    @property
    def owner(self) -> Path:
        """Record of the shop's file whose runs `pipeline_root` holds."""
        return Path(self.pipeline_root) / "shop_file.txt"

    @property
    def serving(self) -> str:
        """TensorFlow Serving's model_base_path, a folder for each version."""
        return str(Path(self.out).absolute() / "serving" / self.name)


@dataclasses.dataclass(frozen=True)
class Run(RunFolders):
    """One configuration of the pipeline over one shop's tables."""

    config: Config = dataclasses.field(default_factory=Config, kw_only=True)
    beam: Mapping[Step, Engine] = dataclasses.field(default_factory=dict, kw_only=True)
    """Beam step, or "default" -> engine."""

    def to_json(self) -> str:
        """One line of JSON, by which the pods of a cluster get the run."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)


def preset(name: str) -> Config:
    """Configuration of a file of presets/; "none": the defaults."""
    if name == "none":
        return Config()
    text = (PRESETS / f"{name}.yaml").read_text(encoding="utf-8")
    return with_named(Config(), yaml.load(text, Loader=yaml.BaseLoader)["settings"])


def path_from(folder: str | Path, file: str) -> str:
    """Path of a shop's file as a record in a folder holds it; "" for a run of the project."""
    return os.path.relpath(Path(file).absolute(), Path(folder).absolute()) if file else ""


def other_file(folder: str | Path, recorded: str, file: str) -> Path | None:
    """The shop's file that a record in a folder names, if another than `file` and not gone."""
    other = Path(folder, recorded).resolve()
    is_other = recorded and file and other.is_file() and other != Path(file).resolve()
    return other if is_other else None


def run_from_json(text: str) -> Run:
    """Parse the JSON of `Run.to_json`; ConfigError for that of another version of tfrec."""
    values = json.loads(text)
    known = {field.name for field in dataclasses.fields(Run)}
    if values.keys() != known:
        raise ConfigError(
            f"the run has {', '.join(sorted(values.keys() ^ known))} too much or too little, so another version of "
            "tfrec compiled it; compile it again: `tfrec kubeflow compile`"
        )
    config, beam = config_from_json(json.dumps(values["config"])), engines_from(values["beam"])
    return Run(**values | {"config": config, "beam": beam})
