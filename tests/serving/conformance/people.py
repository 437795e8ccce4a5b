"""Toy model of tf.Examples, as TF1 exports are; some of its signatures must be refused.

The labels of a person are the city as it is and in capitals, the scores the age and twice the age.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf


def export(version: Path) -> None:
    """Write the model as the SavedModel `version`."""
    builder = tf.compat.v1.saved_model.Builder(str(version))
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        builder.add_meta_graph_and_variables(session, ["serve"], _people())
        builder.save()


def _people() -> dict[str, Any]:
    """Build the signatures in the default graph."""
    serialized = tf.compat.v1.placeholder(tf.string, [None], "people")
    number = tf.compat.v1.placeholder(tf.float32, [None], "number")
    features = {"age": tf.io.FixedLenFeature([], tf.float32, 0.0), "city": tf.io.FixedLenFeature([], tf.string, "")}
    person = tf.io.parse_example(serialized, features)
    age, city = person["age"], person["city"]
    labels = tf.stack([city, tf.strings.upper(city)], axis=1)
    scores = tf.stack([age, 2.0 * age], axis=1)
    luck = tf.random.uniform(tf.shape(age))
    mirror = tf.io.encode_base64(serialized, pad=True)[:, None]
    of_people, of_numbers = {"inputs": serialized}, {"inputs": number}
    signatures = {
        "serving_default": (of_people, {"classes": labels, "scores": scores}, "classify"),
        "labels": (of_people, {"classes": labels}, "classify"),
        "scores": (of_people, {"scores": scores}, "classify"),
        "mirror": (of_people, {"classes": mirror}, "classify"),
        "as_predict": (of_people, {"classes": labels, "scores": scores}, "predict"),
        "as_training": (of_people, {"classes": labels}, "training"),
        "luck_as_scores": (of_people, {"scores": luck[:, None]}, "classify"),
        "luck": (of_people, {"outputs": luck}, "regress"),
        "twice": (of_people, {"outputs": 2.0 * age}, "regress"),
        "twice_in_a_column": (of_people, {"outputs": 2.0 * age[:, None]}, "regress"),
        "two_inputs": (of_people | {"number": number}, {"outputs": age}, "regress"),
        "three_outputs": (of_people, {"classes": labels, "scores": scores, "age": age}, "classify"),
        "renamed_input": ({"people": serialized}, {"outputs": age}, "regress"),
        "numbers": (of_numbers, {"scores": number[:, None]}, "classify"),
        "flat_labels": (of_people, {"classes": city}, "classify"),
        "int64_labels": (of_people, {"classes": tf.cast(scores, tf.int64)}, "classify"),
        "one_label": (of_people, {"classes": labels[:1]}, "classify"),
        "broken_label": (of_people, {"classes": tf.fill([tf.size(city), 1], b"\xff")}, "classify"),
        "deep_scores": (of_people, {"scores": scores[:, :, None]}, "classify"),
        "double_scores": (of_people, {"scores": tf.cast(scores, tf.float64)}, "classify"),
        "one_score": (of_people, {"scores": scores[:1]}, "classify"),
        "unequal": (of_people, {"classes": city[:, None], "scores": scores}, "classify"),
        "wide": (of_people, {"outputs": scores}, "regress"),
        "total": (of_people, {"outputs": tf.reduce_sum(age)}, "regress"),
        "first": (of_people, {"outputs": age[:1]}, "regress"),
        "bfloats": (of_people, {"outputs": tf.cast(age, tf.bfloat16)}, "regress"),
    }
    return {name: _definition(*parts) for name, parts in signatures.items()}


def _definition(inputs: dict[str, tf.Tensor], outputs: dict[str, tf.Tensor], method: str) -> Any:
    info = tf.compat.v1.saved_model.build_tensor_info
    return tf.compat.v1.saved_model.build_signature_def(
        {alias: info(tensor) for alias, tensor in inputs.items()},
        {alias: info(tensor) for alias, tensor in outputs.items()},
        f"tensorflow/serving/{method}",
    )
