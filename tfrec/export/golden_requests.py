"""Golden requests: stored in a SavedModel with their answers, and repeated before a push.

The answers are computed by the model in memory, before it is written. The first requests are also
TensorFlow Serving's warm-up.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfrec.config import Config
from tfrec.examples.catalog import Catalog
from tfrec.export.recommender import Recommender
from tfrec.export.request_features import FILTER_INPUTS, Tensors
from tfrec.schema import CATEGORY_SEPARATOR, EVENT_KINDS

GOLDEN_REQUESTS = "assets.extra/tfrec_golden_requests.npz"
WARMUP = "assets.extra/tf_serving_warmup_requests"

USERS = 4
EVENTS = 6
CANDIDATES = 5
START = 1_500_000_000  # any time, seconds since the epoch
HOUR = 3600


def write_golden_requests(recommender: Recommender, catalog: Catalog, config: Config, folder: str) -> None:
    """Write requests, answers and warm-up into the SavedModel's assets.extra."""
    requests = recommender.complete_requests(make_requests(catalog, config))
    arrays = {}
    for signature, inputs in requests.items():
        method = getattr(recommender, "recommend" if signature == "search" else signature)
        for name, value in inputs.items():
            arrays[f"{signature}/in/{name}"] = value
        with tf.device("CPU:0"):  # a GPU rounds differently, and they are repeated on a CPU
            answers = method(**{k: tf.constant(v) for k, v in inputs.items()})
        for name, value in answers.items():
            arrays[f"{signature}/out/{name}"] = value.numpy()
    (Path(folder) / "assets.extra").mkdir(exist_ok=True)
    storable: dict[str, Any] = {name: _storable(value) for name, value in arrays.items()}
    np.savez(Path(folder) / GOLDEN_REQUESTS, **storable)
    _write_warmup(requests, Path(folder) / WARMUP)


def read_golden_requests(folder: str) -> dict[str, tuple[Tensors, Tensors]]:
    """Signature -> (inputs, outputs) as arrays; FileNotFoundError if the model has none."""
    with np.load(Path(folder) / GOLDEN_REQUESTS) as stored:
        golden: dict[str, tuple[Tensors, Tensors]] = {}
        for key in stored.files:
            signature, side, name = key.split("/", 2)
            inputs, outputs = golden.setdefault(signature, ({}, {}))
            value = stored[key]
            (inputs if side == "in" else outputs)[name] = value.astype(object) if value.dtype.kind == "S" else value
    return golden


def make_requests(catalog: Catalog, config: Config) -> dict[str, Tensors]:
    """Inputs by signature of the towers: users with and without history, search, constraints.

    Items are known, cold and unknown.
    """
    rng = np.random.default_rng(config.train.seed)
    rows = rng.integers(1, catalog.rows, (USERS, EVENTS))
    item_id = catalog.item_ids[rows]
    item_id[0, :] = b""  # a new user
    item_id[1, 2:] = b""  # a short history
    profile = {f"user_{column}": _strings([""] * USERS) for column in config.request_columns}
    history = {
        "event_item_id": item_id,
        "event_kind": _strings(rng.choice([kind for kind in EVENT_KINDS if kind != "search"], (USERS, EVENTS))),
        "event_timestamp": START + HOUR * np.arange(USERS * EVENTS).reshape(USERS, EVENTS),
        "event_price": np.full((USERS, EVENTS), 2.5, np.float32),
        "timestamp": np.full(USERS, START + 1000 * HOUR),
        "user_id": _strings([""] * USERS),
    } | profile
    title = catalog.titles[rng.integers(1, catalog.rows, USERS)]
    request = history | {"query": _strings([""] * USERS)}
    seen = {"exclude_seen": np.array([False, True] * (USERS // 2))}
    no_filter = {name: _strings([[""]] * USERS) for name in FILTER_INPUTS}
    no_order = {name: np.zeros(USERS, np.float32) for name in ("diversity", "list_calibration")}
    unconstrained = seen | no_filter | no_order
    searched = {"query": np.where(np.arange(USERS) % 2 == 0, title, b"")}
    candidates = catalog.item_ids[rng.integers(1, catalog.rows, (USERS, CANDIDATES))]
    candidates[:, 1], candidates[0, 2] = b"no such item", b""
    return {
        "recommend": request | seen | _constraints(catalog, rng),
        "search": request | unconstrained | searched,
        "rank": request | searched | {"candidate_item_id": candidates},
        "similar_items": {"item_id": np.append(catalog.item_ids[rows[:, 0]], np.array([b"no such item"], object))},
        "embed_query": request,
        "embed_item": {
            "item_id": np.where(np.arange(USERS) % 2 == 0, catalog.item_ids[rows[:, 0]], b""),
            "item_title": title,
            "item_description": _strings([""] * USERS),
            "item_category": _strings([""] * USERS),
            "item_brand": _strings([""] * USERS),
            "item_price": np.array([0.0, 1.0, 10.0, 100.0], np.float32),
        }
        | {f"item_{column}": _strings([""] * USERS) for column in config.features.item_columns}
        | {f"item_{column}": np.full(USERS, 0.5, np.float32) for column in config.features.item_numbers}
        | {
            f"item_{column}": np.ones((USERS, catalog.number_widths[column]), np.float32)
            for column in config.features.item_vectors
        },
    }


def _constraints(catalog: Catalog, rng: np.random.Generator) -> Tensors:
    """Constraints: none for the first user; exclusions, categories and order for the others."""
    paths = catalog.category_path[catalog.category_path != b""]
    wide = rng.choice(paths).split(CATEGORY_SEPARATOR.encode())[0] if len(paths) else b""
    excluded, allowed, denied = (_strings([["", ""]] * USERS) for _ in FILTER_INPUTS)
    excluded[1:] = catalog.item_ids[rng.integers(1, catalog.rows, (USERS - 1, 2))]
    allowed[2], denied[3] = (wide, b"no such category"), (b"no such category", wide)
    return {
        "exclude_item_id": excluded,
        "allow_category": allowed,
        "deny_category": denied,
        "diversity": np.array([0.0, 0.2, 0.5, 1.0], np.float32),
        "list_calibration": np.array([0.0, 0.5, 1.0, -1.0], np.float32),  # -1: that of the run
    }


def _write_warmup(requests: dict[str, Tensors], path: Path) -> None:
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, inputs in requests.items():
            request = predict_pb2.PredictRequest()
            request.model_spec.signature_name = signature
            for name, value in inputs.items():
                request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
            log = prediction_log_pb2.PredictLog(request=request)
            writer.write(prediction_log_pb2.PredictionLog(predict_log=log).SerializeToString())


def _strings(values: object) -> np.ndarray:
    return np.char.encode(np.asarray(values, str), "utf-8").astype(object)


def _storable(value: np.ndarray) -> np.ndarray:
    """Byte strings of a fixed width: an .npz of objects would need pickle."""
    return value.astype("S") if value.dtype == object else value
