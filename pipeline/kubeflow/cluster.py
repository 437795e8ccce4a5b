"""The cluster's YAML file: images, volume, ML Metadata, pods of nodes, Beam's engines.

examples/cluster.yaml shows every setting.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

import yaml
from pydantic import BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from pipeline.engines import DEFAULT, Engine, Step
from pipeline.runs import Run
from tfrec.errors import ConfigError

_STRICT = ConfigDict(extra="forbid")
_Text = Annotated[str, Field(min_length=1)]
_Cpu = Annotated[
    str,
    Field(pattern=r"^[0-9]+(\.[0-9]+)?$|^[0-9]+m$"),
    BeforeValidator(lambda value: str(value) if type(value) in (int, float) else value),  # Kubernetes takes numbers too
]
_Memory = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?(E|Ei|P|Pi|T|Ti|G|Gi|M|Mi|K|Ki)?$")]
_Folder = Annotated[str, Field(pattern=r"^/[^\s]+$")]


@dataclasses.dataclass(frozen=True)
class Toleration:
    """A taint of machines that a pod tolerates, in Kubernetes' terms."""

    __pydantic_config__ = _STRICT
    key: str | None = None
    operator: Annotated[str, Field(pattern="^(Equal|Exists)$")] = "Exists"
    value: str | None = None
    effect: Annotated[str, Field(pattern="^(NoExecute|NoSchedule|PreferNoSchedule)$")] | None = None


@dataclasses.dataclass(frozen=True)
class Secret:
    """A Kubernetes Secret for every pod: as variables, as files, or both."""

    __pydantic_config__ = _STRICT
    name: _Text
    env: dict[str, str] = dataclasses.field(default_factory=dict)  # key of the secret -> variable of the pod
    path: _Folder | None = None  # folder with a file for each key


@dataclasses.dataclass(frozen=True)
class Volume:
    """A PersistentVolumeClaim that all pods mount at the same path."""

    __pydantic_config__ = _STRICT
    claim: _Text
    path: _Folder = "/mnt/tfrec"


@dataclasses.dataclass(frozen=True)
class PodSettings:
    """Settings of a pod. CPU and memory are both its request and its limit."""

    __pydantic_config__ = _STRICT
    cpu: _Cpu = "2"
    memory: _Memory = "8Gi"
    gpus: Annotated[int, Field(ge=0)] = 0
    gpu_resource: _Text = "nvidia.com/gpu"  # name of the resource in Kubernetes
    selector: dict[str, str] = dataclasses.field(default_factory=dict)  # labels of the machines that it may run on
    tolerations: tuple[Toleration, ...] = ()
    retries: Annotated[int, Field(ge=0)] = 2  # training resumes from its checkpoint


@dataclasses.dataclass(frozen=True)
class Cluster:
    """Images of a run's pods, what the pods share, and settings of each."""

    __pydantic_config__ = _STRICT
    image: _Text
    volume: Volume  # of tables, artifacts and pushed versions; ReadWriteMany
    further_volumes: tuple[Volume, ...] = ()  # such as a bucket with raw logs
    gpu_image: str = ""  # of nodes with a GPU; "": the same image
    metadata: Annotated[str, Field(pattern=r"^$|^[^\s:/]+:[0-9]+$")] = ""  # host:port of ML Metadata's gRPC server
    ingest: tuple[str, ...] = ()  # arguments of `tfrec ingest` before each run; (): no ingest
    secrets: tuple[Secret, ...] = ()
    pull_secrets: tuple[str, ...] = ()  # of the image's registry
    env: dict[str, str] = dataclasses.field(default_factory=dict)
    # The entry "default" of the two below is for all without an entry, and completes the other
    # entries.
    nodes: dict[str, PodSettings] = dataclasses.field(default_factory=dict)  # id of a TFX node -> its pod
    beam: dict[Step, Engine] = dataclasses.field(default_factory=dict)  # {}: those of the run

    def pod(self, node: str) -> PodSettings:
        """Settings of the pod of a node."""
        return self.nodes.get(node) or self.nodes.get(DEFAULT) or PodSettings()

    def image_of(self, node: str) -> str:
        """The image of the pod of a node."""
        return self.gpu_image if self.gpu_image and self.pod(node).gpus else self.image


def read_cluster(path: Path) -> Cluster:
    """Read a cluster's YAML file; raises ConfigError for unknown settings and values."""
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cluster {path} can't be read ({error.strerror}); see examples/cluster.yaml") from None
    except (yaml.YAMLError, UnicodeError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"cluster {path} is not YAML ({reason}); see examples/cluster.yaml") from None
    try:
        return TypeAdapter(Cluster).validate_python(_with_defaults(raw))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the content"
        raise ConfigError(
            f"{where} of cluster {path} is {first['input']!r}: {first['msg']}; see examples/cluster.yaml"
        ) from None


def place_on_volume(run: Run, cluster: Cluster) -> Run:
    """Move a run's folders from this working directory to the cluster's volume, for its pods.

    Raises ConfigError for a folder that is not below the working directory.
    """
    for key, folder in (("tables", run.tables), ("out", run.out)):
        path = PurePosixPath(folder)
        if path.is_absolute() or ".." in path.parts:
            raise ConfigError(
                f"`{key}` is {folder}, expected a folder below the working directory, which becomes one of the volume "
                f"{cluster.volume.path}; write it without a leading / and without .."
            )
    root = PurePosixPath(cluster.volume.path)
    return dataclasses.replace(
        run,
        tables=str(root / run.tables),
        out=str(root / run.out),
        metadata_server=cluster.metadata,
        beam=cluster.beam or run.beam,
    )


def _with_defaults(raw: Any) -> Any:
    """Complete every node and engine with the settings of the default entry."""
    if not isinstance(raw, dict):
        return raw
    return raw | {section: _complete(raw[section]) for section in ("nodes", "beam") if section in raw}


def _complete(entries: Any) -> Any:
    if not isinstance(entries, dict) or not all(isinstance(entry, dict) for entry in entries.values()):
        return entries
    default = entries.get(DEFAULT, {})
    return {name: default | entry if _is_same_engine(entry, default) else entry for name, entry in entries.items()}


def _is_same_engine(entry: dict[str, Any], default: dict[str, Any]) -> bool:
    """True if the default's settings fit the entry; those of another Beam engine do not."""
    return entry.get("engine", default.get("engine")) == default.get("engine")
