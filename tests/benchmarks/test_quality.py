"""Quality benchmark: selection of rows, variants of the model, stored scores."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from benchmarks import quality
from benchmarks.harness import model_variants
from benchmarks.harness.model_variants import ABLATION, FULL_MODEL, PER_USER_METRICS, Variant
from benchmarks.harness.quality_table import Row
from tfrec.config import Config, TowerConfig
from tfrec.errors import ConfigError
from tfrec.evaluation.baselines.popularity import popularity
from tfrec.evaluation.evaluate import Extras, evaluate, protocol_of
from tfrec.evaluation.holdout import holdout_from_events
from tfrec.evaluation.scores import Scores
from tfrec.examples.catalog import Catalog


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


def test_a_name_without_seed_selects_all_seeds():
    known = ["EASE", "tfrec, seed 1", "tfrec, seed 2"]
    assert quality.select_rows(["tfrec"], known) == ["tfrec, seed 1", "tfrec, seed 2"]
    assert quality.select_rows(["EASE", "tfrec, seed 2"], known) == ["EASE", "tfrec, seed 2"]
    assert quality.select_rows(None, known) == known


def test_an_unknown_row_ends_the_program():
    with pytest.raises(SystemExit, match=r"--only is 'EASY', expected one of random, EASE"):
        quality.select_rows(["EASY"], ["random", "EASE"])


def test_an_ablation_trains_ten_different_models():
    assert len({variant.key() for variant in ABLATION.values()}) == 10


def test_a_runs_text_setting_resolves_to_the_variant_of_the_ablation():
    assert FULL_MODEL.resolved(Config()) == ABLATION["TF-IDF + frozen BERT, with ids"]
    assert FULL_MODEL.resolved(Config(towers=TowerConfig(text_mode="top"))) == ABLATION["TF-IDF + tuned BERT, with ids"]
    assert FULL_MODEL.resolved(Config(towers=TowerConfig(word_dim=0))) == ABLATION["frozen BERT, with ids"]
    assert Variant("none").resolved(Config()) == Variant("none")


def test_gains_compare_each_text_encoding_with_none_and_both_with_tfidf(capsys):
    names = ("no text, with ids", "TF-IDF, with ids", "tuned BERT, without ids", "TF-IDF + tuned BERT, with ids")
    rows = {name: Row(name, Scores(name, {}, 0.0)) for name in names}
    quality.show_gains(rows, quality.Dataset("laptop", ()))
    assert [line for line in capsys.readouterr().out.splitlines() if "minus" in line] == [
        "| TF-IDF, with ids minus no text, with ids |",
        "| TF-IDF + tuned BERT, with ids minus no text, with ids |",
        "| TF-IDF + tuned BERT, with ids minus TF-IDF, with ids |",
    ]


def test_a_variant_sets_the_text_encoding_and_the_seed():
    run = Config(towers=TowerConfig(text_mode="full", word_dim=3))
    towers_of_text = {
        text: model_variants.apply_to_config(run, Variant(text)).towers for text in ("", *model_variants.TEXTS)
    }
    assert {text: (towers.text_mode, towers.word_dim) for text, towers in towers_of_text.items()} == {
        "": ("full", 3),
        "none": ("frozen", 0),
        "words": ("frozen", 3),
        "frozen": ("frozen", 0),
        "tuned": ("full", 0),
        "words and frozen": ("frozen", 3),
        "words and tuned": ("full", 3),
    }
    tuned = model_variants.apply_to_config(Config(towers=TowerConfig(word_dim=0)), Variant("words and tuned", seed=5))
    assert (tuned.towers.text_mode, tuned.train.text_steps, tuned.train.seed) == ("top", model_variants.TEXT_STEPS, 5)
    assert tuned.towers.word_dim == model_variants.WORD_DIM
    with pytest.raises(ConfigError, match="`text` is 'read', expected one of none, words, frozen, tuned"):
        model_variants.apply_to_config(run, Variant("read"))


def test_variants_remove_the_texts_or_the_ids_of_the_catalog(catalog):
    no_text = model_variants.reduce_catalog(catalog, Variant("none"))
    assert no_text.text_row.tolist() == [0, 0, 0]
    assert (no_text.tokens.tolist(), no_text.query_row.tolist()) == ([[0]], [0, 0])
    assert no_text.id_row.tolist() == [0, 1, 2]
    no_ids = model_variants.reduce_catalog(catalog, Variant(ids=False))
    assert no_ids.id_row.tolist() == [0, 0, 0]
    assert no_ids.text_row.tolist() == [0, 1, 2]
    assert no_ids.frequency.tolist() == [0, 1, 2]


def test_stored_scores_are_read_back_with_per_user_metrics(holdout, tmp_path):
    scores = evaluate("popularity", popularity(holdout), holdout, Extras(PER_USER_METRICS))
    model_variants.write_scores(scores, holdout, tmp_path / "row.json")
    model_variants.write_scores(scores, holdout, tmp_path / "costly.json", cpu_minutes=2.5)
    assert quality.read_scores(tmp_path / "costly.json").cpu_minutes == 2.5
    evaluation = quality.read_scores(tmp_path / "row.json").evaluation
    assert evaluation.protocol == protocol_of(holdout)
    assert evaluation.model == scores
    for metric in PER_USER_METRICS:
        stored = evaluation.model.slices["all"].per_user[metric]
        np.testing.assert_array_equal(stored, scores.slices["all"].per_user[metric])
    assert not list(tmp_path.glob("*.part"))
