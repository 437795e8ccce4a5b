"""The pipeline by TFX's own command line, killed and resumed, then a server and its answers.

CSV files -> `tfrec init` -> `tfx pipeline create`, which ingests, `tfx run create`, `tfrec train`
-> `tfrec serve` -> the client and `tfrec recommend`, each a process of its own. The fixtures of the
module build on each other: each one runs what follows the one before it.
"""

from __future__ import annotations

import csv
import dataclasses
import html
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pipeline.configuration import named_run
from pipeline.outcome import put_in_service
from pipeline.runs import Run
from serving.client import Client, Event
from tests.pipeline.shop_of_two_tastes import BIN, NODES, RUNNER, TEST_START, Shop
from tfrec.evaluation.result import Evaluation
from tfrec.versions import is_same_model, latest_version

pytestmark = pytest.mark.slow

RUNNING, COMPLETE, CACHED = 2, 3, 5  # ml_metadata.Execution.State

SEEN = range(1, 13)
TEA_LOVER = [Event(f"tea-{n}", "purchase", 1_708_200_000 + n, 1 + n / 2) for n in SEEN]  # 2024-02-17


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """The shop after a run killed in training, after the first epoch's checkpoint."""
    shop = Shop(tmp_path_factory.mktemp("end_to_end"))
    shop.write_raw_files()
    shop.init()
    shop.call(BIN / "tfx", "pipeline", "create", "--engine", "local", "--pipeline-path", RUNNER)
    # Printed once the epoch's checkpoint is written; the second checkpoint may be from the middle
    # of a slow epoch.
    shop.run_and_kill(lambda: "tfrec: towers epoch 1:" in shop.killed_output())
    assert shop.pushed() == []
    return shop


@pytest.fixture(scope="module")
def killed_again(killed: Shop) -> Shop:
    """The shop after a second run that was killed while the ranker trained."""
    killed.run_and_kill(lambda: "tfrec: second stage epoch 1 " in killed.killed_output())
    assert killed.pushed() == []
    return killed


@dataclasses.dataclass(frozen=True)
class Ran:
    """The shop after a complete run, and the results of the run."""

    shop: Shop
    killed_output: str  # of the run that was killed in the ranker's training
    output: str
    executions: list[tuple[str, int]]  # of all runs so far
    pushed: list[str]
    evaluation: Evaluation

    @property
    def version(self) -> Path:
        return self.shop.home / "out" / "serving" / "shop" / self.pushed[-1]


@pytest.fixture(scope="module")
def ran(killed_again: Shop) -> Ran:
    """The shop after a third run, which completes and pushes a model."""
    shop = killed_again
    killed_output = shop.killed_output()
    output = shop.run()
    evaluation = (shop.artifact("evaluate_model", "evaluation") / "evaluation.json").read_text(encoding="utf-8")
    return Ran(shop, killed_output, output, shop.executions(), shop.pushed(), Evaluation.from_json(evaluation))


def shop_run(shop: Shop) -> Run:
    """The run that shop.yaml describes."""
    return named_run(str(shop.home / "shop.yaml"))


@pytest.fixture(scope="module")
def client(ran: Ran) -> Iterator[Client]:
    """A client of `tfrec serve` on free ports."""
    command = [BIN / "tfrec", "serve", "shop.yaml", "--port", "0", "--rest-port", "0"]
    server = subprocess.Popen(
        [*map(str, command)], cwd=ran.shop.home, env=ran.shop.environment(), stdout=subprocess.PIPE, text=True
    )
    with server:
        try:
            lines = iter(server.stdout or ())
            address = next(line.split()[4] for line in lines if line.startswith("Running gRPC ModelServer at "))
            with Client(address, timeout_seconds=60) as connected:
                yield connected
        finally:
            server.terminate()


@pytest.fixture(scope="module")
def titles(ran: Ran) -> dict[str, str]:
    """Item id -> title in the shop's own file."""
    with (ran.shop.home / "raw" / "products.csv").open(encoding="utf-8", newline="") as file:
        return {row["sku"]: row["name"] for row in csv.DictReader(file)}


def test_a_run_killed_in_training_resumes_from_its_checkpoint(ran: Ran) -> None:
    assert "tfrec: resuming at phase 0, epoch 2, step 0" in ran.killed_output
    assert "towers epoch 1" not in ran.killed_output
    # The third run finds the towers complete.
    trained = [state for node, state in ran.executions if node == "Trainer"]
    assert trained[1:] == [COMPLETE, CACHED]


def test_a_run_killed_in_the_rankers_training_does_not_train_the_towers_again(ran: Ran) -> None:
    assert "tfrec: towers " not in ran.output
    # The ranker is fitted three times: with each half of the customers held out, and on all. The
    # kill came after the first epoch of the first fit was on disk.
    first_fit, _, others = ran.output.partition("held out, 2 of 2")
    assert "tfrec: resuming at phase 0, epoch " in first_fit
    assert "tfrec: second stage epoch 1 of " not in first_fit
    assert "tfrec: second stage epoch 1 of " in others
    before, after = ran.executions[: -len(NODES)], dict(ran.executions[-len(NODES) :])
    assert before[-1][0] == "RankingTrainer"
    from_ranker_on = NODES[NODES.index("RankingTrainer") :]
    assert after == {node: COMPLETE if node in from_ranker_on else CACHED for node in NODES}


def test_the_model_is_blessed_and_ranks_better_than_recent_popularity(ran: Ran) -> None:
    # 60 customers, all of them active in the test window, 4 for the first time; 2 of 40 items are
    # new in it.
    protocol = ran.evaluation.protocol
    assert (protocol.users, protocol.new_users, protocol.items, protocol.cold_items) == (60, 4, 40, 2)
    assert protocol.window_start == TEST_START
    assert ran.evaluation.verdict.blessed
    assert (ran.shop.artifact("evaluate_model", "blessing") / "BLESSED").is_file()
    ndcg = {name: scores.slices["all"].metrics["ndcg@20"] for name, scores in ran.evaluation.scores.items()}
    # All items of a taste are equally popular: a model that knows the taste alone has about twice
    # the score.
    assert ndcg["two-tower"] > 1.4 * ndcg["recent_popularity"]
    assert ndcg["two stages"] > 1.4 * ndcg["recent_popularity"]
    assert list(ran.evaluation.scores)[-2:] == ["two-tower", "two stages"]
    assert "in production" not in ran.evaluation.scores


def test_the_report_shows_scores_titles_and_every_node(ran: Ran, titles: dict[str, str]) -> None:
    assert (ran.shop.artifact("evaluate_model", "evaluation") / "report.html").is_file()
    assert "report.html" in ran.shop.call(BIN / "tfrec", "report", "shop.yaml")
    page = (ran.shop.home / "report.html").read_text(encoding="utf-8")
    assert f"{ran.evaluation.model.slices['all'].metrics['ndcg@20']:.4f}" in page
    assert sum(html.escape(title) in page for title in titles.values()) > 30
    assert all(f'<th scope="row">{node}</th>' in page for node in NODES)
    assert [epoch.phase for epoch in ran.evaluation.details.training] == [
        *(["towers"] * 3 + ["text"] + ["second stage"] * shop_run(ran.shop).config.ranking.epochs),
    ]
    assert "This evaluation does not hold it" not in page


def test_one_complete_version_is_pushed(ran: Ran) -> None:
    (name,) = ran.pushed  # no leftovers
    assert name.isdigit()
    trained = ran.shop.artifact("RankingTrainer", "model") / "Format-Serving"
    files = {path.relative_to(trained): path.stat().st_size for path in trained.rglob("*") if path.is_file()}
    pushed = {path.relative_to(ran.version): path.stat().st_size for path in ran.version.rglob("*") if path.is_file()}
    extra = {Path("assets.extra") / name for name in ("evaluation.json", "user_scores.parquet", "user_lists.parquet")}
    assert pushed.keys() - files.keys() == extra
    assert {path: size for path, size in pushed.items() if path not in extra} == files
    assert {"saved_model.pb", "variables/variables.index", "assets.extra/tf_serving_warmup_requests"} <= {
        str(path) for path in pushed
    }


def test_the_server_recommends_items_of_the_users_taste_by_title(client: Client, titles: dict[str, str]) -> None:
    answer = client.recommend(TEA_LOVER, k=10, now=TEST_START, profile={"city": "杭州"})
    assert len({item.item_id for item in answer}) == 10
    assert {item.item_id: item.title for item in answer} == {item.item_id: titles[item.item_id] for item in answer}
    # Half of the items are teas: a list at random would hold five. After four events instead of
    # twelve it holds six to nine, by the dropout masks of the ranker's fit.
    assert sum(item.item_id.startswith("tea-") for item in answer) >= 9
    unseen = client.recommend(TEA_LOVER, k=28, now=TEST_START, exclude_seen=True)
    assert {item.item_id for item in unseen} == titles.keys() - {f"tea-{n}" for n in SEEN}


def test_search_similar_and_complementary_items_have_their_titles(client: Client, titles: dict[str, str]) -> None:
    results = client.search("西湖龙井", k=5)
    assert len(results) == 5
    (similar,) = client.similar_items(["tea-1"], k=5)
    (complementary,) = client.complementary_items(["tea-1"], k=5)
    assert len(similar) == 5
    assert "tea-1" not in {item.item_id for item in similar}
    for item in (*results, *similar, *complementary):
        assert item.title == titles[item.item_id]


def test_the_command_line_prints_the_answer_as_a_table(client: Client, ran: Ran, titles: dict[str, str]) -> None:
    flags = ("--server", client.target)
    answer = ran.shop.call(BIN / "tfrec", "recommend", "shop.yaml", "--user", "c0", "--until", "2024-02-19", *flags)
    assert sum(title in answer for title in titles.values()) >= 10
    assert "西湖龙井 绿茶" in ran.shop.call(BIN / "tfrec", "search", "shop.yaml", "西湖龙井 绿茶", "--k", "3", *flags)


def test_server_savedmodel_and_training_give_the_same_query_embeddings(client: Client, ran: Ran) -> None:
    """Raw histories go over gRPC and into the SavedModel in this process.

    Training's embeddings are TwoTower.query on the transformed test split, with the weights of the
    run's best checkpoint.
    """
    users, raw = _raw_histories(ran)
    served = client.predict("embed_query", raw)["embedding"]
    assert served.shape == (60, 9)  # dim 8 and one for the item's bias
    np.testing.assert_allclose(served, _exported(ran, raw), rtol=1e-5, atol=1e-5)
    trained = _trained(ran)
    assert sorted(trained) == sorted(users)
    np.testing.assert_allclose(served, np.stack([trained[user] for user in users]), rtol=1e-4, atol=1e-4)
    assert np.std(served, axis=0).max() > 0.1  # they differ between users


def _raw_histories(ran: Ran) -> tuple[list[bytes], dict[str, np.ndarray]]:
    """User ids and the inputs of `embed_query`, from the raw test split."""
    from tfrec.evaluation.exported_model import EVENTS
    from tfrec.examples.read import read_histories

    histories = read_histories(ran.shop.artifact("TableSetExampleGen", "examples"), "test", EVENTS, ["user_city"])
    users = len(histories["user_id"])
    request = {"timestamp": np.full(users, TEST_START), "query": np.array([b""] * users, object)}
    return list(histories["user_id"]), histories | request


def _exported(ran: Ran, raw: dict[str, np.ndarray]) -> np.ndarray:
    import tensorflow as tf
    import tensorflow_text  # noqa: F401  registers ops of the model

    signature = tf.saved_model.load(str(ran.version)).signatures["embed_query"]
    return signature(**{name: tf.constant(value) for name, value in raw.items()})["embedding"].numpy()


def _trained(ran: Ran) -> dict[bytes, np.ndarray]:
    """User id -> embedding [dim + 1] by the model in memory."""
    import tensorflow as tf

    from tfrec.examples.batches import history_only
    from tfrec.examples.dataset import load_catalog, sequences
    from tfrec.examples.preprocessing import Transformed
    from tfrec.language.text_encoder import vocabulary
    from tfrec.retrieval.two_tower import TwoTower

    config = shop_run(ran.shop).config
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
    checkpoint = tf.train.Checkpoint(**model.checkpointed())
    checkpoint.restore(tf.train.latest_checkpoint(str(best))).expect_partial()
    embeddings = {}
    for batch in sequences(files["test"], ("city",), 16):
        users = len(batch["user_id"])
        no_search = tf.zeros([users, 1, model.texts.dim])
        queries = model.query(history_only(batch), tf.fill([users, 1], tf.constant(TEST_START, tf.int64)), no_search)
        embeddings |= dict(zip(batch["user_id"].numpy(), queries[:, 0].numpy(), strict=True))
    return embeddings


@pytest.fixture(scope="module")
def ran_again(ran: Ran) -> Ran:
    """The shop after the same raw files were ingested again and the pipeline ran again."""
    ran.shop.ingest()
    output = ran.shop.train()
    return dataclasses.replace(ran, output=output, executions=ran.shop.executions(), pushed=ran.shop.pushed())


def test_a_run_with_nothing_changed_executes_nothing(ran: Ran, ran_again: Ran) -> None:
    assert ran_again.executions[: len(ran.executions)] == ran.executions
    again = ran_again.executions[len(ran.executions) :]
    assert dict(again) == dict.fromkeys(NODES, CACHED)
    assert len(again) == len(NODES)
    assert "towers" not in ran_again.output
    assert ran_again.output.splitlines()[-1] == f"pushed: {ran.version}"
    assert ran_again.pushed == ran.pushed


def test_a_pushed_model_returns_to_service_unless_it_was_taken_out_by_hand(ran_again: Ran, tmp_path: Path) -> None:
    run = dataclasses.replace(shop_run(ran_again.shop), out=str(ran_again.shop.home / "out"))
    shutil.move(run.serving, tmp_path / "aside")
    try:
        put_in_service(run)
        assert len(ran_again.shop.pushed()) == 1
        # Another version is in service: this one was taken out by hand and stays out.
        shutil.rmtree(run.serving)
        shutil.copytree(tmp_path / "aside", run.serving)
        (Path(run.serving) / ran_again.pushed[0]).rename(Path(run.serving) / "7")
        (Path(run.serving) / "7" / "fingerprint.pb").write_bytes(b"another model")
        put_in_service(run)
        assert ran_again.shop.pushed() == ["7"]
        # It lies beside a later version, as after a return to earlier settings: it becomes the
        # latest again.
        shutil.copytree(tmp_path / "aside" / ran_again.pushed[0], Path(run.serving) / "5")
        put_in_service(run)
        latest = latest_version(run.serving)
        assert latest is not None
        assert int(latest.name) > 7
        assert is_same_model(latest, tmp_path / "aside" / ran_again.pushed[0])
    finally:
        shutil.rmtree(run.serving)
        shutil.move(tmp_path / "aside", run.serving)


def test_new_events_run_the_pipeline_again_and_a_kill_changes_nothing_in_service(ran_again: Ran) -> None:
    shop = ran_again.shop
    shop.add_event()
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

    # The demo resumes the killed run and shows answers of the version that is then in service.
    shown = shop.call(BIN / "tfrec", "demo", "shop.yaml")
    done = dict(shop.executions()[before + 4 :])
    assert (done["TableSetExampleGen"], done["Transform"], done["Trainer"]) == (CACHED, COMPLETE, COMPLETE)
    assert f"Verdict: {'BLESSED' if len(shop.pushed()) == 2 else 'REFUSED'}" in shown
    assert f"in service: {shop.home / 'out' / 'serving' / 'shop' / shop.pushed()[-1]}" in shown
    assert "$ tfrec search" in shown
    assert shown.count("\n   1  ") == 2  # the first row of the recommendations, and of the search
