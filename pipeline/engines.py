"""The engines that Beam may run a step on, each with its settings and its Beam flags.

docs/beam.md lists what each engine needs and which ones were tried.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, get_args, get_type_hints

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from tfrec.errors import ConfigError
from tfrec.settings import suggestion

DEFAULT: Final = "default"
"""The entry for every step or node without an entry of its own."""

_STRICT = ConfigDict(extra="forbid")
_Address = Annotated[str, Field(pattern=r"^[^\s:/]+:[0-9]+$")]
_Flags = tuple[Annotated[str, Field(pattern="^--")], ...]
_Text = Annotated[str, Field(min_length=1)]
_Count = Annotated[int, Field(ge=0)]

# Without an image TFX packs its own source for each step: 11 s, and nothing uses it.
_NO_SDIST = "--sdk_container_image=unused"
_JOB_SERVER_TIMEOUT = "--job_server_timeout=86400"
"""Seconds. The deadline also ends the stream of a running step's state; Beam's default is 300."""
_PLUGIN = "--beam_plugin=pipeline.beam_worker"
"""The module that workers started by Beam's own script import first."""


@dataclasses.dataclass(frozen=True)
class Local:
    """The step's own process, on one core. Beam's default would try to download a runner."""

    __pydantic_config__ = _STRICT
    engine: Literal["local"] = dataclasses.field(default="local", kw_only=True)
    flags: _Flags = ()  # here and below: further Beam flags, added last

    def beam_flags(self) -> list[str]:
        """Command-line flags for Beam."""
        return ["--runner=FnApiRunner", _NO_SDIST, *self.flags]


@dataclasses.dataclass(frozen=True)
class LocalParallel:
    """Processes on the step's own machine."""

    __pydantic_config__ = _STRICT
    engine: Literal["local-parallel"] = dataclasses.field(default="local-parallel", kw_only=True)
    workers: _Count = 0  # 0: one for each core
    flags: _Flags = ()

    def beam_flags(self) -> list[str]:
        """Command-line flags for Beam."""
        parallel = ["--direct_running_mode=multi_processing", f"--direct_num_workers={self.workers}"]
        return ["--runner=FnApiRunner", _NO_SDIST, _PLUGIN, *parallel, *self.flags]


@dataclasses.dataclass(frozen=True)
class Portable:
    """A running job server, and worker pools with this project beside the machines that it uses."""

    __pydantic_config__ = _STRICT
    job_endpoint: _Address  # host:port, as the step reaches it
    worker_pool: _Address  # host:port, as the engine's machines reach it; localhost: one on each
    engine: Literal["portable", "spark"] = dataclasses.field(default="portable", kw_only=True)
    flags: _Flags = ()

    def beam_flags(self) -> list[str]:
        """Command-line flags for Beam."""
        environment = ["--environment_type=EXTERNAL", f"--environment_config={self.worker_pool}"]
        server = [f"--job_endpoint={self.job_endpoint}", _JOB_SERVER_TIMEOUT]
        return ["--runner=PortableRunner", *server, *environment, _NO_SDIST, *self.flags]


@dataclasses.dataclass(frozen=True)
class Flink:
    """A `Portable` engine with a limit on the parallelism of a step."""

    __pydantic_config__ = _STRICT
    job_endpoint: _Address
    worker_pool: _Address
    engine: Literal["flink"] = dataclasses.field(default="flink", kw_only=True)
    workers: _Count = 0  # task slots for a step; 0: as Flink is configured
    flags: _Flags = ()

    def beam_flags(self) -> list[str]:
        """Command-line flags for Beam."""
        parallelism = (f"--parallelism={self.workers}",) if self.workers else ()
        return Portable(self.job_endpoint, self.worker_pool, flags=(*parallelism, *self.flags)).beam_flags()


@dataclasses.dataclass(frozen=True)
class Dataflow:
    """Google Cloud Dataflow."""

    __pydantic_config__ = _STRICT
    project: _Text
    region: _Text
    temp_location: Annotated[str, Field(pattern="^gs://")]
    image: _Text  # with this project and Beam's start script
    engine: Literal["dataflow"] = dataclasses.field(default="dataflow", kw_only=True)
    workers: _Count = 0  # at most; 0: Dataflow decides
    flags: _Flags = ()

    def beam_flags(self) -> list[str]:
        """Command-line flags for Beam."""
        project = [f"--project={self.project}", f"--region={self.region}", f"--temp_location={self.temp_location}"]
        workers = [f"--max_num_workers={self.workers}"] if self.workers else []
        code = [f"--sdk_container_image={self.image}", _PLUGIN, "--experiments=use_runner_v2"]
        return ["--runner=DataflowRunner", *project, *code, *workers, *self.flags]


@dataclasses.dataclass(frozen=True)
class Dask:
    """Refused: docs/decisions/0022-beam-engines.md."""

    engine: Literal["dask"] = dataclasses.field(default="dask", kw_only=True)

    def __post_init__(self) -> None:
        raise ConfigError(
            "engine 'dask' loses rows: Beam's Dask runner gives every output of a step the rows of all outputs "
            "and writes only the last; name local-parallel, portable, flink, spark or dataflow"
        )

    def beam_flags(self) -> list[str]:
        """No flags: the constructor raises."""
        return []


Engine = Annotated[Local | LocalParallel | Portable | Flink | Dataflow | Dask, Field(discriminator="engine")]
Step = Literal["default", "TableSetExampleGen", "StatisticsGen", "Transform", "RankingEvaluator"]
"""DEFAULT, or the id of a TFX node that runs on Beam."""

_FIELDS = {
    name: [field.name for field in dataclasses.fields(engine)]
    for engine in get_args(get_args(Engine)[0])
    for name in get_args(get_type_hints(engine)["engine"])
}
"""Engine -> its settings."""
_ENGINES: TypeAdapter[dict[Step, Engine]] = TypeAdapter(dict[Step, Engine])


def engine_of(engines: Mapping[Step, Engine], step: Step) -> Engine:
    """The engine of a step."""
    return engines.get(step) or engines.get(DEFAULT) or Local()


def engines_from(raw: Any) -> dict[Step, Engine]:
    """Engines from plain values; raises ConfigError for an unknown step, engine or setting."""
    try:
        return _ENGINES.validate_python(raw)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        near = _nearest(first)
        raise ConfigError(f"{where} of the run's Beam engines is {first['input']!r}{near}: {first['msg']}") from None


def _nearest(error: Any) -> str:
    """Part of a sentence with the step, engine or setting that is nearest to an unknown one."""
    match error["type"]:
        case "literal_error":
            return suggestion(error["input"], get_args(Step))
        case "union_tag_invalid":
            return suggestion(error["ctx"]["tag"], _FIELDS)
        case "unexpected_keyword_argument":
            return suggestion(error["loc"][-1], _FIELDS.get(error["loc"][-2], ()))
    return ""
