"""Evaluation from files to verdict, on toy models of tests/conftest.py whose scores are known."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import pytest

from tests.conftest import TOY_START
from tfrec.config import Config, EvaluationConfig, VerdictConfig
from tfrec.evaluation.blessing import evaluate_and_bless
from tfrec.evaluation.result import Evaluation
from tfrec.schema import DAY_SECONDS
from tfrec.training.learning_curve import Epoch, LearningCurve
from tfrec.training.warm_start import SPLIT_SETTING, Record, write_record

SECOND, THIRD, FOURTH = 1 / math.log2(3), 1 / math.log2(4), 1 / math.log2(5)  # NDCG of one item at that rank


def run(model: Path, production: Path, examples: Path) -> tuple[Evaluation, list[str]]:
    """The evaluation and the lines that it logs."""
    lines: list[str] = []
    return evaluate_and_bless(model, production, examples, Config(), lines.append), lines


def ndcg(evaluation: Evaluation) -> dict[str, float]:
    return {name: scores.slices["all"].metrics["ndcg@20"] for name, scores in evaluation.scores.items()}


def test_a_model_that_beats_the_baseline_is_blessed(toys, toy_examples, tmp_path):
    evaluation, lines = run(toys["wise"], tmp_path / "nothing pushed yet", toy_examples)
    assert evaluation.verdict.blessed
    # The gains are 0.5, 0.5 and 0.5693; Student's t of 2 degrees of freedom is 4.3027.
    assert evaluation.verdict.reasons == (
        "two-tower has ndcg@20 1.0000 on all, above the 0.4769 of the baseline recent_popularity: "
        "by 0.5231, 95 % interval 0.4237 to 0.6225",
        "two-tower is nowhere surely below the most popular items after 0, 1 or all events of history",
    )
    scores = ndcg(evaluation)
    assert list(scores) == [
        *("random", "popularity", "recent_popularity", "personal_frequency", "linear_autoencoder"),
        "two-tower",
    ]
    assert scores["two-tower"] == 1
    assert scores["recent_popularity"] == pytest.approx((THIRD + THIRD + FOURTH) / 3)
    assert lines[-1] == "scoring 3 users over 4 items: two-tower"


def test_a_model_below_the_baseline_is_refused_with_the_numbers(toys, toy_examples, tmp_path):
    evaluation, _ = run(toys["wrong"], tmp_path, toy_examples)
    assert not evaluation.verdict.blessed
    assert evaluation.verdict.reasons[0] == (
        "two-tower has ndcg@20 0.4307 on all, not surely above the 0.4769 of the baseline recent_popularity: "
        "by -0.0462, 95 % interval -0.1456 to 0.0532; a longer test window (examples.split.test_days) narrows "
        "the interval, and `floor: []` pushes a model that is not surely better"
    )


def test_a_model_below_the_one_in_production_is_refused_even_if_it_beats_the_baseline(toys, toy_examples, tmp_path):
    shutil.copytree(toys["wrong"], tmp_path / "9")
    shutil.copytree(toys["wise"], tmp_path / "10")  # the latest as a number, not as text
    evaluation, _ = run(toys["half"], tmp_path, toy_examples)
    assert ndcg(evaluation)["in production"] == 1
    assert ndcg(evaluation)["two-tower"] == pytest.approx(SECOND)
    assert list(evaluation.scores)[-2:] == ["in production", "two-tower"]
    assert not evaluation.verdict.blessed
    # The losses are three times 0.3691.
    assert evaluation.verdict.reasons[2] == (
        "two-tower has ndcg@20 0.6309 on all, inferior to the 1.0000 of the model in production: by -0.3691, "
        "95 % interval -0.3691 to -0.3691, and it may lose 0.0500 (production_margin 0.05)"
    )


def test_a_model_as_good_as_the_one_in_production_is_blessed(toys, toy_examples, tmp_path):
    shutil.copytree(toys["half"], tmp_path / "1")
    assert run(toys["half"], tmp_path, toy_examples)[0].verdict.blessed
    assert run(toys["wise"], tmp_path, toy_examples)[0].verdict.blessed


def test_a_damaged_model_in_production_is_logged_and_left_out(toys, toy_examples, tmp_path):
    shutil.copytree(toys["wise"], tmp_path / "1")
    (tmp_path / "1" / "saved_model.pb").write_bytes(b"half a model")
    evaluation, lines = run(toys["half"], tmp_path, toy_examples)
    assert evaluation.verdict.blessed
    assert "in production" not in evaluation.scores
    assert any(line.startswith("not compared with the model in production: ") for line in lines)


@pytest.mark.parametrize(
    ("settings", "known_before", "reason"),
    [
        ({SPLIT_SETTING: "leave_last_out"}, 0.0, "version 1 was trained under the split leave_last_out, so its"),
        ({}, float(TOY_START + 8 * DAY_SECONDS), "version 1 was trained on events of the test window"),
    ],
)
def test_a_model_in_production_that_was_trained_on_labels_is_left_out(
    toys, toy_examples, tmp_path, settings, known_before, reason
):
    shutil.copytree(toys["wise"], tmp_path / "1")
    # The towers were trained before the window; a ranker has seen later events.
    write_record(Record(settings, 0.0, {}, known_before), str(tmp_path / "1"))
    evaluation, lines = run(toys["half"], tmp_path, toy_examples)
    assert evaluation.verdict.blessed
    assert "in production" not in evaluation.scores
    assert any(line.startswith(f"not compared with the model in production: {reason}") for line in lines)


def test_a_model_in_production_that_was_trained_up_to_the_window_is_compared(toys, toy_examples, tmp_path):
    shutil.copytree(toys["wise"], tmp_path / "1")
    write_record(Record({}, float(TOY_START), {}, float(TOY_START)), str(tmp_path / "1"))
    assert "in production" in run(toys["half"], tmp_path, toy_examples)[0].scores


def test_only_events_of_the_label_kinds_are_labels(toys, toy_examples, tmp_path):
    config = Config(evaluation=EvaluationConfig(label_kinds=("cart",)))
    evaluation = evaluate_and_bless(toys["wise"], tmp_path, toy_examples, config, [].append)
    assert evaluation.protocol.label_kinds == ("cart",)
    assert evaluation.protocol.users == 0  # the toys' events are purchases
    assert not evaluation.verdict.blessed


def test_the_details_come_from_the_model_the_baseline_and_its_curve(toys, toy_examples, tmp_path):
    shutil.copytree(toys["wise"], tmp_path / "model")
    curve = LearningCurve()
    curve.add(Epoch("towers", 1, 2.0, 3.0, 0.5, math.nan))
    curve.write(tmp_path / "model" / "assets.extra")
    evaluation = evaluate_and_bless(tmp_path / "model", tmp_path / "nothing", toy_examples, Config(), [].append)
    details = evaluation.details
    # The autoencoder alone knows that dee, who bought the mug, had bought tea like ann and bob.
    assert details.baseline == "linear_autoencoder"
    assert {gain.partition for gain in details.gains} == {"item age", "activity"}  # the toys have no categories
    assert all(gain.model_ndcg == 1 for gain in details.gains)
    assert details.cold_start is not None
    assert details.calibration is None  # scores of the towers are no probabilities
    # Of four items the tenths 0, 2, 5 and 7 hold one each: tea, book, mug, pen by their buyers.
    assert details.label_shares == pytest.approx((0, 0, 0, 0, 0, 2 / 3, 0, 1 / 3, 0, 0))
    assert {row.partition for row in details.exposure} == {"item age"}
    assert sum(row.model for row in details.exposure) == pytest.approx(1)
    assert [user.user_id for user in details.sample_users] == ["ann", "bob", "cai"]
    assert [item.item_id for item in details.sample_users[0].recommended][:1] == ["mug"]
    assert [(epoch.phase, epoch.loss) for epoch in details.training] == [("towers", 2.0)]


def test_scores_and_lists_of_users_are_those_of_the_model_and_its_rivals(toys, toy_examples, tmp_path):
    shutil.copytree(toys["half"], tmp_path / "1")
    users = run(toys["wise"], tmp_path, toy_examples)[0].users
    assert users is not None
    of_all = [row for row in users.scores.to_pylist() if (row["partition"], row["group"]) == ("slice", "all")]
    assert [(row["user_id"], row["value"]) for row in of_all if row["model"] == "two-tower"] == [
        *(("ann", 1), ("bob", 1), ("cai", 1)),
    ]
    assert {row["model"] for row in of_all} == {"linear_autoencoder", "in production", "two-tower"}
    lists = {(row["model"], row["user_id"]): row["items"] for row in users.lists.to_pylist()}
    assert lists["labels", "cai"] == ["pen"]
    marks = {(row["model"], row["user_id"]): row["is_label"] for row in users.lists.to_pylist()}
    assert marks["two-tower", "cai"][:2] == [True, False]
    assert lists["two-tower", "cai"][0] == "pen"
    assert lists["in production", "cai"][:2] == ["book", "pen"]


def save_two_stages(toy: Path, folder: Path, probabilities: list[float]) -> Path:
    """The toy with a second stage of equal probabilities for all users: "", tea, mug, book, pen."""
    import tensorflow as tf

    model = tf.saved_model.load(str(toy))
    model.heads = tf.Variable(["purchase"])
    embed = model.signatures["embed_query"]

    def all_scores(**inputs: tf.Tensor) -> tf.Tensor:
        return tf.repeat([probabilities], tf.shape(inputs["timestamp"])[0], axis=0)

    model.all_scores = tf.function(all_scores)
    model.all_scores.get_concrete_function(**embed.structured_input_signature[1])
    tf.saved_model.save(model, str(folder), {"embed_query": embed})
    return folder


def test_a_model_of_two_stages_has_a_calibration_curve_and_metrics_of_its_probabilities(toys, toy_examples, tmp_path):
    # The mug has probability 0.5, the book 0.25; other items are no candidates.
    model = save_two_stages(toys["wise"], tmp_path / "both", [-1.0, -1.0, 0.5, 0.25, -1.0])
    evaluation, _ = run(model, tmp_path / "nothing", toy_examples)
    assert list(evaluation.scores)[-2:] == ["two-tower", "two stages"]
    curve = evaluation.details.calibration
    assert curve is not None
    # Three users, six candidates: the book is nobody's label, the mug is one of ann and bob.
    assert [(b.predicted, b.candidates) for b in curve.bins] == [(0.25, 1)] * 3 + [(0.5, 1)] * 3
    assert sum(b.observed for b in curve.bins[:3]) == 0
    assert sum(b.observed for b in curve.bins[3:]) == 2
    assert curve.error == pytest.approx((3 * 0.25 + 3 * 0.5) / 6)
    # Each of the two labels is above all three books and equal to the mug that is no label. At 0.5
    # this mug alone is wrong.
    probabilities = evaluation.details.probabilities
    assert probabilities is not None
    assert (probabilities.candidates, probabilities.labels) == (6, 2)
    assert probabilities.auc == pytest.approx((2 * 3 + 2 * 0.5) / (2 * 4))
    assert probabilities.accuracy == pytest.approx(5 / 6)


def test_a_planted_first_click_regression_is_refused(toys, toy_examples, tmp_path):
    """Refuse a second stage that is right with a history and finds no label without one."""
    import tensorflow as tf

    model = tf.saved_model.load(str(toys["wise"]))
    model.heads = tf.Variable(["purchase"])
    embed = model.signatures["embed_query"]

    def all_scores(**inputs: tf.Tensor) -> tf.Tensor:
        has_history = tf.reduce_any(inputs["event_item_id"] != "", axis=1, keepdims=True)
        never = tf.constant([[-1.0, 0.5, -math.inf, 0.4, -math.inf]])  # mug and pen, the labels
        return tf.where(has_history, embed(**inputs)["embedding"] + 0.1, never)

    model.all_scores = tf.function(all_scores)
    model.all_scores.get_concrete_function(**embed.structured_input_signature[1])
    tf.saved_model.save(model, str(tmp_path / "both"), {"embed_query": embed})
    # Popular lists rank the labels third, third and fourth; nobody gets one of them here.
    evaluation, _ = run(tmp_path / "both", tmp_path / "nothing", toy_examples)
    assert not evaluation.verdict.blessed
    assert evaluation.verdict.reasons[-2].startswith(
        "two stages has ndcg@20 0.0000 on all after 0 events of history, surely below the 0.4769 of the list "
        "recent_popularity: by -0.4769, "
    )
    settings = Config(verdict=VerdictConfig(first_clicks=False))
    blessed = evaluate_and_bless(tmp_path / "both", tmp_path / "nothing", toy_examples, settings, [].append)
    assert blessed.verdict.blessed


def test_a_second_stage_below_its_first_is_refused(toys, toy_examples, tmp_path):
    # Tea and book before the mug before the pen: it ranks the labels third, third and fourth.
    model = save_two_stages(toys["wise"], tmp_path / "both", [-1.0, 0.5, 0.3, 0.4, 0.2])
    evaluation, _ = run(model, tmp_path / "nothing", toy_examples)
    assert not evaluation.verdict.blessed
    assert any("surely below the 1.0000 of its first stage alone" in reason for reason in evaluation.verdict.reasons)


@pytest.fixture
def funnel_examples(write_records, tmp_path: Path) -> Path:
    """Six users buy the tea or book of their cart in each window; others buy mug and pen."""
    day, start, own = 86_400, 20_000 * 86_400, {f"u{n}": "tea" if n % 2 else "book" for n in range(6)}

    def example(user: str, events: list[tuple[str, str, int, int]]) -> dict:
        items, kinds, days, is_target = (list(column) for column in zip(*events, strict=True))
        return {
            "user_id": [user],
            "event_item_id": items,
            "event_kind": kinds,
            "event_timestamp": [start + each * day for each in days],
            "event_price": [0.0] * len(events),
            "event_is_target": is_target,
        }

    root = tmp_path / "funnel"
    root.mkdir()
    carts = {user: [(item, "cart", -12, 1)] for user, item in own.items()}
    bought = {user: [(item, "cart", -12, 0), (item, "purchase", -5, 1)] for user, item in own.items()}
    bought |= {f"v{n}": [("mug", "purchase", -4, 1), ("pen", "purchase", -4, 1)] for n in range(8)}
    later = {user: [(item, "cart", -12, 0), (item, "purchase", 0, 1)] for user, item in own.items()}
    for split, users in (("train", carts), ("validation", bought), ("test", later)):
        write_records(root / f"Split-{split}", [example(user, events) for user, events in users.items()])
    write_records(root / "Split-catalog", [{"item_id": [item]} for item in ("tea", "mug", "book", "pen")])
    return root


def test_a_model_that_is_no_better_than_counting_carts_is_refused(toys, funnel_examples, tmp_path):
    # The toy ranks the cart's item first, as counting carts does; popular lists rank it behind mug
    # and pen.
    labels = EvaluationConfig(label_kinds=("purchase",))
    evaluation = evaluate_and_bless(toys["half"], tmp_path / "no", funnel_examples, Config(evaluation=labels), print)
    assert not evaluation.verdict.blessed
    assert evaluation.verdict.reasons[0].startswith(
        "two-tower has ndcg@20 1.0000 on all, not surely above the 1.0000 of the baseline personal_frequency: "
    )
    by_popularity = Config(evaluation=labels, verdict=VerdictConfig(floor=("recent_popularity",)))
    assert evaluate_and_bless(toys["half"], tmp_path / "no", funnel_examples, by_popularity, print).verdict.blessed
