"""Golden requests in the shop's SavedModel: stored answers and the server's warm-up."""

from __future__ import annotations

import numpy as np
import pytest

from tfrec.export.golden_requests import WARMUP, make_requests, read_golden_requests

SIGNATURES = {"recommend", "search", "rank", "similar_items", "embed_query", "embed_item"}


def test_every_signature_has_requests_and_the_answers_of_the_model_in_memory(exported_shop):
    golden = read_golden_requests(str(exported_shop.folder))
    assert set(golden) == SIGNATURES
    inputs, outputs = golden["similar_items"]
    # By hand: `similar_items` has answers for every id of the catalog, but not for the last one.
    assert outputs["item_id"].shape == (5, 8)
    assert inputs["item_id"][-1] == b"no such item"
    assert set(outputs["item_id"][-1]) == {b""}
    assert golden["rank"][1]["item_id"].shape == (4, 5)
    assert set(golden["rank"][1]["item_id"][:, -1]) == {b""}
    for row, item_id in enumerate(inputs["item_id"][:-1]):
        assert set(outputs["item_id"][row]) == set(exported_shop.catalog.item_ids) - {item_id} | {b""}
    assert golden["recommend"][1]["score"].dtype == np.float32


def test_the_requests_hold_new_and_known_users(exported_shop):
    requests = make_requests(exported_shop.catalog, exported_shop.config)
    events = (requests["recommend"]["event_item_id"] != b"").sum(axis=1)
    assert events.tolist() == [0, 2, 6, 6]  # a new user, a short history, two long ones
    assert requests["recommend"]["exclude_seen"].tolist() == [False, True, False, True]
    assert (requests["recommend"]["query"] == b"").all()
    assert (requests["search"]["query"] != b"").tolist() == [True, False, True, False]
    assert set(requests["recommend"]["event_item_id"].ravel()) - {b""} <= set(exported_shop.catalog.item_ids)
    assert (requests["embed_item"]["item_id"] != b"").tolist() == [True, False, True, False]


def test_the_requests_hold_each_constraint(exported_shop):
    requests = make_requests(exported_shop.catalog, exported_shop.config)
    request, names = requests["recommend"], set(exported_shop.catalog.item_ids)
    assert (request["exclude_item_id"] != b"").any(axis=1).tolist() == [False, True, True, True]
    assert set(request["exclude_item_id"].ravel()) - {b""} < names
    assert request["allow_category"][2, 0] == request["deny_category"][3, 1] in (b"Food", b"Home", b"Books")
    assert request["diversity"].tolist() == [0.0, np.float32(0.2), 0.5, 1.0]
    assert request["list_calibration"].tolist() == [0.0, 0.5, 1.0, -1.0]
    # The search only excludes seen items, so that golden answers in plain order exist too.
    for name in ("exclude_item_id", "allow_category", "deny_category", "diversity", "list_calibration"):
        assert not requests["search"][name].any(), name
    candidates = requests["rank"]["candidate_item_id"]
    assert set(candidates[:, 1]) == {b"no such item"}
    assert candidates[0, 2] == b""
    assert set(candidates.ravel()) - {b"", b"no such item"} < names


def test_strings_in_any_script_are_read_as_they_were_written(exported_shop):
    _, outputs = read_golden_requests(str(exported_shop.folder))["recommend"]
    titles = {title.decode() for title in outputs["title"].ravel()}
    assert titles >= {"西湖龙井 绿茶", 'Mug "Blue"', "Penne, 500 g"}


def test_a_model_without_golden_requests_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="golden_requests"):
        read_golden_requests(str(tmp_path))


def test_the_warmup_file_holds_a_readable_request_for_every_signature(exported_shop):
    import tensorflow as tf
    from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

    records = tf.data.TFRecordDataset(str(exported_shop.folder / WARMUP)).as_numpy_iterator()
    requests = [PredictionLog.FromString(record).predict_log.request for record in records]
    assert {request.model_spec.signature_name for request in requests} == SIGNATURES
    search = next(request for request in requests if request.model_spec.signature_name == "search")
    assert tf.make_ndarray(search.inputs["event_item_id"]).shape == (4, 6)


@pytest.mark.slow
def test_the_server_replays_the_warmup_and_gives_the_stored_answers(exported_shop):
    from serving.lifecycle.warmup import load, warm_up

    servable = load(exported_shop.folder, "shop")  # a request that fails fails the load
    try:
        assert warm_up(servable, exported_shop.folder) == len(SIGNATURES)
        for signature, (inputs, expected) in read_golden_requests(str(exported_shop.folder)).items():
            answer = servable.predict(signature, inputs)
            assert set(answer) == set(expected)
            for name, value in expected.items():
                if value.dtype == object:
                    np.testing.assert_array_equal(answer[name], value)
                else:
                    np.testing.assert_allclose(answer[name], value, rtol=1e-4, atol=1e-5)
    finally:
        servable.close()
