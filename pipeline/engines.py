"""The engines that Beam may run a step on, each with its settings and the flags that say so to Beam.

docs/beam.md says what each needs and which were run. This file knows nothing of TFX and imports no Beam: which steps
are Beam's is dag.py's business.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from tfrec.errors import ConfigError

DEFAULT: Final = "default"
"""The entry that holds for all that have none of their own."""

_STRICT = ConfigDict(extra="forbid")
_Address = Annotated[str, Field(pattern=r"^[^\s:/]+:[0-9]+$")]
_Flags = tuple[Annotated[str, Field(pattern="^--")], ...]
_Text = Annotated[str, Field(min_length=1)]
_Count = Annotated[int, Field(ge=0)]

# Named, so that TFX does not pack its own source anew for each step, which takes 11 s and serves nobody.
_NO_SDIST = "--sdk_container_image=unused"
_PATIENCE = "--job_server_timeout=86400"
"""Seconds: Beam's default of 300 bounds a whole step too, as the deadline of the stream that tells how it goes."""
_PLUGIN = "--beam_plugin=pipeline.beam_worker"
"""What workers that Beam's own script starts import first."""


@dataclasses.dataclass(frozen=True)
class Local:
    """In the step's own process, on one core. Beam's own default would try to download a runner."""

    __pydantic_config__ = _STRICT
    engine: Literal["local"] = dataclasses.field(default="local", kw_only=True)
    flags: _Flags = ()  # here and below: further flags of Beam's, after the rest

    def beam_flags(self) -> list[str]:
        """As Beam takes them."""
        return ["--runner=FnApiRunner", _NO_SDIST, *self.flags]


@dataclasses.dataclass(frozen=True)
class LocalParallel:
    """Processes on the step's own machine."""

    __pydantic_config__ = _STRICT
    engine: Literal["local-parallel"] = dataclasses.field(default="local-parallel", kw_only=True)
    workers: _Count = 0  # 0: as many as there are cores
    flags: _Flags = ()

    def beam_flags(self) -> list[str]:
        """As Beam takes them."""
        parallel = ["--direct_running_mode=multi_processing", f"--direct_num_workers={self.workers}"]
        return ["--runner=FnApiRunner", _NO_SDIST, _PLUGIN, *parallel, *self.flags]


@dataclasses.dataclass(frozen=True)
class Portable:
    """A job server that is running, and pools of our Python beside the machines that it uses."""

    __pydantic_config__ = _STRICT
    job_endpoint: _Address  # as the step reaches it
    worker_pool: _Address  # as the engine's machines reach it: localhost, where each has its own
    engine: Literal["portable", "spark"] = dataclasses.field(default="portable", kw_only=True)
    flags: _Flags = ()

    def beam_flags(self) -> list[str]:
        """As Beam takes them."""
        environment = ["--environment_type=EXTERNAL", f"--environment_config={self.worker_pool}"]
        server = [f"--job_endpoint={self.job_endpoint}", _PATIENCE]
        return ["--runner=PortableRunner", *server, *environment, _NO_SDIST, *self.flags]


@dataclasses.dataclass(frozen=True)
class Flink:
    """As `Portable`, with how wide a step may be."""

    __pydantic_config__ = _STRICT
    job_endpoint: _Address
    worker_pool: _Address
    engine: Literal["flink"] = dataclasses.field(default="flink", kw_only=True)
    workers: _Count = 0  # task slots that a step may use; 0: as Flink is configured
    flags: _Flags = ()

    def beam_flags(self) -> list[str]:
        """As Beam takes them."""
        width = (f"--parallelism={self.workers}",) if self.workers else ()
        return Portable(self.job_endpoint, self.worker_pool, flags=(*width, *self.flags)).beam_flags()


@dataclasses.dataclass(frozen=True)
class Dataflow:
    """Google's service."""

    __pydantic_config__ = _STRICT
    project: _Text
    region: _Text
    temp_location: Annotated[str, Field(pattern="^gs://")]
    image: _Text  # has this project installed, beside Beam's own start script
    engine: Literal["dataflow"] = dataclasses.field(default="dataflow", kw_only=True)
    workers: _Count = 0  # at most; 0: as Dataflow likes
    flags: _Flags = ()

    def beam_flags(self) -> list[str]:
        """As Beam takes them."""
        place = [f"--project={self.project}", f"--region={self.region}", f"--temp_location={self.temp_location}"]
        width = [f"--max_num_workers={self.workers}"] if self.workers else []
        code = [f"--sdk_container_image={self.image}", _PLUGIN, "--experiments=use_runner_v2"]
        return ["--runner=DataflowRunner", *place, *code, *width, *self.flags]


@dataclasses.dataclass(frozen=True)
class Dask:
    """Refused: docs/decisions/0022-beam-engines.md."""

    engine: Literal["dask"] = dataclasses.field(default="dask", kw_only=True)

    def __post_init__(self) -> None:
        raise ConfigError(
            "engine 'dask' loses rows: Beam's runner for it gives each output of a step the rows of all and writes but "
            "the last; name local-parallel, portable, flink, spark or dataflow"
        )

    def beam_flags(self) -> list[str]:
        """None that work."""
        return []


Engine = Annotated[Local | LocalParallel | Portable | Flink | Dataflow | Dask, Field(discriminator="engine")]
Step = Literal["default", "TableSetExampleGen", "StatisticsGen", "Transform", "RankingEvaluator"]
"""DEFAULT, or the id of a TFX node that is Beam's."""

_ENGINES: TypeAdapter[dict[Step, Engine]] = TypeAdapter(dict[Step, Engine])


def engine_of(engines: Mapping[Step, Engine], step: Step) -> Engine:
    """What runs that step."""
    return engines.get(step) or engines.get(DEFAULT) or Local()


def engines_from(raw: Any) -> dict[Step, Engine]:
    """The engines that plain values name; ConfigError for what an engine can't be told."""
    try:
        return _ENGINES.validate_python(raw)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"{where} of the run's Beam engines is {first['input']!r}: {first['msg']}") from None
