"""The real thing on the shop of two tastes: TFX's own command line, kill -9 included, then a server and its answers.

Raw CSV files -> `tfrec ingest` -> `tfx pipeline create`, `tfx run create` -> `tfrec serve` -> the client, each a
process of its own in a folder of its own. What may be run later changes nothing that an earlier fixture gave.
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import html
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.outcome import put_in_service
from pipeline.runs import named_run
from serving.client import Client, Event
from tfrec.evaluation.scores import Evaluation
from tfrec.versions import is_same_model, latest_version

pytestmark = pytest.mark.slow

BIN = Path(sys.executable).parent
RUNNER = Path(__file__).parents[2] / "pipeline" / "local_runner.py"
NODES = """ImportSchemaGen TableSetExampleGen StatisticsGen ExampleValidator check_examples Transform Trainer
    RankingTrainer check_model evaluate_model Pusher""".split()
RUNNING, COMPLETE, CACHED = 2, 3, 5  # ml_metadata.Execution.State
PATIENCE_SECONDS = 600  # for a machine that is busy with other things

TEA_LOVER = [Event(f"tea-{n}", "purchase", 1_708_200_000 + n, 1 + n / 2) for n in (1, 2, 3, 4)]  # 2024-02-17
TEST_START = 1_708_300_800  # 2024-02-19 00:00, 7 days before the end of 2024-02-25, the last day of the log


# The shop of two tastes, as a shop's own files: 60 customers of whom the even ones drink tea and the odd ones
# build; nine of ten of their events are of their taste, and no item is better liked than another. It runs
# for 56 days, of which the last 7 are the tests' test window: the last item of each taste is sold in it alone, and
# customers 56 to 59 come in it for the first time.
DAYS, TEST_DAYS = 56, 7
TASTES = {
    "tea": """西湖龙井 绿茶|Sencha green tea|Gunpowder green tea|Assam black tea|Earl Grey|Lapsang souchong|Rooibos
    |Jasmine tea|White peony|Oolong from Taiwan|Peppermint tea|Camomile tea|Ginger tea|Matcha powder|Cast iron teapot
    |Tea strainer|Bamboo whisk|Porcelain tea cup|Rock sugar|First flush Darjeeling tea""",
    "tools": """Claw hammer, 500 g|Cordless drill, 18 V|Wood drill bits|Hand saw|Spirit level|Tape measure "5 m"|Jigsaw
    |Set of screwdrivers|Adjustable spanner|Work bench|Wood glue|Fine sandpaper|Safety goggles|Nails, 50 mm|Wall plugs
    |Bolt cutter|Paint roller|Masking tape|Work gloves|Laser level""",
}
MAPPING = """\
interactions:
  path: log*.csv
  columns: {user_id: customer, item_id: sku, kind: event, timestamp: at, price: price, query: words}
  kinds: {look: view, buy: purchase, find: search}
items:
  path: products.csv
  columns: {item_id: sku, title: name, category: [hall, shelf], price: price}
  extra: [maker]
users:
  path: customers.csv
  columns: {user_id: customer}
  profile: [city]
"""


@dataclasses.dataclass(frozen=True)
class Shop:
    """A working directory in which someone tries tfrec."""

    home: Path

    def environment(self) -> dict[str, str]:
        return os.environ | {"TFREC_RUN": "tiny", "LOCAL_HOME": str(self.home / "tfx")}

    def call(self, *command: str | Path) -> str:
        """What the command prints; fails with all of it when the command does."""
        done = subprocess.run(
            [*map(str, command)],
            cwd=self.home,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=PATIENCE_SECONDS,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    def ingest(self) -> str:
        return self.call(BIN / "tfrec", "ingest", "raw/shop.yaml", "--out", "data/tiny", "--partitions", "2")

    def run(self) -> str:
        return self.call(BIN / "tfx", "run", "create", "--engine", "local", "--pipeline-name", "tiny")

    def run_directly(self) -> str:
        """What `tfx run create` executes, without the command line, which imports TFX once more."""
        return self.call(sys.executable, RUNNER)

    def run_and_kill(self, is_time: Callable[[], bool]) -> None:
        """As `run_directly`, until `is_time`: then kill -9."""
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
                deadline = time.monotonic() + PATIENCE_SECONDS
                while not is_time():
                    assert run.poll() is None, (self.home / "killed.log").read_text()
                    assert time.monotonic() < deadline
                    time.sleep(0.1)
            finally:
                os.killpg(run.pid, signal.SIGKILL)
                run.wait()

    @property
    def pipeline(self) -> Path:
        return self.home / "out" / "pipelines" / "tiny"

    def executions(self) -> list[tuple[str, int]]:
        """(node, state) of everything that ML Metadata knows to have been tried, oldest first."""
        query = (
            "SELECT C.name, E.last_known_state FROM Execution E JOIN Association A ON A.execution_id = E.id "
            "JOIN Context C ON C.id = A.context_id JOIN Type T ON T.id = C.type_id WHERE T.name = 'node' ORDER BY E.id"
        )
        with contextlib.closing(sqlite3.connect(self.pipeline / "metadata.sqlite")) as store:
            return [(name.removeprefix("tiny."), state) for name, state in store.execute(query)]

    def pushed(self) -> list[str]:
        """What a server would find, leftovers included."""
        folder = self.home / "out" / "serving" / "tiny"
        return sorted(path.name for path in folder.iterdir()) if folder.exists() else []

    def artifact(self, node: str, name: str) -> Path:
        """The newest artifact of an output of a node."""
        return max((self.pipeline / node / name).iterdir(), key=lambda path: int(path.name))


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Ingested, and the pipeline killed while it trained: after the first epoch's checkpoint."""
    shop = Shop(tmp_path_factory.mktemp("end_to_end"))
    _write_shop(shop.home / "raw")
    shop.ingest()
    shop.call(BIN / "tfx", "pipeline", "create", "--engine", "local", "--pipeline-path", RUNNER)
    # Said once its checkpoint is written, whereas the second checkpoint may be one from the middle of a slow epoch.
    shop.run_and_kill(lambda: "tfrec: towers epoch 1:" in (shop.home / "killed.log").read_text(errors="replace"))
    assert shop.pushed() == []
    return shop


@pytest.fixture(scope="module")
def killed_again(killed: Shop) -> Shop:
    """The same command again, killed while the ranker trains."""
    killed.run_and_kill(
        lambda: "tfrec: second stage epoch 1 " in (killed.home / "killed.log").read_text(errors="replace")
    )
    assert killed.pushed() == []
    return killed


@dataclasses.dataclass(frozen=True)
class Ran:
    """The shop after a whole run, and what the run left."""

    shop: Shop
    killed: str  # what the run said that was killed in the ranker's training
    output: str
    executions: list[tuple[str, int]]  # of all runs so far
    pushed: list[str]
    evaluation: Evaluation

    @property
    def version(self) -> Path:
        return self.shop.home / "out" / "serving" / "tiny" / self.pushed[-1]


@pytest.fixture(scope="module")
def ran(killed_again: Shop) -> Ran:
    """The same command a third time: it ends with a model in the serving folder."""
    shop = killed_again
    trained = (shop.home / "killed.log").read_text(errors="replace")
    output = shop.run()
    evaluation = (shop.artifact("evaluate_model", "evaluation") / "evaluation.json").read_text(encoding="utf-8")
    return Ran(shop, trained, output, shop.executions(), shop.pushed(), Evaluation.from_json(evaluation))


@pytest.fixture(scope="module")
def client(ran: Ran) -> Iterator[Client]:
    """Connected to `tfrec serve` on free ports."""
    command = [BIN / "tfrec", "serve", "--model", "out/serving/tiny", "--port", "0", "--rest-port", "0"]
    server = subprocess.Popen(
        [*map(str, command)], cwd=ran.shop.home, env=ran.shop.environment(), stdout=subprocess.PIPE, text=True
    )
    with server:
        try:
            said = iter(server.stdout or ())
            address = next(line.split()[4] for line in said if line.startswith("Running gRPC ModelServer at "))
            with Client(address, timeout_seconds=60) as connected:
                yield connected
        finally:
            server.terminate()


@pytest.fixture(scope="module")
def titles(ran: Ran) -> dict[str, str]:
    """What the shop's own file calls its products."""
    with (ran.shop.home / "raw" / "products.csv").open(encoding="utf-8", newline="") as file:
        return {row["sku"]: row["name"] for row in csv.DictReader(file)}


def test_a_run_killed_in_training_goes_on_from_its_checkpoint(ran: Ran) -> None:
    assert "tfrec: going on at phase 0, epoch 2, step 0" in ran.killed
    assert "towers epoch 1" not in ran.killed
    # What was done before the kill is not done again.
    trained = [state for node, state in ran.executions if node == "Trainer"]
    assert trained[1:] == [COMPLETE, CACHED]


def test_a_run_killed_in_the_rankers_training_trains_no_towers_again(ran: Ran) -> None:
    assert "towers" not in ran.output
    assert "tfrec: second stage epoch 1 of " in ran.output
    before, after = ran.executions[: -len(NODES)], dict(ran.executions[-len(NODES) :])
    assert before[-1][0] == "RankingTrainer"
    after_towers = NODES[NODES.index("RankingTrainer") :]
    assert after == {node: COMPLETE if node in after_towers else CACHED for node in NODES}


def test_the_model_is_blessed_and_ranks_better_than_recent_popularity(ran: Ran) -> None:
    # The shop has 60 customers, all of them active in the last week, 4 for the first time; 2 of 40 items are new.
    protocol = ran.evaluation.protocol
    assert (protocol.users, protocol.new_users, protocol.items, protocol.cold_items) == (60, 4, 40, 2)
    assert protocol.window_start == TEST_START
    assert ran.evaluation.verdict.blessed
    assert (ran.shop.artifact("evaluate_model", "blessing") / "BLESSED").is_file()
    ndcg = {name: scores.slices["all"].metrics["ndcg@20"] for name, scores in ran.evaluation.scores.items()}
    # All items of a taste are liked alike: who knows the taste alone has about twice the score.
    assert ndcg["two-tower"] > 1.4 * ndcg["recent_popularity"]
    assert ndcg["two stages"] > 1.4 * ndcg["recent_popularity"]
    assert list(ran.evaluation.scores)[-2:] == ["two-tower", "two stages"]
    assert "in production" not in ran.evaluation.scores


def test_the_report_shows_the_run_to_a_person(ran: Ran, titles: dict[str, str]) -> None:
    assert (ran.shop.artifact("evaluate_model", "evaluation") / "report.html").is_file()
    assert "report.html" in ran.shop.call(BIN / "tfrec", "report", "tiny")
    page = (ran.shop.home / "report.html").read_text(encoding="utf-8")
    assert f"{ran.evaluation.judged.slices['all'].metrics['ndcg@20']:.4f}" in page
    assert sum(html.escape(title) in page for title in titles.values()) > 30
    assert all(f'<th scope="row">{node}</th>' in page for node in NODES)
    assert [epoch.phase for epoch in ran.evaluation.details.training] == [
        *(["towers"] * 3 + ["text"] + ["second stage"] * named_run("tiny").config.ranking.epochs),
    ]
    assert "This evaluation does not hold it" not in page


def test_one_version_is_pushed_and_it_is_whole(ran: Ran) -> None:
    (name,) = ran.pushed  # no leftovers beside it
    assert name.isdigit()
    trained = ran.shop.artifact("RankingTrainer", "model") / "Format-Serving"
    files = {path.relative_to(trained): path.stat().st_size for path in trained.rglob("*") if path.is_file()}
    pushed = {path.relative_to(ran.version): path.stat().st_size for path in ran.version.rglob("*") if path.is_file()}
    assert pushed == files
    assert {"saved_model.pb", "variables/variables.index", "assets.extra/tf_serving_warmup_requests"} <= {
        str(path) for path in pushed
    }


def test_a_server_recommends_real_products_of_the_shoppers_taste(client: Client, titles: dict[str, str]) -> None:
    answer = client.recommend(TEA_LOVER, k=10, now=TEST_START, profile={"city": "杭州"})
    assert len({item.item_id for item in answer}) == 10
    assert {item.item_id: item.title for item in answer} == {item.item_id: titles[item.item_id] for item in answer}
    assert sum(item.item_id.startswith("tea-") for item in answer) >= 9
    fresh = client.recommend(TEA_LOVER, k=36, now=TEST_START, exclude_seen=True)
    assert {item.item_id for item in fresh} == titles.keys() - {"tea-1", "tea-2", "tea-3", "tea-4"}


def test_a_server_searches_and_finds_similar_items_under_their_titles(client: Client, titles: dict[str, str]) -> None:
    found = client.search("西湖龙井", k=5)
    assert len(found) == 5
    (similar,) = client.similar_items(["tea-1"], k=5)
    (complementary,) = client.complementary_items(["tea-1"], k=5)
    assert len(similar) == 5
    assert "tea-1" not in {item.item_id for item in similar}
    for item in (*found, *similar, *complementary):
        assert item.title == titles[item.item_id]


def test_the_command_line_asks_a_server_and_prints_a_table(client: Client, ran: Ran, titles: dict[str, str]) -> None:
    ask = ("--tables", "data/tiny", "--server", client.target)
    answer = ran.shop.call(BIN / "tfrec", "recommend", "--user", "c0", "--until", "2024-02-19", *ask)
    assert sum(title in answer for title in titles.values()) >= 10
    assert "西湖龙井 绿茶" in ran.shop.call(BIN / "tfrec", "search", "西湖龙井 绿茶", "--k", "3", *ask)


def test_the_served_answer_is_the_exported_models_and_the_trained_models(client: Client, ran: Ran) -> None:
    """The same customers by three ways: raw histories over gRPC, the SavedModel, and training's own path.

    Training's path is the transformed test split through TwoTower.query, weights from the run's best checkpoint.
    """
    users, raw = _raw_histories(ran)
    served = client.predict("embed_query", raw)["embedding"]
    assert served.shape == (60, 9)  # dim 8 and one for the item's bias
    np.testing.assert_allclose(served, _exported(ran, raw), rtol=1e-5, atol=1e-5)
    trained = _trained(ran)
    assert sorted(trained) == sorted(users)
    np.testing.assert_allclose(served, np.stack([trained[user] for user in users]), rtol=1e-4, atol=1e-4)
    assert np.std(served, axis=0).max() > 0.1  # they do differ between customers


def _raw_histories(ran: Ran) -> tuple[list[bytes], dict[str, np.ndarray]]:
    """Ids and the inputs of `embed_query`, from the raw test split."""
    from tfrec.evaluation.exported_model import EVENTS
    from tfrec.examples.read import read_histories

    histories = read_histories(ran.shop.artifact("TableSetExampleGen", "examples"), "test", EVENTS, ["user_city"])
    users = len(histories["user_id"])
    moments = {"timestamp": np.full(users, TEST_START), "query": np.array([b""] * users, object)}
    return list(histories["user_id"]), histories | moments


def _exported(ran: Ran, raw: dict[str, np.ndarray]) -> np.ndarray:
    import tensorflow as tf
    import tensorflow_text  # noqa: F401  registers ops of the model

    signature = tf.saved_model.load(str(ran.version)).signatures["embed_query"]
    return signature(**{name: tf.constant(value) for name, value in raw.items()})["embedding"].numpy()


def _trained(ran: Ran) -> dict[bytes, np.ndarray]:
    """User id -> [dim + 1] by the model in memory."""
    import tensorflow as tf

    from tfrec.examples.batches import history_only
    from tfrec.examples.dataset import load_catalog, sequences
    from tfrec.examples.preprocessing import Transformed
    from tfrec.language.text_encoder import vocabulary
    from tfrec.retrieval.two_tower import TwoTower

    config = named_run("tiny").config
    features = dataclasses.replace(
        config.features,
        profile_columns=("city",),
        item_columns=("maker",),
        vocabulary=vocabulary("", str(ran.shop.home))[0],
    )
    config = dataclasses.replace(config, features=features)
    transformed = ran.shop.artifact("Transform", "transformed_examples")
    files = {
        split: [str(path) for path in (transformed / f"Split-{split}").iterdir()]
        for split in ("train", "test", "catalog")
    }
    graph = Transformed(str(ran.shop.artifact("Transform", "transform_graph")))
    model = TwoTower(load_catalog(files["catalog"], files["train"], graph, features), config)
    (best,) = ran.shop.pipeline.glob("work/checkpoints-*/best")
    checkpoint = tf.train.Checkpoint(**model.learnt())
    checkpoint.restore(tf.train.latest_checkpoint(str(best))).expect_partial()
    embeddings = {}
    for batch in sequences(files["test"], ("city",), 16):
        users = len(batch["user_id"])
        no_search = tf.zeros([users, 1, model.encoder.dim])
        queries = model.query(history_only(batch), tf.fill([users, 1], tf.constant(TEST_START, tf.int64)), no_search)
        embeddings |= dict(zip(batch["user_id"].numpy(), queries[:, 0].numpy(), strict=True))
    return embeddings


@pytest.fixture(scope="module")
def ran_again(ran: Ran) -> Ran:
    """The same raw files ingested once more, and the pipeline run once more."""
    ran.shop.ingest()
    output = ran.shop.run_directly()
    return dataclasses.replace(ran, output=output, executions=ran.shop.executions(), pushed=ran.shop.pushed())


def test_a_second_run_with_nothing_changed_executes_nothing(ran: Ran, ran_again: Ran) -> None:
    assert ran_again.executions[: len(ran.executions)] == ran.executions
    again = ran_again.executions[len(ran.executions) :]
    assert dict(again) == dict.fromkeys(NODES, CACHED)
    assert len(again) == len(NODES)
    assert "towers" not in ran_again.output
    assert ran_again.pushed == ran.pushed


def test_a_model_that_was_pushed_comes_back_into_an_empty_serving_folder(ran_again: Ran, tmp_path: Path) -> None:
    run = dataclasses.replace(named_run("tiny"), out=str(ran_again.shop.home / "out"))
    shutil.move(run.serving, tmp_path / "aside")
    try:
        put_in_service(run)
        assert len(ran_again.shop.pushed()) == 1
        # Taken out by hand from beside another version, it stays out.
        shutil.rmtree(run.serving)
        shutil.copytree(tmp_path / "aside", run.serving)
        (Path(run.serving) / ran_again.pushed[0]).rename(Path(run.serving) / "7")
        (Path(run.serving) / "7" / "fingerprint.pb").write_bytes(b"of another model")
        put_in_service(run)
        assert ran_again.shop.pushed() == ["7"]
        # Beside a later one, as after a return to earlier settings, it becomes the latest again.
        shutil.copytree(tmp_path / "aside" / ran_again.pushed[0], Path(run.serving) / "5")
        put_in_service(run)
        back = latest_version(run.serving)
        assert back is not None
        assert int(back.name) > 7
        assert is_same_model(back, tmp_path / "aside" / ran_again.pushed[0])
    finally:
        shutil.rmtree(run.serving)
        shutil.move(tmp_path / "aside", run.serving)


def test_new_events_make_it_run_again_and_a_killed_run_leaves_what_is_served(ran_again: Ran) -> None:
    shop = ran_again.shop
    line = "c0,tools-1,buy,2024-02-25 20:00:00+00:00,1.5,\n"
    (shop.home / "raw" / "log2.csv").write_text("customer,sku,event,at,price,words\n" + line, encoding="utf-8")
    assert "1,747" in shop.ingest()
    before = len(ran_again.executions)
    shop.run_and_kill(lambda: ("Transform", RUNNING) in shop.executions()[before:])
    assert dict(shop.executions()[before:]) == {
        "ImportSchemaGen": CACHED,
        "TableSetExampleGen": COMPLETE,
        "StatisticsGen": COMPLETE,
        "Transform": RUNNING,
    }
    assert shop.pushed() == ran_again.pushed

    # The demo goes on where the killed run was, and shows the answers of whatever is then in service.
    shown = shop.call(BIN / "tfrec", "demo", "--run", "tiny")
    done = dict(shop.executions()[before + 4 :])
    assert (done["TableSetExampleGen"], done["Transform"], done["Trainer"]) == (CACHED, COMPLETE, COMPLETE)
    assert f"Verdict: {'BLESSED' if len(shop.pushed()) == 2 else 'REFUSED'}" in shown
    assert f"in service: {shop.home / 'out' / 'serving' / 'tiny' / shop.pushed()[-1]}" in shown
    assert "$ tfrec search" in shown
    assert shown.count("\n   1  ") == 2  # the first row of what is recommended, and of what is found


def _write_shop(folder: Path) -> None:
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
    (folder / "shop.yaml").write_text(MAPPING, encoding="utf-8")


def _write_csv(path: Path, header: str, rows: list[tuple[Any, ...]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header.split(), *rows])
