"""ExampleGen and Transform on real engines, job servers and worker pools, give the local rows.

The test on Flink is skipped where `make flink` did not fetch its job server or Java is missing.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pipeline.configuration import named_run
from pipeline.engines import Engine, Flink, Local, Portable
from pipeline.local_runner import run_pipeline
from pipeline.runs import Run
from tfrec.config import Config
from tfrec.examples.build import SPLITS
from tfrec.schema import TableSet

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
FLINK = ROOT / ".tools" / "flink"
TIMEOUT_SECONDS = 1200  # for a busy machine
BOUNDED = (f"--job_server_timeout={TIMEOUT_SECONDS}",)


@dataclasses.dataclass(frozen=True)
class Rows:
    """What an engine wrote, by artifact and split, or vocabulary; rows are sorted by their text."""

    texts: dict[str, list[str]]
    """Features but numbers of float32."""
    numbers: dict[str, np.ndarray]
    """Those numbers, which an engine rounds by the bundles in which it sums."""

    def assert_like(self, local: Rows) -> None:
        """Fail unless all is equal, numbers but for rounding."""
        assert self.texts == local.texts
        for name, numbers in self.numbers.items():
            np.testing.assert_allclose(numbers, local.numbers[name], rtol=1e-5, atol=1e-5, err_msg=name)


@pytest.fixture(scope="module")
def local(shop: TableSet, tmp_path_factory: pytest.TempPathFactory) -> Rows:
    """The rows of the two steps in this process."""
    return rows_of(shop, tmp_path_factory.mktemp("local"), Local())


@pytest.fixture
def worker_pool(tmp_path: Path) -> Iterator[str]:
    """host:port of a Beam worker pool, in another folder and environment than the run."""
    port = free_port()
    worker = Path(sys.executable).with_name("tfrec-beam-worker")
    pool = (sys.executable, "-m", "apache_beam.runners.worker.worker_pool_main")
    with serving(tmp_path, port, *pool, f"--service_port={port}", f"--container_executable={worker}"):
        yield f"localhost:{port}"


def test_a_job_service_with_a_worker_pool_gives_the_local_rows(
    shop: TableSet, local: Rows, worker_pool: str, tmp_path: Path
) -> None:
    port = free_port()
    module = "apache_beam.runners.portability.local_job_service_main"
    with serving(tmp_path, port, sys.executable, "-m", module, f"--port={port}"):
        rows_of(shop, tmp_path, Portable(f"localhost:{port}", worker_pool, flags=BOUNDED)).assert_like(local)


@pytest.mark.skipif(not FLINK.is_dir(), reason="Flink runs the steps; `make flink` fetches it")
@pytest.mark.skipif(
    not shutil.which("java"), reason="Flink's job server needs Java 11; Debian 12: apt-get install default-jre-headless"
)
def test_flink_gives_the_local_rows(shop: TableSet, local: Rows, worker_pool: str, tmp_path: Path) -> None:
    port = free_port()
    ports = (f"--job-port={port}", "--artifact-port=0", "--expansion-port=0")
    files = (f"--artifacts-dir={tmp_path / 'artifacts'}", f"--flink-conf-dir={ROOT / 'tools' / 'flink'}")
    server = ("java", "-cp", f"{FLINK}/*", "org.apache.beam.runners.flink.FlinkJobServerDriver")
    with serving(tmp_path, port, *server, "--flink-master=[local]", *ports, *files):
        engine = Flink(f"localhost:{port}", worker_pool, workers=2, flags=BOUNDED)
        rows_of(shop, tmp_path, engine).assert_like(local)


def rows_of(shop: TableSet, out: Path, engine: Engine) -> Rows:
    """Run ExampleGen and Transform over the shop on an engine and read their rows."""
    tiny = named_run("tiny")
    examples = dataclasses.replace(tiny.config.examples, split=Config().examples.split)
    run = Run(
        "engines",
        config=dataclasses.replace(tiny.config, examples=examples),
        tables=os.path.relpath(shop.root),  # relative, although the workers run in another folder
        out=str(out),
        beam={"default": engine},
    )
    run_pipeline(run, until="Transform")
    return _read(Path(run.pipeline_root))


def _read(root: Path) -> Rows:
    import tensorflow as tf

    texts, numbers = {}, {}
    for folder in ("TableSetExampleGen/examples", "Transform/transformed_examples"):
        for split in SPLITS:
            files = sorted(map(str, root.glob(f"{folder}/*/Split-{split}/*.gz")))
            records = tf.data.TFRecordDataset(files, compression_type="GZIP").as_numpy_iterator()
            rows = sorted((_row(tf.train.Example.FromString(record)) for record in records), key=lambda row: row[0])
            name = f"{folder} {split}"
            texts[name] = [text for text, _ in rows]
            numbers[name] = np.array([number for _, values in rows for number in values], np.float32)
            assert len(set(texts[name])) == len(rows) > 0  # so that the order is one
    for file in sorted(root.glob("Transform/transform_graph/*/transform_fn/assets/*")):
        texts[f"vocabulary {file.name}"] = [file.read_bytes().hex()]
    assert any(map(len, numbers.values()))
    return Rows(texts, numbers)


def _row(example: object) -> tuple[str, list[float]]:
    """Text of a row, with the count of its float32 numbers in their place, and these numbers."""
    texts, numbers = [], []
    for name, feature in sorted(example.features.feature.items()):  # type: ignore[attr-defined]
        values = list(feature.float_list.value)
        texts.append(f"{name}: {len(values) if values else feature}")
        numbers += values
    return repr(texts), numbers


@contextlib.contextmanager
def serving(folder: Path, port: int, *command: str) -> Iterator[None]:
    """Run a process that serves on a port, in a bare environment, until the block ends."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    with (folder / f"{port}.log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        _wait_for(port, process, folder / f"{port}.log")
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # its workers too
        process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("localhost", port)):
            return
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)


def free_port() -> int:
    with socket.create_server(("localhost", 0)) as taken:
        return int(taken.getsockname()[1])
