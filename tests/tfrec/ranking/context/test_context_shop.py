"""Stores, item states and numbers from a shop's files to the answers of the exported model.

The shop is that of tests/conftest.py with a store for each event, states and numbers of its items.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from tfrec.config import Config, RankingConfig
from tfrec.data.ingest import ingest
from tfrec.data.mapping import read_mapping
from tfrec.evaluation.exported_model import ExportedModel
from tfrec.evaluation.holdout import read_holdout
from tfrec.examples.batches import earlier, history_only, query_times_of
from tfrec.examples.build import SPLITS, build_partition
from tfrec.examples.dataset import load_catalog, read_events, sequences
from tfrec.examples.leakage import find_leaks, find_state_leaks
from tfrec.examples.preprocessing import Transformed
from tfrec.export.golden_requests import write_golden_requests
from tfrec.export.recommender import export
from tfrec.export.two_stage_recommender import TwoStageRecommender
from tfrec.export.verify import verify_in_fresh_process
from tfrec.ranking.fit_second_stage import fit_second_stage
from tfrec.ranking.second_stage import SecondStage
from tfrec.retrieval.two_tower import TwoTower
from tfrec.schema import TableSet
from tfrec.training.train import Trained

pytestmark = pytest.mark.slow

JAN_20, FEB_5, MARCH_4 = 1705708800, 1707091200, 1709510400  # midnights of 2024, UTC; the last are the windows' starts
STORES = {"ann": "north", "bob": "south", "cai": "south", "dee": "north", "eve": "", "fay": "east"}

STATES = """\
item_id,from,until,price,in_stock,promotion,store
tea,2024-01-01,2024-02-01,8,yes,,
tea,2024-02-01,2024-03-04,6,yes,mailer,north
tea,2024-03-04,,7,yes,,
mug,2024-03-10,,5,no,display 1,
"""
MAPPING = """\
interactions:
  path: events.csv
  columns: {user_id: user_id, item_id: item_id, kind: kind, timestamp: timestamp, query: query, session: session}
  context: [store]
items:
  path: items.csv
  columns: {item_id: item_id, title: title, description: description, category: category, brand: brand, price: price}
  numbers: [weight]
  vectors: [image]
item_states:
  path: states.csv
  columns: {item_id: item_id, from: from, until: until, price: price, in_stock: in_stock,
            promotion: promotion, store: store}
"""


@dataclasses.dataclass(frozen=True)
class ContextShop:
    """The shop's model in memory and as a SavedModel."""

    tables: TableSet
    raw: Path  # examples by split
    files: dict[str, list[str]]  # transformed examples
    config: Config
    stage: SecondStage
    model: TwoTower
    folder: str  # of the SavedModel


def write_tables(shop: TableSet, folder: Path) -> TableSet:
    """Ingest the events and items of the shop with stores and states."""
    events, items = (pd.concat([pd.read_parquet(p) for p in shop.parts(name)]) for name in ("interactions", "items"))
    # ann's last two events, of the test window, are in the south.
    store = events.user_id.map(STORES).mask((events.user_id == "ann") & (events.timestamp > "2024-03"), "south")
    names = ["user_id", "item_id", "kind", "timestamp", "query", "session"]
    events.assign(store=store)[[*names, "store"]].to_csv(folder / "events.csv", index=False)
    numbers = {"weight": items.item_id.map({"pasta": 1, "tea": 3}), "image": items.item_id.map({"tea": "[3, -4]"})}
    items.drop(columns="maker").assign(**numbers).to_csv(folder / "items.csv", index=False)
    (folder / "states.csv").write_text(STATES)
    (folder / "shop.yaml").write_text(MAPPING)
    return ingest(read_mapping(folder / "shop.yaml"), folder / "tables", 2).tables


@pytest.fixture(scope="module")
def shop_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("context_shop")


@pytest.fixture(scope="module")
def config(make_config: Any) -> Config:
    config = make_config(features={"item_numbers": ("weight",), "item_vectors": ("image",)})
    examples = dataclasses.replace(
        config.examples, context_columns=("store",), item_states=True, promotions=("mailer",)
    )
    ranking = RankingConfig(
        epochs=1, n_towers=2, n_copurchase=2, n_repeat=3, n_popular=2, n_cold=2, copurchase_rank=2, hidden=(8,)
    )
    return dataclasses.replace(config, examples=examples, ranking=ranking)


@pytest.fixture(scope="module")
def context_shop(shop: TableSet, shop_folder: Path, config: Config, transform: Any) -> ContextShop:
    tables = write_tables(shop, shop_folder)
    splits: dict[str, list[bytes]] = {split: [] for split in SPLITS}
    for index in range(2):
        for split, examples in build_partition(tables, index, config.examples):
            splits[split] += examples
    raw = shop_folder / "raw"
    for split, examples in splits.items():
        (raw / f"Split-{split}").mkdir(parents=True)
        with tf.io.TFRecordWriter(str(raw / f"Split-{split}" / "data")) as writer:
            for example in examples:
                writer.write(example)
    transformed = transform(shop_folder, splits, config)
    graph, files = Transformed(transformed.folder), transformed.files
    catalog = load_catalog(files["catalog"], files["train"], graph, config.features, config.examples)
    tf.keras.utils.set_random_seed(7)
    model = TwoTower(catalog, config)
    model.texts.encode_texts()
    model.texts.fit_words()
    trained = Trained(model, catalog, 0.0)
    stage = fit_second_stage(trained, files["train"], files["validation"], config, str(shop_folder / "ranker"))
    recommender = TwoStageRecommender(trained, graph, config, stage)
    folder = str(shop_folder / "model")
    export(recommender, folder)
    write_golden_requests(recommender, catalog, config, folder)
    return ContextShop(tables, raw, files, config, stage, model, folder)


@pytest.fixture(scope="module")
def batch(context_shop: ContextShop) -> dict[str, tf.Tensor]:
    """The test window's users."""
    (batch,) = sequences(context_shop.files["test"], (), 16, context_columns=("store",))
    return batch


def features_of(
    context_shop: ContextShop, batch: dict[str, tf.Tensor], query_times: tf.Tensor
) -> dict[str, dict[str, Any]]:
    """User -> name -> item -> feature of the context and the states, logarithms undone."""
    rows = tf.repeat(tf.range(1, context_shop.stage.catalog_size, dtype=tf.int64)[tf.newaxis], len(query_times), axis=0)
    history = history_only(batch)
    queries = context_shop.stage.embed_queries(history, query_times)
    values = context_shop.stage.compute_features(history, query_times, queries, rows).numpy()
    ids = ["book", "fern", "lamp", "mug", "pasta", "sauce", "soap", "tea"]
    undone = np.sign(values) * np.expm1(np.abs(values))
    return {
        user.decode(): {
            name: dict(zip(ids, undone[index, :, column].round(3).tolist(), strict=True))
            for column, name in enumerate(context_shop.stage.features.names)
        }
        for index, user in enumerate(batch["user_id"].numpy())
    }


def test_a_request_has_the_store_of_the_first_target(context_shop, batch):
    # Numbers by frequency in training: north 5 events (ann 3, dee 2), south 5 (bob 2, cai 3).
    stores = dict(zip(batch["user_id"].numpy().tolist(), batch["user_store"].numpy().tolist(), strict=True))
    (train,) = sequences(context_shop.files["train"], (), 16, context_columns=("store",))
    numbers = dict(zip(train["user_id"].numpy().tolist(), train["event_store"].numpy()[:, 0].tolist(), strict=True))
    assert numbers[b"dee"] == numbers[b"ann"] != numbers[b"bob"] == numbers[b"cai"] != 0
    assert stores[b"ann"] == stores[b"cai"] == numbers[b"bob"]  # ann's history is of the north
    assert stores[b"eve"] == 0
    assert stores[b"fay"] == 0  # the east has no event in training, so it counts as unknown
    assert set(train["user_store"].numpy().tolist()) == {0}


def test_an_earlier_window_has_the_store_of_its_own_first_target(context_shop, batch):
    (north,) = {
        int(store)
        for user, store in zip(batch["user_id"].numpy(), batch["event_store"].numpy()[:, 0], strict=True)
        if user == b"ann"
    }
    window = earlier(batch, FEB_5, MARCH_4, ("store",))
    stores = dict(zip(window["user_id"].numpy().tolist(), window["user_store"].numpy().tolist(), strict=True))
    assert stores == {b"ann": north, b"eve": 0}  # the others have no event in February


def test_items_have_the_shares_of_the_store_and_the_states_of_the_query_time(context_shop, batch):
    # After the fit all events before 4 March are known, those of the last 90 days. In the south bob
    # has tea and mug, cai lamp and book. In the shop ann has pasta, sauce, tea, bob tea, mug, cai
    # lamp, book, dee book, soap, eve soap: 10 pairs, two of tea.
    values = features_of(context_shop, batch, query_times_of(batch, MARCH_4))
    south = {"book": 250, "lamp": 250, "mug": 250, "tea": 250}
    zero = dict.fromkeys(["book", "fern", "lamp", "mug", "pasta", "sauce", "soap", "tea"], 0)
    assert values["ann"]["context_store_share"] == pytest.approx(zero | south, rel=1e-4)
    shares = zero | {"book": 200, "lamp": 100, "mug": 100, "pasta": 100, "sauce": 100, "soap": 200, "tea": 200}
    assert values["eve"]["context_store_share"] == pytest.approx(shares, rel=1e-4)
    assert values["fay"]["context_store_share"] == pytest.approx(shares, rel=1e-4)
    # On 4 March the state of February ends and a price of 7 begins; the mean of 8, 6 and 7 is 7.
    assert values["ann"]["state_price"] == pytest.approx(zero | {"tea": 7}, rel=1e-4)
    assert values["ann"]["state_in_stock"] == pytest.approx(zero | {"tea": 1}, rel=1e-4)
    assert values["ann"]["state_promotion_mailer"] == zero


def test_a_state_after_the_query_time_is_not_seen(context_shop, batch):
    query_time = tf.fill([len(batch["user_id"])], tf.constant(MARCH_4, tf.int64))
    days = features_of(context_shop, batch, query_time), features_of(context_shop, batch, query_time + 6 * 86_400)
    assert [values["ann"]["state_promotion_everywhere"]["mug"] for values in days] == [0, 1]
    assert [values["ann"]["state_in_stock"]["mug"] for values in days] == [0, -1]


def test_the_export_keeps_only_states_from_the_end_of_its_data_on(context_shop, batch):
    # The last event before 4 March is of 20 February, when the state of 1 February holds.
    days = (JAN_20, FEB_5)
    query_times = [tf.fill([len(batch["user_id"])], tf.constant(day, tf.int64)) for day in days]
    prices = [features_of(context_shop, batch, times)["ann"]["state_price"]["tea"] for times in query_times]
    assert prices == pytest.approx([0, 6], rel=1e-4)
    assert verify_in_fresh_process(context_shop.folder) is None


def test_the_exported_model_is_evaluated_with_the_stores_of_the_labels(context_shop, batch):
    holdout = read_holdout(context_shop.raw)
    exported = ExportedModel(context_shop.folder, context_shop.raw, holdout)
    _, both = exported.stages()
    scores = pd.DataFrame(both(np.arange(len(holdout.user_ids))), holdout.user_ids, holdout.item_ids)
    history, query_times = history_only(batch), query_times_of(batch, holdout.window_start)
    queries = context_shop.stage.embed_queries(history, query_times)
    expected = context_shop.stage.score_catalog(history, query_times, queries).numpy()
    for index, user in enumerate(batch["user_id"].numpy()):
        ids = sorted(["book", "fern", "lamp", "mug", "pasta", "sauce", "soap", "tea"])
        known = [number for number, item in enumerate(ids) if item in scores.columns]
        own = scores.loc[user.decode(), [ids[number] for number in known]]
        np.testing.assert_allclose(own, expected[index, 1:][known], rtol=1e-3, atol=1e-5)


def test_a_request_without_a_store_is_answered_as_one_of_an_unknown_store(context_shop):
    served = tf.saved_model.load(context_shop.folder)
    inputs = served.signatures["rank"].structured_input_signature[1]
    assert "user_store" in inputs
    request = {
        "event_item_id": [["tea", "mug"]],
        "event_kind": [["purchase", "view"]],
        "event_timestamp": tf.constant([[FEB_5, FEB_5 + 60]], tf.int64),
        "event_price": [[0.0, 0.0]],
        "timestamp": tf.constant([MARCH_4], tf.int64),
        "query": [""],
        "user_id": [""],
        "candidate_item_id": [["tea", "soap", "book"]],
    }
    answers = {
        store: served.signatures["rank"](
            **{k: tf.convert_to_tensor(v) for k, v in request.items()}, user_store=tf.constant([store])
        )
        for store in ("", "nowhere", "south")
    }
    scores = {store: answer["score"].numpy() for store, answer in answers.items()}
    np.testing.assert_allclose(scores[""], scores["nowhere"])
    assert not np.allclose(scores[""], scores["south"], rtol=1e-6)


def test_the_examples_hold_no_leak(context_shop):
    assert find_leaks(context_shop.raw, FEB_5, MARCH_4) + find_state_leaks(context_shop.raw) == []


def test_events_keep_their_stores(context_shop, batch):
    catalog = load_catalog(
        context_shop.files["catalog"],
        context_shop.files["train"],
        Transformed(str(context_shop.raw.parent / "graph")),
        context_shop.config.features,
    )
    events = read_events(context_shop.files["train"], catalog, ("store",))
    assert sorted(events.groupby("store").user.nunique().tolist()) == [1, 2, 2]  # eve, two each


def test_numbers_are_standard_scores_and_vectors_have_length_1(context_shop):
    files, graph = context_shop.files, Transformed(str(context_shop.raw.parent / "graph"))
    catalog = load_catalog(files["catalog"], files["train"], graph, context_shop.config.features)
    # The weights 1 and 3 have the mean 2 and the spread 1; the image is divided by 5.
    rows = {item.decode(): number for item, number in zip(catalog.item_ids, catalog.numbers.tolist(), strict=True)}
    assert catalog.number_widths == {"weight": 1, "image": 2}
    assert rows.pop("pasta") == [-1, 0, 0]
    assert rows.pop("tea") == pytest.approx([1, 0.6, -0.8])
    assert list(rows.values()) == [[0, 0, 0]] * 7


def test_an_item_is_embedded_by_its_numbers_as_in_the_catalog(context_shop):
    served, rows = tf.saved_model.load(context_shop.folder), context_shop.model.catalog_rows(tf.constant(["tea"]))
    item = {
        "item_id": "tea",
        "item_title": "西湖龙井 绿茶",
        "item_description": "Green tea from Hangzhou",
        "item_category": "Food > Drinks",
        "item_brand": "",
    }
    texts = {name: tf.constant([value]) for name, value in item.items()} | {"item_price": tf.constant([8.0])}
    embedded = [
        served.signatures["embed_item"](**texts, item_weight=tf.constant([weight]), item_image=tf.constant([image]))
        for weight, image in ((3.0, [3.0, -4.0]), (np.nan, [0.0, 0.0]))
    ]
    expected = context_shop.model.candidates(rows).numpy()
    np.testing.assert_allclose(embedded[0]["embedding"], expected, rtol=1e-3, atol=1e-5)
    assert not np.allclose(embedded[1]["embedding"], expected, rtol=1e-3)
