"""Data sets: the catalog as arrays, sequences as dense batches."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tfrec.errors import DataError
from tfrec.examples.catalog import Catalog
from tfrec.examples.dataset import count_sequences, load_catalog, parse_sequences, read_events, sequences
from tfrec.examples.preprocessing import Transformed


@pytest.fixture(scope="module")
def catalog(transformed_shop) -> Catalog:
    """The shop's; see tests/conftest.py."""
    return loaded(transformed_shop, transformed_shop.files["catalog"])


def loaded(transformed_shop, catalog_files: list[str]) -> Catalog:
    features = transformed_shop.config.features
    return load_catalog(catalog_files, transformed_shop.files["train"], Transformed(transformed_shop.folder), features)


def row(catalog: Catalog, item: str) -> int:
    return catalog.item_ids.tolist().index(item.encode())


def test_every_item_has_a_row_after_row_0(catalog):
    assert catalog.rows == 9
    assert catalog.item_ids[0] == catalog.titles[0] == b""
    assert set(catalog.item_ids[1:]) == {b"pasta", b"sauce", b"tea", b"mug", b"lamp", b"book", b"soap", b"fern"}
    assert catalog.titles[row(catalog, "mug")] == b'Mug "Blue"'


def test_an_item_has_its_own_text_and_row_0_the_empty_one(catalog):
    assert not catalog.tokens[0].any()
    assert catalog.text_row[0] == 0
    soap = catalog.tokens[catalog.text_row[row(catalog, "soap")]]
    assert soap.tolist() == [101, 7815, 102] + [0] * 21  # [CLS] soap [SEP], padded to 24
    # Eight items and two searches, all different, and the empty text
    assert len(catalog.tokens) == 11
    assert sorted([*catalog.text_row, *catalog.query_row]) == list(range(11))


def test_frequencies_are_those_of_training_and_a_cold_item_has_no_id(catalog):
    # Shop events before 2024-02-05; fern is sold in March only. zoe's odd item is not in the
    # catalog.
    count = {"pasta": 1, "sauce": 1, "tea": 2, "mug": 1, "lamp": 2, "book": 2, "soap": 2, "fern": 0}
    assert {item: catalog.frequency[row(catalog, item)] for item in count} == count
    assert catalog.frequency[0] == 0
    assert catalog.id_row[row(catalog, "fern")] == 0
    assert sorted(catalog.id_row) == [0, 0, 1, 2, 3, 4, 5, 6, 7]


def test_events_of_a_split_are_its_targets_of_known_items(transformed_shop, catalog):
    events = read_events(transformed_shop.files["train"], catalog)
    # As often as Transform counted them: no context, and nothing of zoe's odd item.
    np.testing.assert_array_equal(np.bincount(events.row, minlength=catalog.rows), catalog.frequency)
    assert b"zoe" not in set(events.user)
    assert events.timestamp.max() < 1707091200  # 2024-02-05
    assert read_events([], catalog).empty


def test_sequences_are_counted(transformed_shop):
    assert count_sequences(transformed_shop.files["train"]) == 6
    assert count_sequences([]) == 0


def test_training_searches_are_texts_too(catalog):
    assert catalog.queries.tolist() == [b"desk lamp", b"green tea"]
    # [CLS] desk lamp [SEP] and [CLS] green tea [SEP]
    assert catalog.tokens[catalog.query_row, :5].tolist() == [[101, 4624, 10437, 102, 0], [101, 2665, 5572, 102, 0]]


def test_there_is_an_index_for_every_value_that_transform_gives(catalog):
    # 3 brands, 2 ages and 2 cities; besides "" and one bucket for the others. Categories: Books,
    # Food, its Pasta, Pasta > Dry, Pasta > Sauce and Drinks, Home, its Kitchen, Light and Plants:
    # 10; and 2 makers.
    assert (catalog.brand_size, catalog.category_size, catalog.price_size) == (5, 14, 11)
    assert catalog.profile_sizes == {"user_age": 4, "user_city": 4}
    assert catalog.category.shape == (9, 4)
    assert catalog.category.max() < catalog.category_size
    assert catalog.brand.max() < catalog.brand_size
    assert catalog.price.max() == 10


def test_a_catalog_without_items_is_refused(transformed_shop, tmp_path):
    empty = str(tmp_path / "empty.gz")
    tf.io.TFRecordWriter(empty, "GZIP").close()
    for files in ([], [empty]):
        with pytest.raises(DataError, match="the catalog holds no item; ingest an items table"):
            loaded(transformed_shop, files)


def test_training_data_without_searches_gives_no_query(transformed_shop, tmp_path):
    empty = str(tmp_path / "empty.gz")
    tf.io.TFRecordWriter(empty, "GZIP").close()
    without = dataclasses.replace(transformed_shop, files=transformed_shop.files | {"train": [empty]})
    catalog = loaded(without, transformed_shop.files["catalog"])
    assert len(catalog.queries) == len(catalog.query_row) == 0
    assert len(catalog.tokens) == 9


def test_sequences_of_different_lengths_are_padded_at_the_end():
    features = {
        "event_item_id": [[b"a", b"b"], [b"c"]],
        "event_query": [[b"", b"tea"], [b""]],
        "event_kind": [[1, 2], [3]],
        "event_timestamp": [[10, 20], [30]],
        "event_is_target": [[0, 1], [1]],
        "event_price": [[0.5, -1.0], [0.0]],
        "user_id": [[b"u"], [b"v"]],
        "user_age": [[2], [0]],
    }
    batch = parse_sequences(tf.constant([example(features, 0), example(features, 1)]), ["user_age"])
    assert {name: value.numpy().tolist() for name, value in batch.items()} == {
        "event_item_id": [[b"a", b"b"], [b"c", b""]],
        "event_query": [[b"", b"tea"], [b"", b""]],
        "event_kind": [[1, 2], [3, 0]],
        "event_timestamp": [[10, 20], [30, 0]],
        "event_is_target": [[0, 1], [1, 0]],
        "event_price": [[0.5, -1.0], [0.0, 0.0]],
        "user_id": [b"u", b"v"],
        "user_age": [2, 0],
    }


def example(features: dict[str, list], index: int) -> bytes:
    """Row `index` of the features as a tf.train.Example."""
    kinds = {bytes: "bytes_list", int: "int64_list", float: "float_list"}
    made = tf.train.Example()
    for name, values in features.items():
        getattr(made.features.feature[name], kinds[type(values[0][0])]).value.extend(values[index])
    return made.SerializeToString()


def users(transformed_shop, batch_size: int, seed: int | None) -> list[list[bytes]]:
    columns = transformed_shop.config.features.profile_columns
    batches = sequences(transformed_shop.files["train"], columns, batch_size, seed)
    return [batch["user_id"].numpy().tolist() for batch in batches]


def test_batches_hold_every_sequence_once(transformed_shop):
    assert [len(batch) for batch in users(transformed_shop, 4, None)] == [4, 2]
    everybody = [b"ann", b"bob", b"cai", b"dee", b"eve", b"zoe"]
    for seed in (None, 1, 2):
        assert sorted(np.concatenate(users(transformed_shop, 4, seed))) == everybody


def test_a_seed_gives_the_same_order_again(transformed_shop):
    # train.py goes on by skipping what an epoch had done: its order must hang on the seed alone.
    orders = {seed: users(transformed_shop, 1, seed) for seed in range(5)}
    assert all(users(transformed_shop, 1, seed) == order for seed, order in orders.items())
    assert len({str(order) for order in orders.values()}) > 1
