"""From files to a verdict, on the question with a known answer of tests/conftest.py."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest

from tfrec.config import Config, EvaluationConfig
from tfrec.errors import ModelError
from tfrec.evaluation.blessing import judge
from tfrec.evaluation.evaluate import read_holdout
from tfrec.evaluation.exported_model import exported_model
from tfrec.evaluation.scores import Details, Evaluation
from tfrec.training.learning_curve import Epoch, LearningCurve

SECOND, THIRD, FOURTH = 1 / math.log2(3), 1 / math.log2(4), 1 / math.log2(5)  # NDCG of one item at that rank


def judged(model: Path, production: Path, examples: Path) -> tuple[Evaluation, list[str]]:
    said: list[str] = []
    return judge(model, production, examples, Config(), said.append), said


def ndcg(evaluation: Evaluation) -> dict[str, float]:
    return {name: scores.slices["all"].metrics["ndcg@20"] for name, scores in evaluation.scores.items()}


def test_a_model_that_knows_what_is_wanted_is_blessed(toys, toy_examples, tmp_path):
    evaluation, said = judged(toys["wise"], tmp_path / "nothing pushed yet", toy_examples)
    assert evaluation.verdict.blessed
    # The gains are 0.5, 0.5 and 0.5693; Student's t of 2 degrees of freedom is 4.3027.
    assert evaluation.verdict.reasons == (
        "two-tower has ndcg@20 1.0000 on all, above the 0.4769 of the baseline recent_popularity: "
        "by 0.5231, 95 % interval 0.4237 to 0.6225",
    )
    scores = ndcg(evaluation)
    assert list(scores) == ["random", "popularity", "recent_popularity", "personal_frequency", "two-tower"]
    assert scores["two-tower"] == 1
    assert scores["recent_popularity"] == pytest.approx((THIRD + THIRD + FOURTH) / 3)
    assert said[-1] == "scoring 3 users over 4 items: two-tower"


def test_a_model_below_the_baseline_is_refused_with_the_numbers(toys, toy_examples, tmp_path):
    evaluation, _ = judged(toys["wrong"], tmp_path, toy_examples)
    assert not evaluation.verdict.blessed
    assert evaluation.verdict.reasons == (
        "two-tower has ndcg@20 0.4307 on all, not surely above the 0.4769 of the baseline recent_popularity: "
        "by -0.0462, 95 % interval -0.1456 to 0.0532",
    )


def test_a_model_worse_than_the_one_in_production_is_refused_though_it_beats_the_baseline(toys, toy_examples, tmp_path):
    shutil.copytree(toys["wrong"], tmp_path / "9")
    shutil.copytree(toys["wise"], tmp_path / "10")  # the latest by number, not by letter
    evaluation, _ = judged(toys["half"], tmp_path, toy_examples)
    assert ndcg(evaluation)["in production"] == 1
    assert ndcg(evaluation)["two-tower"] == pytest.approx(SECOND)
    assert list(evaluation.scores)[-2:] == ["in production", "two-tower"]
    assert not evaluation.verdict.blessed
    assert evaluation.verdict.reasons[1] == (
        "two-tower has ndcg@20 0.6309 on all, below the required 0.9800 (0.98 of the 1.0000 of the model in production)"
    )


def test_a_model_as_good_as_the_one_in_production_is_blessed(toys, toy_examples, tmp_path):
    shutil.copytree(toys["half"], tmp_path / "1")
    assert judged(toys["half"], tmp_path, toy_examples)[0].verdict.blessed
    assert judged(toys["wise"], tmp_path, toy_examples)[0].verdict.blessed


def test_a_damaged_model_in_production_is_said_and_left_out(toys, toy_examples, tmp_path):
    shutil.copytree(toys["wise"], tmp_path / "1")
    (tmp_path / "1" / "saved_model.pb").write_bytes(b"half a model")
    evaluation, said = judged(toys["half"], tmp_path, toy_examples)
    assert evaluation.verdict.blessed
    assert "in production" not in evaluation.scores
    assert said[0].startswith("not compared with the model in production: ")


def test_only_the_kinds_that_count_as_a_choice_are_labels(toys, toy_examples, tmp_path):
    config = Config(evaluation=EvaluationConfig(label_kinds=("cart",)))
    evaluation = judge(toys["wise"], tmp_path, toy_examples, config, [].append)
    assert evaluation.protocol.label_kinds == ("cart",)
    assert evaluation.protocol.users == 0  # the toy's events are purchases
    assert not evaluation.verdict.blessed


def test_the_exported_model_scores_each_user_by_the_past_alone(toys, toy_examples):
    holdout = read_holdout(toy_examples, "test", clock="utc")
    assert list(holdout.user_ids) == ["ann", "bob", "cai"]
    assert list(holdout.item_ids) == ["book", "mug", "pen", "tea"]
    score = exported_model(toys["wise"], toy_examples, holdout)
    # cai and ann: mug for tea, pen for a book; -9 would say that the mug or pen of the window was seen.
    np.testing.assert_array_equal(score(np.array([2, 0])), [[0, 0, 1, 0], [0, 1, 0, 0]])


def test_an_item_that_the_model_does_not_know_is_ranked_below_all(toys, toy_examples, tmp_path):
    import tensorflow as tf

    holdout = read_holdout(toy_examples, "test", clock="utc")
    older = tf.saved_model.load(str(toys["wise"]))
    older.item_ids.assign(["", "tea", "mug", "book", "pencil"])
    tf.saved_model.save(older, str(tmp_path / "older"), older.signatures)
    score = exported_model(tmp_path / "older", toy_examples, holdout)
    np.testing.assert_array_equal(score(np.array([0])), [[0, 1, -np.inf, 0]])


def test_a_folder_without_a_model_is_an_error(toy_examples, tmp_path):
    holdout = read_holdout(toy_examples, "test", clock="utc")
    with pytest.raises(ModelError, match="holds no exported tfrec model"):
        exported_model(tmp_path, toy_examples, holdout)


def test_the_page_is_told_what_it_shows_and_gets_it_back_from_json(toys, toy_examples, tmp_path):
    shutil.copytree(toys["wise"], tmp_path / "model")
    curve = LearningCurve()
    curve.add(Epoch("towers", 1, 2.0, 3.0, 0.5, math.nan))
    curve.write(tmp_path / "model" / "assets.extra")
    evaluation = judge(tmp_path / "model", tmp_path / "nothing", toy_examples, Config(), [].append)
    details = evaluation.details
    # The best mean: everybody's own tea or book comes first, then the recent favourites.
    assert details.baseline == max(
        ("random", "popularity", "recent_popularity", "personal_frequency"), key=lambda name: ndcg(evaluation)[name]
    )
    assert {gain.partition for gain in details.gains} == {"item age", "activity"}  # the toys have no categories
    assert all(gain.ours == 1 for gain in details.gains)
    assert details.cold_start is not None
    assert details.reliability is None  # the towers promise no chance
    # Of four items the tenths 0, 2, 5 and 7 hold one each: tea, book, mug, pen by their buyers.
    assert details.chosen == pytest.approx((0, 0, 0, 0, 0, 2 / 3, 0, 1 / 3, 0, 0))
    assert [shopper.user_id for shopper in details.shoppers] == ["ann", "bob", "cai"]
    assert [item.item_id for item in details.shoppers[0].recommended][:1] == ["mug"]
    assert [(epoch.phase, epoch.loss) for epoch in details.training] == [("towers", 2.0)]
    copy = Evaluation.from_json(evaluation.to_json())
    assert copy.to_json() == evaluation.to_json()
    assert copy.details.shoppers == details.shoppers
    assert copy.details.gains == details.gains
    assert copy.details.cold_start == details.cold_start


def test_an_evaluation_of_before_has_no_details(toys, toy_examples, tmp_path):
    raw = json.loads(judged(toys["wise"], tmp_path, toy_examples)[0].to_json())
    del raw["details"]
    assert Evaluation.from_json(json.dumps(raw)).details == Details()


def test_chances_are_held_against_the_window_where_the_model_ranks_by_them(toys, toy_examples, tmp_path):
    import tensorflow as tf

    # Both stages: everybody's chance of a mug is 0.5; of a book 0.25; the rest is no candidate.
    model = tf.saved_model.load(str(toys["wise"]))
    model._second_stage = tf.Module()
    embed = model.signatures["embed_query"]
    specs = embed.structured_input_signature[1]

    def all_scores(**inputs: tf.Tensor) -> tf.Tensor:
        users = tf.shape(inputs["timestamp"])[0]
        return tf.repeat([[-1.0, -1.0, 0.5, 0.25, -1.0]], users, axis=0)  # "", tea, mug, book, pen

    model.all_scores = tf.function(all_scores)
    model.all_scores.get_concrete_function(**specs)
    tf.saved_model.save(model, str(tmp_path / "both"), {"embed_query": embed})
    evaluation, _ = judged(tmp_path / "both", tmp_path / "nothing", toy_examples)
    assert list(evaluation.scores)[-2:] == ["two-tower", "two stages"]
    found = evaluation.details.reliability
    assert found is not None
    # Three users, six candidates. Nobody chose a book; ann and bob chose the mug: 2 of 3 at 0.5.
    assert [(b.predicted, b.candidates) for b in found.bins] == [(0.25, 1)] * 3 + [(0.5, 1)] * 3
    assert sum(b.observed for b in found.bins[:3]) == 0
    assert sum(b.observed for b in found.bins[3:]) == 2
    assert found.error == pytest.approx((3 * 0.25 + 3 * 0.5) / 6)
    assert Evaluation.from_json(evaluation.to_json()).details.reliability == found
