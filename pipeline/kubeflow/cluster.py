"""A cluster as a run sees it, from one YAML file: images, the volume, ML Metadata, each node's pod, Beam's engines.

It knows nothing of TFX and Kubeflow, and imports neither; examples/cluster.yaml shows every setting.
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
    BeforeValidator(lambda value: str(value) if type(value) in (int, float) else value),  # as Kubernetes takes it
]
_Memory = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?(E|Ei|P|Pi|T|Ti|G|Gi|M|Mi|K|Ki)?$")]
_Folder = Annotated[str, Field(pattern=r"^/[^\s]+$")]


@dataclasses.dataclass(frozen=True)
class Toleration:
    """A taint of machines that a pod may run on all the same; Kubernetes' words."""

    __pydantic_config__ = _STRICT
    key: str | None = None
    operator: Annotated[str, Field(pattern="^(Equal|Exists)$")] = "Exists"
    value: str | None = None
    effect: Annotated[str, Field(pattern="^(NoExecute|NoSchedule|PreferNoSchedule)$")] | None = None


@dataclasses.dataclass(frozen=True)
class Secret:
    """A Kubernetes Secret that every pod sees: as variables, as files, or both."""

    __pydantic_config__ = _STRICT
    name: _Text
    env: dict[str, str] = dataclasses.field(default_factory=dict)  # key of the secret -> variable of the pod
    path: _Folder | None = None  # a folder with a file for each key


@dataclasses.dataclass(frozen=True)
class Volume:
    """A PersistentVolumeClaim that all pods mount at the same path."""

    __pydantic_config__ = _STRICT
    claim: _Text
    path: _Folder = "/mnt/tfrec"


@dataclasses.dataclass(frozen=True)
class Node:
    """What a pod is given. CPU and memory are both what it asks for and what it may not exceed."""

    __pydantic_config__ = _STRICT
    cpu: _Cpu = "2"
    memory: _Memory = "8Gi"
    gpus: Annotated[int, Field(ge=0)] = 0
    gpu_resource: _Text = "nvidia.com/gpu"  # its name in Kubernetes
    selector: dict[str, str] = dataclasses.field(default_factory=dict)  # labels of the machines it may run on
    tolerations: tuple[Toleration, ...] = ()
    retries: Annotated[int, Field(ge=0)] = 2  # training goes on from its checkpoint


@dataclasses.dataclass(frozen=True)
class Cluster:
    """Where a run's pods come from and what they share."""

    __pydantic_config__ = _STRICT
    image: _Text
    volume: Volume  # tables, artifacts and what is served lie below it; ReadWriteMany
    further_volumes: tuple[Volume, ...] = ()  # such as a bucket with the raw logs
    gpu_image: str = ""  # of nodes with a GPU; "": the same
    metadata: Annotated[str, Field(pattern=r"^$|^[^\s:/]+:[0-9]+$")] = ""  # host:port of ML Metadata's gRPC server
    ingest: tuple[str, ...] = ()  # what `tfrec ingest` is told before each run; (): none
    secrets: tuple[Secret, ...] = ()
    pull_secrets: tuple[str, ...] = ()  # of the image's registry
    env: dict[str, str] = dataclasses.field(default_factory=dict)
    # Of both the entry "default" holds for all that have none of their own, and fills in what the others leave out.
    nodes: dict[str, Node] = dataclasses.field(default_factory=dict)  # id of a TFX node -> what its pod is given
    beam: dict[Step, Engine] = dataclasses.field(default_factory=dict)  # what runs each Beam step; {}: as the run says

    def node(self, name: str) -> Node:
        """What the pod of that node is given."""
        return self.nodes.get(name) or self.nodes.get(DEFAULT) or Node()

    def image_of(self, name: str) -> str:
        """The image of that node's pod."""
        return self.gpu_image if self.gpu_image and self.node(name).gpus else self.image


def read_cluster(path: Path) -> Cluster:
    """The Cluster of a YAML file; ConfigError when it can't be one."""
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cluster {path} can't be read ({error.strerror}); see examples/cluster.yaml") from None
    except (yaml.YAMLError, UnicodeError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"cluster {path} is not YAML ({reason}); see examples/cluster.yaml") from None
    try:
        return TypeAdapter(Cluster).validate_python(_filled_in(raw))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise ConfigError(
            f"{where} of cluster {path} is {first['input']!r}: {first['msg']}; see examples/cluster.yaml"
        ) from None


def placed(run: Run, cluster: Cluster) -> Run:
    """The run as its pods see it: what lies in this working directory here lies on the cluster's volume there."""
    root = PurePosixPath(cluster.volume.path)
    return dataclasses.replace(
        run,
        tables=str(root / run.tables),
        out=str(root / run.out),
        metadata_server=cluster.metadata,
        beam=cluster.beam or run.beam,
    )


def _filled_in(raw: Any) -> Any:
    """The same with the default entry's settings in every node and engine that leaves them out."""
    if not isinstance(raw, dict):
        return raw
    return raw | {section: _by_default(raw[section]) for section in ("nodes", "beam") if section in raw}


def _by_default(entries: Any) -> Any:
    if not isinstance(entries, dict) or not all(isinstance(entry, dict) for entry in entries.values()):
        return entries
    default = entries.get(DEFAULT, {})
    return {name: default | entry if _is_alike(entry, default) else entry for name, entry in entries.items()}


def _is_alike(entry: dict[str, Any], default: dict[str, Any]) -> bool:
    """Whether the default's settings may be its too: those of another engine of Beam's may not."""
    return entry.get("engine", default.get("engine")) == default.get("engine")
