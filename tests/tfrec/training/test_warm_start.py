"""Warm start: weights are carried over by what they stand for, and refused if they do not fit."""

from __future__ import annotations

import dataclasses
import math
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tfrec.config import Config
from tfrec.errors import ModelError
from tfrec.examples.dataset import sequences
from tfrec.examples.preprocessing import Transformed
from tfrec.retrieval.two_tower import TwoTower
from tfrec.training.train import phases, train
from tfrec.training.validation import Validation
from tfrec.training.warm_start import FILE, Record, carry_over, read_record, record_of, warm_begin, write_record


@pytest.fixture(scope="module")
def version(exported_shop, transformed_shop, tmp_path_factory) -> Path:
    """Version 7, the exported shop with its record; do not change it."""
    folder = tmp_path_factory.mktemp("serving") / "7"
    shutil.copytree(exported_shop.folder, folder)
    write_record(shop_record(exported_shop, transformed_shop), str(folder))
    return folder


def shop_record(exported_shop, transformed_shop, is_caught_up: bool = False) -> Record:
    graph, files = Transformed(transformed_shop.folder), transformed_shop.files["validation"]
    return record_of(exported_shop.catalog, graph, exported_shop.config, files, is_caught_up)


def begin_of(version: Path | None, transformed_shop, config: Config):
    """The start with its job: a function of model and catalog."""
    begin = warm_begin(version, Transformed(transformed_shop.folder), config, transformed_shop.files["validation"])
    job = transformed_shop.job(Path("unused"), config)
    return lambda model, catalog, _=None: begin(model, catalog, job)


def model_of(catalog, config: Config, seed: int) -> TwoTower:
    tf.keras.utils.set_random_seed(seed)
    return TwoTower(catalog, config)


def other_towers(config: Config, **settings: object) -> Config:
    return dataclasses.replace(config, towers=dataclasses.replace(config.towers, **settings))


# Unchanged data.


def test_over_the_same_data_the_embeddings_are_those_of_the_version(exported_shop, transformed_shop, version, capsys):
    model = model_of(exported_shop.catalog, exported_shop.config, 99)  # other random weights than the version's
    assert begin_of(version, transformed_shop, exported_shop.config)(model, exported_shop.catalog)
    # All items but the fern have a training event (tests/conftest.py).
    assert capsys.readouterr().out == "tfrec: the towers start from version 7, which knows 7 of 7 item ids\n"
    model.trend.assign(exported_shop.model.trend)  # the trend is not a trained weight
    np.testing.assert_allclose(model.all_candidates(), exported_shop.recommender.candidates, atol=1e-5)
    (batch,) = sequences(transformed_shop.files["train"], exported_shop.config.features.profile_columns, 100)
    query_times = tf.fill([len(batch["user_id"]), 1], tf.constant(1_710_000_000, tf.int64))
    searched = tf.random.stateless_normal([len(batch["user_id"]), 1, model.texts.dim], [1, 2])
    expected = exported_shop.model.query(batch, query_times, searched)
    np.testing.assert_allclose(model.query(batch, query_times, searched), expected, atol=1e-5)
    assert np.ptp(expected.numpy(), axis=0).max() > 0.1


def test_a_record_survives_writing_and_reading(exported_shop, transformed_shop, version, odd_id):
    record = shop_record(exported_shop, transformed_shop)
    assert read_record(version) == record
    assert record.vocabularies["item_brand"] == [b"Molino", b"Lumen", b"Clay & Co"]  # by frequency, then backwards
    odd = dataclasses.replace(record, vocabularies={"item_id": [odd_id.encode(), b"\xff\x00", b""]})
    folder = version.parent / "odd"
    folder.mkdir()
    write_record(odd, str(folder))
    assert read_record(folder) == odd


# A catalog that has changed.

OLD = {"item_id": [b"i1", b"i2", b"i4"], "item_category": [b"Food", b"Home", b"Books"], "item_brand": [b"Acme"]}
NEW = {
    "item_id": [b"i9", b"i4", b"i3", b"i2", b"i1"],
    "item_category": [b"Home", b"Garden", b"Food"],  # Books is gone
    "item_brand": [b"Nova", b"Acme"],
}
OLD_PROFILE, NEW_PROFILE = {"user_city": [b"Lyon"]}, {"user_city": [b"Bern", b"Lyon"]}
# New row -> old row. Row 0 is the empty value, the last row is out-of-vocabulary (ids have none).
CARRIED = {
    "item_id": {0: 0, 2: 3, 4: 2, 5: 1},
    "item_category": {0: 0, 1: 2, 3: 1, 4: 4},
    "item_brand": {0: 0, 2: 1, 3: 2},
    "user_city": {0: 0, 2: 1, 3: 2},
}


@pytest.fixture(scope="module")
def grown(make_catalog, make_config, tmp_path_factory):
    """Old model; new model after the warm start, its weights before; number of common item ids."""
    config = make_config(features={"profile_columns": ("city",)})
    # The old item i3 has no training event, so no id. Sizes include row 0 and the last row.
    old = make_catalog(
        [[101, 5, 102], [101, 6, 102], [101, 7, 102], [101, 8, 5, 102]],
        frequency=np.array([0, 3, 2, 0, 1]),
        category_size=5,
        brand_size=3,
        profile_sizes={"user_city": 3},
    )
    new = make_catalog(
        [[101, 5, 9, 102], [101, 8, 5, 102], [101, 7, 102], [101, 6, 102], [101, 5, 102]],
        item_ids=np.array([b"", *NEW["item_id"]], object),
        frequency=np.array([0, 1, 1, 1, 1, 1]),
        category_size=5,
        brand_size=4,
        profile_sizes={"user_city": 4},
    )
    before = model_of(old, config, 1)
    before.texts.encode_texts()
    before.texts.fit_words()
    for weight in (*before.candidate_tower.weights, *before.query_tower.weights):
        weight.assign(tf.random.normal(weight.shape))
    version = tmp_path_factory.mktemp("grown") / "3"
    tf.train.Checkpoint(_model=before).write(str(version / "variables" / "variables"))
    write_record(Record({}, 0.0, OLD | OLD_PROFILE), str(version))
    model = model_of(new, config, 2)
    fresh = {id(weight): weight.numpy() for weight in model.weights}
    known = carry_over(version, model, Record({}, 0.0, NEW | NEW_PROFILE))
    return before, model, fresh, known


def learned_parts(model: TwoTower) -> list[tf.keras.layers.Layer]:
    return [model.texts.encoder, model.texts.word_encoder, model.candidate_tower, model.query_tower]


def tables(model: TwoTower) -> dict[str, list[tf.Variable]]:
    return model.candidate_tower.tables() | model.query_tower.tables()


@pytest.mark.parametrize("name", list(CARRIED))
def test_rows_are_carried_over_by_their_entry_and_new_ones_are_fresh(grown, name):
    before, model, fresh, _ = grown
    for was, now in zip(tables(before)[name], tables(model)[name], strict=True):
        assert now.shape[0] == len((NEW | NEW_PROFILE)[name]) + (1 if name == "item_id" else 2)
        for row in range(now.shape[0]):
            carried = CARRIED[name].get(row)
            expected = fresh[id(now)][row] if carried is None else was.numpy()[carried]
            np.testing.assert_array_equal(now.numpy()[row], expected, err_msg=f"{now.name} row {row}")


def test_all_other_trained_weights_are_copied(grown):
    before, model, fresh, known = grown
    assert known == 3
    rows = {id(table) for found in tables(model).values() for table in found}
    pairs = [
        (was, now)
        for old, new in zip(learned_parts(before), learned_parts(model), strict=True)
        for was, now in zip(old.weights, new.weights, strict=True)
        if id(now) not in rows
    ]
    assert {"rarity", "piece_vectors", "text_mean"} <= {now.name.split(":")[0].split("/")[-1] for _, now in pairs}
    for was, now in pairs:
        np.testing.assert_array_equal(now, was, err_msg=now.name)
    assert sum((fresh[id(now)] != now.numpy()).any() for _, now in pairs) > 20


def test_old_items_keep_their_embeddings_and_new_ones_use_the_old_words(grown):
    before, model, _, _ = grown
    model.texts.encode_texts(keep_mean=True)
    model.texts.encode_words()
    old, new = ({bytes(i): r for r, i in enumerate(ids)} for ids in ([b"", b"i1", b"i2"], [b"", *NEW["item_id"]]))
    np.testing.assert_allclose(
        model.candidates(tf.constant([new[b"i1"], new[b"i2"]], tf.int64)),
        before.candidates(tf.constant([old[b"i1"], old[b"i2"]], tf.int64)),
        atol=1e-5,
    )
    # Piece 9 was in no text of the fit, so i9 is encoded by piece 5 only, like i1.
    words = tf.gather(model.texts.word_vectors, tf.gather(model.texts.text_row, [new[b"i9"], new[b"i1"]]))
    assert np.abs(words[1]).max() > 0.1
    np.testing.assert_allclose(words[0], words[1], atol=1e-5)


# Versions that are refused.


@pytest.mark.parametrize(
    ("settings", "reason"),
    [({"dim": 16}, "towers.dim is 16, but 8"), ({"cosine": True}, "towers.cosine is True, but False")],
)
def test_towers_of_other_settings_start_cold_and_log_the_reason(
    exported_shop, transformed_shop, version, capsys, settings, reason
):
    config = other_towers(exported_shop.config, **settings)
    model = model_of(exported_shop.catalog, config, 99)
    before = [weight.numpy() for weight in model.candidate_tower.weights]
    assert not begin_of(version, transformed_shop, config)(model, exported_shop.catalog)
    first, *rest = capsys.readouterr().out.splitlines()
    assert first == f"tfrec: the towers start cold: {reason} in version 7"
    assert rest == ["tfrec: encoding 11 distinct texts of 8 items with the BERT"]
    for now, was in zip(model.candidate_tower.weights, before, strict=True):
        np.testing.assert_array_equal(now, was)
    assert np.abs(model.texts.word_vectors).max() > 0.1


def test_without_a_version_the_towers_start_cold(exported_shop, transformed_shop, capsys):
    model = model_of(exported_shop.catalog, exported_shop.config, 99)
    assert not begin_of(None, transformed_shop, exported_shop.config)(model, exported_shop.catalog)
    assert "tfrec: the towers start cold: no version is in service yet\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (FILE, "version 8 has no valid assets.extra/tfrec_towers.json"),
        ("variables/variables.index", "version 8 does not hold the towers of this configuration"),
    ],
)
def test_a_broken_version_leaves_the_model_unchanged(
    exported_shop, transformed_shop, version, tmp_path, broken, reason
):
    shutil.copytree(version, tmp_path / "8")
    (tmp_path / "8" / broken).write_bytes(b"{}")
    model = model_of(exported_shop.catalog, exported_shop.config, 99)
    before = [weight.numpy() for weight in model.weights]
    with pytest.raises(ModelError, match=reason):
        carry_over(tmp_path / "8", model, shop_record(exported_shop, transformed_shop))
    for weight, was in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(weight, was)


def test_a_version_whose_vocabulary_does_not_fit_its_tables_is_refused(
    exported_shop, transformed_shop, version, tmp_path
):
    shutil.copytree(version, tmp_path / "8")
    record = shop_record(exported_shop, transformed_shop)
    short = record.vocabularies | {"item_brand": record.vocabularies["item_brand"][1:]}
    write_record(dataclasses.replace(record, vocabularies=short), str(tmp_path / "8"))
    model = model_of(exported_shop.catalog, exported_shop.config, 99)
    before = [weight.numpy() for weight in model.weights]
    with pytest.raises(ModelError, match=r"brand.* of version 8 does not fit its vocabulary"):
        carry_over(tmp_path / "8", model, record)
    for weight, was in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(weight, was)


def test_towers_that_caught_up_with_an_evaluation_window_are_refused(
    exported_shop, transformed_shop, version, tmp_path
):
    shutil.copytree(version, tmp_path / "8")
    write_record(shop_record(exported_shop, transformed_shop, is_caught_up=True), str(tmp_path / "8"))
    model = model_of(exported_shop.catalog, exported_shop.config, 99)
    record = shop_record(exported_shop, transformed_shop)
    with pytest.raises(ModelError, match="version 8 was trained on events of the windows that evaluate the model"):
        carry_over(tmp_path / "8", model, record)
    # ann's tea of 2024-02-10 is the first event of the shop's window; 28 days later it is in the
    # past.
    assert record.trained_before == 1_707_523_200.0
    later = dataclasses.replace(record, trained_before=record.trained_before + 28 * 86_400)
    assert carry_over(tmp_path / "8", model, later) == 7


def test_a_length_of_texts_that_changes_with_the_catalog_keeps_the_start_warm(exported_shop, transformed_shop, version):
    features = dataclasses.replace(exported_shop.config.features, text_tokens=16)
    shorter = dataclasses.replace(exported_shop, config=dataclasses.replace(exported_shop.config, features=features))
    model = model_of(exported_shop.catalog, exported_shop.config, 99)
    assert carry_over(version, model, shop_record(shorter, transformed_shop)) == 7


def test_an_older_record_is_read_without_its_length_of_texts(exported_shop, transformed_shop, tmp_path):
    record = shop_record(exported_shop, transformed_shop)
    write_record(dataclasses.replace(record, settings=record.settings | {"features.text_tokens": 24}), str(tmp_path))
    assert read_record(tmp_path).settings == record.settings


def test_a_version_with_a_ranker_knows_the_validation_window(exported_shop, transformed_shop):
    towers = shop_record(exported_shop, transformed_shop)
    ranking = dataclasses.replace(exported_shop.config.ranking, epochs=1)
    config = dataclasses.replace(exported_shop.config, ranking=ranking)
    both = shop_record(dataclasses.replace(exported_shop, config=config), transformed_shop)
    assert towers.known_before == towers.trained_before == both.trained_before
    assert both.known_before == both.trained_before + 28 * 86_400


def test_without_timestamps_towers_that_caught_up_are_always_refused(exported_shop, transformed_shop):
    by_order = dataclasses.replace(exported_shop, config=dataclasses.replace(exported_shop.config, clock="order"))
    assert shop_record(by_order, transformed_shop).trained_before == 0.0
    assert shop_record(by_order, transformed_shop, is_caught_up=True).trained_before == math.inf


def test_towers_of_another_split_are_refused(exported_shop, transformed_shop, version):
    config = exported_shop.config
    split = dataclasses.replace(config.examples.split, method="leave_last_out")
    last_out = dataclasses.replace(config, examples=dataclasses.replace(config.examples, split=split))
    record = shop_record(dataclasses.replace(exported_shop, config=last_out), transformed_shop)
    assert record.trained_before == 0.0
    model = model_of(exported_shop.catalog, config, 99)
    with pytest.raises(ModelError, match=r"examples\.split\.method is 'leave_last_out', but None in version 7"):
        carry_over(version, model, record)


# Training.


def warm_config(config: Config, **settings: object) -> Config:
    return dataclasses.replace(
        config, train=dataclasses.replace(config.train, **{"warm_start": True, "epochs": 5, **settings})
    )


def train_warm(transformed_shop, config: Config, folder: Path, begin) -> TwoTower:
    return train(transformed_shop.job(folder, config), begin=begin).model


def test_a_warm_start_has_its_own_epochs_and_learning_rate():
    config = warm_config(Config(), epochs=5, learning_rate=0.5, warm_epochs=2, warm_learning_rate=0.25)
    assert [(phase.epochs, phase.learning_rate) for phase in phases(config)] == [(5, 0.5)]
    assert [(phase.epochs, phase.learning_rate) for phase in phases(config, is_warm=True)] == [(2, 0.25)]
    same_rate = warm_config(Config(), learning_rate=0.5)
    assert [(phase.epochs, phase.learning_rate) for phase in phases(same_rate, is_warm=True)] == [(1, 0.5)]


@pytest.mark.slow
def test_everything_trains_after_a_warm_start(exported_shop, transformed_shop, version, tmp_path, capsys):
    config = warm_config(exported_shop.config, warm_learning_rate=0.01, validation_users=0)
    model = train_warm(transformed_shop, config, tmp_path, begin_of(version, transformed_shop, config))
    printed = capsys.readouterr().out
    assert "start from version 7" in printed
    assert re.findall(r"towers epoch (\d)", printed) == ["1"]
    initial = model_of(exported_shop.catalog, config, 99)
    assert begin_of(version, transformed_shop, config)(initial, exported_shop.catalog)
    pairs = list(zip(model.trainable_variables, initial.trainable_variables, strict=True))
    assert len(pairs) > 20
    unmoved = [now.name for now, was in pairs if np.array_equal(now, was)]
    assert unmoved == []


@pytest.mark.slow
def test_a_killed_warm_start_resumes_from_its_own_checkpoint(
    exported_shop, transformed_shop, version, tmp_path, capsys, monkeypatch
):
    config = warm_config(exported_shop.config, warm_epochs=2)

    def kill(*_: object) -> None:
        raise KeyboardInterrupt("during validation")

    monkeypatch.setattr(Validation, "ndcg", kill)
    with pytest.raises(KeyboardInterrupt, match="during validation"):
        train_warm(transformed_shop, config, tmp_path, begin_of(version, transformed_shop, config))
    monkeypatch.undo()
    capsys.readouterr()
    # The version may be gone now: it is not read again, and the epochs are still those of a warm
    # start.
    train_warm(transformed_shop, config, tmp_path, begin_of(None, transformed_shop, config))
    printed = capsys.readouterr().out
    assert "resuming at phase 0, epoch 1" in printed
    assert "cold" not in printed
    assert re.findall(r"towers epoch (\d)", printed) == ["1", "2"]
