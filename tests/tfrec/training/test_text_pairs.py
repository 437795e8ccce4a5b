"""Contrastive tuning of the BERT on pairs: which texts are pairs, its effect, and resuming it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tfrec.config import Config
from tfrec.errors import ConfigError, ModelError
from tfrec.examples.catalog import Catalog
from tfrec.examples.dataset import load_catalog
from tfrec.examples.preprocessing import Transformed
from tfrec.language.tokenizer import word_piece_of
from tfrec.retrieval.two_tower import TwoTower
from tfrec.training import text_pairs
from tfrec.training.progress import Reporter
from tfrec.training.text_pairs import batches, check, item_pairs, title_rest_pairs, tune_texts
from tfrec.training.train import train

STEPS = 6


@pytest.fixture
def tuning(transformed_shop) -> Config:
    """Six steps of the BERT's last layer, on pairs of neighbors."""
    return configured(
        transformed_shop.config, text_pair_steps=STEPS, text_pair_window=1, text_pair_learning_rate=0.01, epochs=1
    )


@pytest.fixture
def catalog(transformed_shop) -> Catalog:
    files, graph = transformed_shop.files, Transformed(transformed_shop.folder)
    return load_catalog(files["catalog"], files["train"], graph, transformed_shop.config.features)


def configured(config: Config, text_mode: str = "top", **settings: object) -> Config:
    towers = dataclasses.replace(config.towers, text_mode=text_mode)
    return dataclasses.replace(config, towers=towers, train=dataclasses.replace(config.train, **settings))


def names(catalog: Catalog, pairs: np.ndarray) -> list[tuple[str, str]]:
    texts = dict(zip(catalog.text_row, catalog.item_ids, strict=True))
    texts |= dict(zip(catalog.query_row, catalog.queries, strict=True))
    return sorted((texts[left].decode(), texts[right].decode()) for left, right, _ in pairs)


# tests/conftest.py before 2024-02-05, and zoe, who viewed soap in an earlier chunk and bought an
# item that has no text.
SEARCHES = [("desk lamp", "lamp"), ("green tea", "tea")]
NEIGHBORS = [("book", "soap"), ("lamp", "book"), ("pasta", "sauce"), ("sauce", "tea"), ("tea", "mug")]


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        (0, SEARCHES),
        (1, SEARCHES + NEIGHBORS),
        # ann's pasta and tea are two events apart, and so are cai's view of the lamp and the book.
        (2, [*SEARCHES, *NEIGHBORS, ("lamp", "book"), ("pasta", "tea")]),
    ],
)
def test_neighbors_and_searches_of_the_training_events_are_pairs(transformed_shop, tuning, catalog, window, expected):
    config = configured(tuning, text_pair_window=window)
    assert names(catalog, item_pairs(transformed_shop.files["train"], catalog, config)) == sorted(expected)


def test_a_title_and_the_rest_of_its_text_are_a_pair(make_config, make_catalog):
    config = make_config()
    word_piece = word_piece_of(config.features)
    lamp, soap, cut = (word_piece(tf.constant([text])).numpy()[0].tolist() for text in ("lamp", "soap", "desk lamp"))
    led = [2419]
    # "lamp" with "led", "soap" alone, and "desk lamp", whose text does not begin with its title.
    catalog = make_catalog(
        [[*lamp[:-1], *led, lamp[-1]], soap, [101, *led, 102]],
        titles=np.array([b"", b"lamp", b"soap", b"desk lamp"], object),
    )
    assert len(cut) == 4
    tokens, pairs = title_rest_pairs(catalog, config)
    np.testing.assert_array_equal(tokens[: len(catalog.tokens)], catalog.tokens)
    ((title, rest, _),) = pairs
    assert tokens[title].tolist() == [*lamp, 0]
    assert tokens[rest].tolist() == [101, *led, 102, 0]


def test_pairs_of_eight_events_of_a_user_follow_each_other():
    # Blocks 5, 2 and 9 of two, one and two pairs.
    pairs = np.array([[1, 2, 5], [3, 4, 2], [2, 6, 5], [7, 8, 9], [8, 9, 9]])
    (whole,) = batches(pairs, 5, seed=1).take(1)
    blocks = whole[:, 2].numpy().tolist()
    assert sorted(map(tuple, whole.numpy().tolist())) == sorted(map(tuple, pairs.tolist()))
    assert blocks.index(5) + 1 == len(blocks) - 1 - blocks[::-1].index(5)
    assert blocks.index(9) + 1 == len(blocks) - 1 - blocks[::-1].index(9)


def fresh(catalog: Catalog, config: Config) -> TwoTower:
    tf.keras.utils.set_random_seed(config.train.seed)
    return TwoTower(catalog, config)


def bert(model: TwoTower) -> list[np.ndarray]:
    return [weight.numpy() for weight in model.texts.encoder.weights]


@pytest.fixture
def tuned(transformed_shop, tuning, catalog, tmp_path):
    """Tune a fresh model; a second call resumes."""

    def tune(folder: str, **settings: object) -> TwoTower:
        model = fresh(catalog, configured(tuning, **settings))
        tune_texts(model, catalog, transformed_shop.files["train"], str(tmp_path / folder))
        return model

    return tune


def test_tuning_brings_the_texts_of_a_pair_together(transformed_shop, tuning, catalog, tuned, capsys):
    def margin(model: TwoTower) -> float:
        vectors = model.texts.catalog_encoder.encode()
        left, right = vectors[pairs[:, 0]], vectors[pairs[:, 1]]
        return float(np.mean((left * right).sum(axis=1)) - np.mean(left @ right.T))

    pairs = item_pairs(transformed_shop.files["train"], catalog, tuning)
    model = tuned("a", text_pair_steps=20)
    assert margin(model) > margin(fresh(catalog, tuning)) + 0.03
    assert "tfrec: tuning the BERT on 14 pairs of texts: 20 steps of 14" in capsys.readouterr().out
    assert not model.texts.is_live


def test_an_interrupted_tuning_ends_with_the_weights_of_an_uninterrupted_one(tuned, monkeypatch):
    # Steps of 4 of the 14 pairs: an interrupted run must go on with the pairs that are left.
    whole = tuned("whole", text_pair_batch_size=4)
    end_of_step = Reporter.on_train_batch_end

    def interrupt(reporter: Reporter, batch: int, logs: dict[str, float] | None = None) -> None:
        end_of_step(reporter, batch, logs)
        if batch == 2:
            raise RuntimeError("interrupted")

    monkeypatch.setattr(Reporter, "on_train_batch_end", interrupt)
    with pytest.raises(RuntimeError, match="interrupted"):
        tuned("parts", text_pair_batch_size=4, checkpoint_seconds=0.0)
    monkeypatch.setattr(Reporter, "on_train_batch_end", end_of_step)
    for part, expected in zip(bert(tuned("parts", text_pair_batch_size=4)), bert(whole), strict=True):
        np.testing.assert_allclose(part, expected, atol=1e-5)


def test_a_finished_tuning_trains_no_more(tuned, monkeypatch):
    first = bert(tuned("a"))
    monkeypatch.setattr(text_pairs.TextPairModel, "fit", None)
    for again, expected in zip(bert(tuned("a")), first, strict=True):
        np.testing.assert_array_equal(again, expected)


def test_an_infinite_rate_is_refused_with_its_cure(tuned):
    with pytest.raises(ModelError, match="lower text_pair_learning_rate"):
        tuned("a", text_pair_learning_rate=1e30)


def test_towers_train_on_the_texts_of_the_tuned_bert(transformed_shop, tuning, catalog, tuned, tmp_path: Path):
    trained = train(transformed_shop.job(tmp_path / "run", tuning)).model
    for weight, expected in zip(bert(trained)[:-1], bert(tuned("alone"))[:-1], strict=True):  # the mean is last
        np.testing.assert_allclose(weight, expected, atol=1e-5)
    np.testing.assert_allclose(
        trained.texts.text_vectors, trained.texts.encoder(tf.constant(catalog.tokens)), atol=1e-4
    )


def test_a_frozen_bert_and_several_workers_are_refused(tuning):
    with pytest.raises(ConfigError, match="text_pair_steps is 6 but text_mode is 'frozen'"):
        check(configured(tuning, "frozen"))
    with pytest.raises(ConfigError, match="text_pair_steps is 6 and workers 2, but one process"):
        check(configured(tuning, workers=2))
