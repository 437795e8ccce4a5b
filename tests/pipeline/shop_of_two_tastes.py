"""A generated shop as its own files, and a working directory in which the pipeline runs on it.

Of 60 customers the even ones drink tea and the odd ones build. Nine of ten of a customer's events
are of this taste, and within a taste no item is more popular than another. The log has 56 days, of
which the last 7 are the test window. The last item of each taste is sold in that window alone, and
customers 56 to 59 come in it for the first time.
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

BIN = Path(sys.executable).parent
RUNNER = Path(__file__).parents[2] / "pipeline" / "local_runner.py"
NODES = """ImportSchemaGen TableSetExampleGen StatisticsGen ExampleValidator check_examples Transform Trainer
    RankingTrainer check_model evaluate_model Pusher""".split()
DAYS, TEST_DAYS = 56, 7
TEST_START = 1_708_300_800  # 2024-02-19 00:00, 7 days before the end of 2024-02-25, the last day of the log
TASTES = {
    "tea": """西湖龙井 绿茶|Sencha green tea|Gunpowder green tea|Assam black tea|Earl Grey|Lapsang souchong|Rooibos
    |Jasmine tea|White peony|Oolong from Taiwan|Peppermint tea|Camomile tea|Ginger tea|Matcha powder|Cast iron teapot
    |Tea strainer|Bamboo whisk|Porcelain tea cup|Rock sugar|First flush Darjeeling tea""",
    "tools": """Claw hammer, 500 g|Cordless drill, 18 V|Wood drill bits|Hand saw|Spirit level|Tape measure "5 m"|Jigsaw
    |Set of screwdrivers|Adjustable spanner|Work bench|Wood glue|Fine sandpaper|Safety goggles|Nails, 50 mm|Wall plugs
    |Bolt cutter|Paint roller|Masking tape|Work gloves|Laser level""",
}
RUN = """\
partitions: 2
preset: none
settings:
  examples.max_events: 16
  examples.stride: 8
  examples.window_history: 32
  examples.split.test_days: 7
  examples.split.validation_days: 7
  towers.dim: 8
  towers.random_bert: true
  towers.text_mode: full
  train.epochs: 3
  train.batch_size: 16
  train.learning_rate: 0.02
  train.uniform_negatives: 8
  train.text_steps: 2
  ranking.epochs: 10
  ranking.n_towers: 10
  ranking.n_copurchase: 10
  ranking.n_repeat: 20
  ranking.n_popular: 10
  ranking.n_cold: 5
  ranking.copurchase_rank: 4
  ranking.batch_size: 64
  ranking.learning_rate: 0.01
  ranking.cross_layers: 1
  ranking.cross_rank: 4
  ranking.hidden: [16]
  verdict.floor: [recent_popularity]
  verdict.first_stage: false
  verdict.first_clicks: false
  verdict.production_margin: 0.5
"""
"""Keys of a run that trains in seconds."""
SHOP_FILE = f"""\
interactions:
  path: raw/log*.csv
  columns: {{user_id: customer, item_id: sku, kind: event, timestamp: at, price: price, query: words}}
  kinds: {{look: view, buy: purchase, find: search}}
items:
  path: raw/products.csv
  columns: {{item_id: sku, title: name, category: [hall, shelf], price: price}}
  extra: [maker]
users:
  path: raw/customers.csv
  columns: {{user_id: customer}}
  profile: [city]
{RUN}"""
CORRECTIONS = (
    (r"path: raw/log.csv", "path: raw/log*.csv"),  # more logs will follow
    (r"    buy: purchase\n", "    buy: purchase\n    find: search\n"),
    (r"    price: price\n  kinds:", "    price: price\n    query: words\n  kinds:"),
    (r"    brand: maker", "    maker: maker"),
    (r"    hall: hall.*\n    shelf: shelf.*\n", "    category: [hall, shelf]\n"),
    (r"preset: auto(.|\n)*", RUN),
)
"""What `tfrec init` guesses -> what a person knows of the shop."""


@dataclasses.dataclass(frozen=True)
class Shop:
    """A working directory with the shop's raw files, its tables, and what its run writes."""

    home: Path
    timeout_seconds: int = 3600  # of one command; a machine busy with other jobs takes many minutes

    def write_raw_files(self) -> None:
        _write_raw_files(self.home / "raw")
        (self.home / "shop.yaml").write_text(SHOP_FILE, encoding="utf-8")

    def add_event(self) -> None:
        """Add a second log with one more event, in the test window."""
        event = "c0,tools-1,buy,2024-02-25 20:00:00+00:00,1.5,\n"
        (self.home / "raw" / "log2.csv").write_text("customer,sku,event,at,price,words\n" + event, encoding="utf-8")

    def init(self) -> None:
        """Let `tfrec init` write the shop's file, then correct it as its first lines ask for."""
        self.call(BIN / "tfrec", "init", "raw", "--out", "shop.yaml", "--force")
        text = (self.home / "shop.yaml").read_text(encoding="utf-8")
        for guess, right in CORRECTIONS:
            text, found = re.subn(guess, right, text, count=1)
            assert found, f"{guess} is not in {text}"
        (self.home / "shop.yaml").write_text(text, encoding="utf-8")

    def environment(self) -> dict[str, str]:
        return os.environ | {"TFREC_RUN": "shop.yaml", "LOCAL_HOME": str(self.home / "tfx")}

    def call(self, *command: str | Path) -> str:
        """What the command prints; where the command fails, the test fails with it."""
        done = subprocess.run(
            [*map(str, command)],
            cwd=self.home,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=self.timeout_seconds,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    def ingest(self) -> str:
        return self.call(BIN / "tfrec", "ingest", "shop.yaml")

    def run(self) -> str:
        return self.call(BIN / "tfx", "run", "create", "--engine", "local", "--pipeline-name", "shop")

    def train(self) -> str:
        return self.call(BIN / "tfrec", "train", "shop.yaml")

    def run_and_kill(self, is_time: Callable[[], bool]) -> None:
        """Run what `tfx run create` executes until `is_time`, then kill -9."""
        with (self.home / "killed.log").open("w") as log:
            run = subprocess.Popen(
                [sys.executable, str(RUNNER)],
                cwd=self.home,
                env=self.environment(),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                deadline = time.monotonic() + self.timeout_seconds
                while not is_time():
                    assert run.poll() is None, self.killed_output()
                    assert time.monotonic() < deadline, self.killed_output()
                    time.sleep(0.1)
            finally:
                os.killpg(run.pid, signal.SIGKILL)
                run.wait()

    def killed_output(self) -> str:
        """What the run printed that was killed last."""
        return (self.home / "killed.log").read_text(errors="replace")

    @property
    def pipeline(self) -> Path:
        return self.home / "out" / "pipelines" / "shop"

    def executions(self) -> list[tuple[str, int]]:
        """(node, state) of every execution in ML Metadata, oldest first."""
        query = (
            "SELECT C.name, E.last_known_state FROM Execution E JOIN Association A ON A.execution_id = E.id "
            "JOIN Context C ON C.id = A.context_id JOIN Type T ON T.id = C.type_id WHERE T.name = 'node' ORDER BY E.id"
        )
        with contextlib.closing(sqlite3.connect(self.pipeline / "metadata.sqlite")) as store:
            return [(name.removeprefix("shop."), state) for name, state in store.execute(query)]

    def pushed(self) -> list[str]:
        """Names in the serving folder, leftovers included."""
        folder = self.home / "out" / "serving" / "shop"
        return sorted(path.name for path in folder.iterdir()) if folder.exists() else []

    def artifact(self, node: str, output: str) -> Path:
        """The newest artifact of a node's output."""
        return max((self.pipeline / node / output).iterdir(), key=lambda path: int(path.name))


def _write_raw_files(folder: Path) -> None:
    rng = random.Random(7)
    names = {taste: [name.strip() for name in text.split("|")] for taste, text in TASTES.items()}
    products = [
        (f"{taste}-{n}", name, taste, f"{taste} {n % 3}", 1 + n / 2, f"{taste} of {n % 4}")
        for taste in TASTES
        for n, name in enumerate(names[taste])
    ]
    customers = [(f"c{number}", ("Lyon", "杭州", "")[number % 3]) for number in range(60)]
    log: list[tuple[Any, ...]] = []
    for number in range(60):
        for day in range(DAYS - TEST_DAYS if number >= 56 else number // 2 % 2, DAYS, 2):
            taste = ("tea", "tools")[number % 2 if rng.random() < 0.9 else 1 - number % 2]
            n = 19 if day >= DAYS - TEST_DAYS and rng.random() < 0.3 else rng.randrange(19)
            at = datetime(2024, 1, 1, 8, tzinfo=UTC) + timedelta(days=day, seconds=rng.randrange(36_000))
            if rng.random() < 0.1:
                log.append((f"c{number}", "", "find", at - timedelta(seconds=30), "", names[taste][n].split()[-1]))
            log.append((f"c{number}", f"{taste}-{n}", rng.choice(("look", "buy", "buy")), at, 1 + n / 2, ""))
    folder.mkdir(parents=True, exist_ok=True)
    _write_csv(folder / "log.csv", "customer sku event at price words", log)
    _write_csv(folder / "products.csv", "sku name hall shelf price maker", products)
    _write_csv(folder / "customers.csv", "customer city", customers)


def _write_csv(path: Path, header: str, rows: list[tuple[Any, ...]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header.split(), *rows])
