"""Rows of the quality table: which are measured, what a variant leaves out, and that scores come back as they were."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from benchmarks import model_variants, quality
from benchmarks.model_variants import ABLATION, BY_USER, WHOLE, Variant
from benchmarks.quality_table import Row
from tfrec.config import Config, TowerConfig
from tfrec.errors import ConfigError
from tfrec.evaluation.baselines.popularity import popularity
from tfrec.evaluation.evaluate import evaluate, holdout_from_events, protocol_of
from tfrec.evaluation.scores import Scores
from tfrec.examples.catalog import Catalog

SEEDS = {f"tfrec, seed {seed}": dataclasses.replace(WHOLE, seed=seed) for seed in (1, 2)}


@pytest.fixture
def holdout():
    columns = ["user_id", "item_id", "kind", "timestamp"]
    before = pd.DataFrame([("ann", "a", "purchase", 1), ("bob", "b", "purchase", 2)], columns=columns)
    during = pd.DataFrame([("ann", "b", "purchase", 3), ("bob", "c", "purchase", 4)], columns=columns)
    return holdout_from_events(before, during, np.array(["a", "b", "c"], object), clock="utc")


@pytest.fixture
def catalog() -> Catalog:
    three = np.array([0, 1, 2])
    names = np.array([b"", b"a", b"b"], object)
    tokens = np.array([[0], [101], [102]])
    columns = {
        "category": three[:, np.newaxis],
        "category_path": names,
        "brand": three,
        "price": three,
        "frequency": three,
    }
    sizes = {"category_size": 3, "brand_size": 3, "price_size": 3, "profile_sizes": {}}
    return Catalog(names, names, three, tokens, queries=names[1:], query_row=three[1:], **columns, **sizes)


def test_a_name_alone_asks_for_all_seeds_of_the_model():
    assert quality.wanted_rows(["tfrec"], SEEDS, "utc", False) == ["tfrec, seed 1", "tfrec, seed 2"]
    assert quality.wanted_rows(["EASE", "tfrec, seed 2"], SEEDS, "utc", False) == ["EASE", "tfrec, seed 2"]
    assert quality.wanted_rows(None, SEEDS, "utc", False)[-3:] == ["LightGBM over these", *SEEDS]
    assert quality.wanted_rows(None, ABLATION, "utc", True) == list(ABLATION)


def test_a_row_that_is_none_ends_the_program():
    with pytest.raises(SystemExit, match=r"there is no row 'EASY'; use one of random, .*EASE"):
        quality.wanted_rows(["EASY"], SEEDS, "utc", False)


def test_an_ablation_trains_ten_different_models():
    assert len({variant.key() for variant in ABLATION.values()}) == 10


def test_what_a_run_says_of_texts_has_the_name_of_the_ablations_variant():
    assert WHOLE.resolved(Config()) == ABLATION["TF-IDF + frozen BERT, with ids"]
    assert WHOLE.resolved(Config(towers=TowerConfig(text_mode="top"))) == ABLATION["TF-IDF + tuned BERT, with ids"]
    assert WHOLE.resolved(Config(towers=TowerConfig(word_dim=0))) == ABLATION["frozen BERT, with ids"]
    assert Variant("none").resolved(Config()) == Variant("none")


def test_each_way_to_read_texts_is_compared_with_none_of_the_same_kind_and_both_with_the_words(capsys):
    names = ("no text, with ids", "TF-IDF, with ids", "tuned BERT, without ids", "TF-IDF + tuned BERT, with ids")
    rows = {name: Row(name, Scores(name, {}, 0.0)) for name in names}
    quality.show_gains(rows, quality.Dataset("laptop", ()))
    assert [line for line in capsys.readouterr().out.splitlines() if "minus" in line] == [
        "| TF-IDF, with ids minus no text, with ids |",
        "| TF-IDF + tuned BERT, with ids minus no text, with ids |",
        "| TF-IDF + tuned BERT, with ids minus TF-IDF, with ids |",
    ]


def test_a_variant_reads_texts_as_it_says():
    run = Config(towers=TowerConfig(text_mode="full", word_dim=3))
    found = {text: model_variants.configured(run, Variant(text)).towers for text in ("", *model_variants.TEXTS)}
    assert {text: (towers.text_mode, towers.word_dim) for text, towers in found.items()} == {
        "": ("full", 3),
        "none": ("frozen", 0),
        "words": ("frozen", 3),
        "frozen": ("frozen", 0),
        "tuned": ("full", 0),
        "words and frozen": ("frozen", 3),
        "words and tuned": ("full", 3),
    }
    tuned = model_variants.configured(Config(towers=TowerConfig(word_dim=0)), Variant("words and tuned", seed=5))
    assert (tuned.towers.text_mode, tuned.train.text_steps, tuned.train.seed) == ("top", model_variants.TEXT_STEPS, 5)
    assert tuned.towers.word_dim == model_variants.WORD_DIM
    with pytest.raises(ConfigError, match="`text` is 'read'; use one of none, words, frozen, tuned"):
        model_variants.configured(run, Variant("read"))


def test_without_texts_all_items_read_alike_and_without_ids_none_has_its_own(catalog):
    silent = model_variants.reduced(catalog, Variant("none"))
    assert silent.text_row.tolist() == [0, 0, 0]
    assert (silent.tokens.tolist(), silent.query_row.tolist()) == ([[0]], [0, 0])
    assert silent.id_row.tolist() == [0, 1, 2]
    nameless = model_variants.reduced(catalog, Variant(ids=False))
    assert nameless.id_row.tolist() == [0, 0, 0]
    assert nameless.text_row.tolist() == [0, 1, 2]
    assert nameless.frequency.tolist() == [0, 1, 2]


def test_kept_scores_come_back_with_each_users_own(holdout, tmp_path):
    scores = evaluate("popularity", popularity(holdout), holdout, by_user=BY_USER)
    model_variants.write(scores, holdout, tmp_path / "row.json")
    model_variants.write(scores, holdout, tmp_path / "dear.json", cpu_minutes=2.5)
    assert quality.read_scores(tmp_path / "dear.json").cpu_minutes == 2.5
    evaluation = quality.read_scores(tmp_path / "row.json").evaluation
    assert evaluation.protocol == protocol_of(holdout)
    found = evaluation.judged
    assert found == scores
    for metric in BY_USER:
        kept = found.slices["all"].per_user[metric]
        np.testing.assert_array_equal(kept, scores.slices["all"].per_user[metric])
    assert not list(tmp_path.glob("*.part"))
