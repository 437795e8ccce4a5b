"""Metrics on the REST port: requests, latencies, loads and warm-ups under the stock names."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
import tensorflow as tf
from prometheus_client.parser import text_string_to_metric_families
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from serving.api.options import Options
from serving.lifecycle.model_config import single
from serving.lifecycle.options import LifecycleOptions
from serving.lifecycle.warmup import WARMUP_FILE
from serving.request import monitoring
from serving.server.embedded import Server, start
from serving.server.main import main
from serving.wire.protos import ClassificationRequest, GetModelMetadataRequest, PredictionLog
from serving.wire.tensors import to_proto

Eventually = Callable[[Callable[[], bool]], None]
Stub = prediction_service_pb2_grpc.PredictionServiceStub
EXAMPLE_TOTAL = ":tensorflow:serving:request_example_count_total{"
ROOT = Path(__file__).parents[3]
PROMETHEUS = shutil.which("prometheus")
INPUTS = {"x": np.array([1.0], np.float32), "y": np.array([10.0], np.float32)}


def predict_request(name: str, signature: str = "") -> predict_pb2.PredictRequest:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = name
    request.model_spec.signature_name = signature
    for alias, value in INPUTS.items():
        request.inputs[alias].CopyFrom(to_proto(value))
    return request


@pytest.fixture
def server(base_path: Path) -> Iterator[Server]:
    """A server of a model with a name of its own, because the metrics are those of the process."""
    with start(single("watched", base_path), Options(metrics_path=monitoring.DEFAULT_PATH)) as running:
        yield running


@pytest.fixture
def stub(channel: grpc.Channel) -> Stub:
    return Stub(channel)


def scrape(http: httpx.Client) -> dict[tuple[str, ...], float]:
    """Return each sample by its name (counters get _total from the parser) and label values."""
    families = text_string_to_metric_families(http.get(monitoring.DEFAULT_PATH).text)
    return {(sample.name, *sample.labels.values()): sample.value for family in families for sample in family.samples}


def test_requests_are_counted_by_model_code_api_and_entrypoint(stub: Stub, http: httpx.Client) -> None:
    before = scrape(http)
    for _ in range(2):
        stub.Predict(predict_request("watched"), timeout=10)
    with pytest.raises(grpc.RpcError, match="Serving signature key"):
        stub.Predict(predict_request("watched", "nope"), timeout=10)
    assert http.post("/v1/models/watched:Predict", json={"inputs": {"x": [1], "y": [10]}}).status_code == 200
    assert http.post("/v1/models/watched/versions/7:predict", json={"inputs": {"x": [1]}}).status_code == 404
    assert http.get("/v1/models/watched").status_code == 200
    after = scrape(http)
    growth = {key: value - before.get(key, 0) for key, value in after.items() if value != before.get(key, 0)}
    counts = {key[1:]: value for key, value in growth.items() if key[0] == ":tensorflow:serving:request_count_total"}
    # OK: two over gRPC, one over REST, one status request.
    assert counts == {("watched", "OK"): 4, ("watched", "FAILED_PRECONDITION"): 1, ("watched", "NOT_FOUND"): 1}
    latencies = {
        key[1:]: value for key, value in growth.items() if key[0] == ":tensorflow:serving:request_latency_count"
    }
    assert latencies == {
        ("watched", "Predict", "GRPC"): 2,
        ("watched", "predict", "REST"): 1,
        ("watched", "", "REST"): 1,
    }
    assert growth[":tensorflow:serving:runtime_latency_count", "watched", "Predict", "TF1"] == 3


def test_latencies_are_in_microseconds_and_runtime_is_part_of_a_request(stub: Stub, http: httpx.Client) -> None:
    names = [
        (f":tensorflow:serving:{kind}_latency_sum", "watched", "Predict", by)
        for kind, by in (("request", "GRPC"), ("runtime", "TF1"))
    ]
    before, started = scrape(http), time.perf_counter()
    for _ in range(20):
        stub.Predict(predict_request("watched"), timeout=10)
    elapsed, after = 1e6 * (time.perf_counter() - started), scrape(http)
    request, runtime = (after[name] - before.get(name, 0) for name in names)
    # A session call takes at least 20 microseconds; sums have six digits.
    assert 20 * 20 < runtime < request < elapsed


def test_metadata_over_grpc_and_other_paths_are_not_counted(stub: Stub, http: httpx.Client) -> None:
    before = scrape(http)
    request = GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "watched"
    stub.GetModelMetadata(request, timeout=10)
    assert http.get("/elsewhere").status_code == 404
    assert scrape(http) == before


def test_the_page_is_plain_text_with_the_stock_names_and_types(http: httpx.Client) -> None:
    response = http.get(monitoring.DEFAULT_PATH)
    assert (response.status_code, response.headers["content-type"]) == (200, "text/plain")
    kinds = dict(line.split()[2:] for line in response.text.splitlines() if line.startswith("#"))
    assert kinds == {
        ":tensorflow:cc:saved_model:load_attempt_count": "counter",
        ":tensorflow:cc:saved_model:load_latency": "counter",
        ":tensorflow:serving:batching_session:input_batch_size": "histogram",
        ":tensorflow:serving:batching_session:padding_size": "histogram",
        ":tensorflow:serving:batching_session:processed_batch_size": "histogram",
        ":tensorflow:serving:batching_session:queuing_latency": "histogram",
        ":tensorflow:serving:batching_session:wrapped_run_count": "counter",
        ":tensorflow:serving:model_warmup_latency": "histogram",
        ":tensorflow:serving:request_count": "counter",
        ":tensorflow:serving:request_example_count_total": "counter",
        ":tensorflow:serving:request_example_counts": "histogram",
        ":tensorflow:serving:request_latency": "histogram",
        ":tensorflow:serving:request_log_count": "counter",
        ":tensorflow:serving:runtime_latency": "histogram",
    }


def test_loads_and_warm_ups_are_counted_by_the_path_of_the_version(
    exported: Path, tmp_path: Path, eventually: Eventually
) -> None:
    base = tmp_path / "loads"
    shutil.copytree(exported / "1", base / "1")
    (base / "1" / WARMUP_FILE).parent.mkdir()
    log = PredictionLog()
    log.predict_log.request.CopyFrom(predict_request("any"))
    with tf.io.TFRecordWriter(str(base / "1" / WARMUP_FILE)) as writer:
        writer.write(log.SerializeToString())
    with start(
        single("loads", base), Options(metrics_path="/here", lifecycle=LifecycleOptions(poll_seconds=0.05))
    ) as running:
        (base / "2").mkdir()
        (base / "2" / "saved_model.pb").write_bytes(b"not a model")
        eventually(
            lambda: any(status.number == 2 and status.state == "END" for status in running.models.statuses("loads"))
        )
        page = httpx.get(f"http://127.0.0.1:{running.rest_api_port}/here", trust_env=False).text
    attempts = ":tensorflow:cc:saved_model:load_attempt_count"
    assert f'{attempts}{{model_path="{base}/1",status="success"}} 1' in page
    assert f'{attempts}{{model_path="{base}/2",status="fail"}} ' in page
    assert f':tensorflow:cc:saved_model:load_latency{{model_path="{base}/1"}} ' in page
    assert f':tensorflow:serving:model_warmup_latency_count{{model_path="{base}/1",status="OK"}} 1' in page


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ('prometheus_config { enable: true, path: "/metrics" }', "/metrics"),
        ("prometheus_config { enable: true }", "/monitoring/prometheus/metrics"),
        ('prometheus_config { path: "/metrics" }', None),
        ("", None),
    ],
    ids=["a path", "the stock path", "not enabled", "empty"],
)
def test_a_monitoring_file_holds_the_path_of_the_page(tmp_path: Path, text: str, path: str | None) -> None:
    (tmp_path / "monitoring.config").write_text(text, encoding="utf-8")
    assert monitoring.read_metrics_path(str(tmp_path / "monitoring.config")) == path


def test_without_a_monitoring_file_there_is_no_page(base_path: Path) -> None:
    assert monitoring.read_metrics_path(None) is None
    with start(single("toy", base_path)) as running:
        url = f"http://127.0.0.1:{running.rest_api_port}{monitoring.DEFAULT_PATH}"
        assert httpx.get(url, trust_env=False).status_code == 404


@pytest.mark.skipif(PROMETHEUS is None, reason="Prometheus reads the metrics; Debian 12: apt-get install prometheus")
def test_a_real_prometheus_scrapes_the_page(server: Server, stub: Stub, tmp_path: Path, eventually: Eventually) -> None:
    stub.Predict(predict_request("watched"), timeout=10)
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    (tmp_path / "prometheus.yml").write_text(
        "global: {scrape_interval: 200ms, scrape_timeout: 200ms}\n"
        f"scrape_configs: [{{job_name: serving, metrics_path: {monitoring.DEFAULT_PATH}, "
        f"static_configs: [{{targets: ['127.0.0.1:{server.rest_api_port}']}}]}}]\n",
        encoding="utf-8",
    )

    def run_query(query: str) -> list[Any]:
        try:
            reply = httpx.get(f"http://{address}/api/v1/query", params={"query": query}, trust_env=False)
            return reply.json()["data"]["result"] if reply.status_code == 200 else []
        except httpx.TransportError:  # Prometheus is still starting
            return []

    command = [str(PROMETHEUS), f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/data"]
    with subprocess.Popen([*command, f"--web.listen-address={address}"], stderr=subprocess.DEVNULL) as process:
        try:
            eventually(lambda: bool(run_query(':tensorflow:serving:request_count{model_name="watched",status="OK"}')))
            buckets = ':tensorflow:serving:request_latency_bucket{model_name="watched",entrypoint="GRPC"}'
            (sample,) = run_query(f"histogram_quantile(1, {buckets})")
        finally:
            process.terminate()
    assert sample["metric"]["API"] == "Predict"
    assert 20 < float(sample["value"][1]) < 10e6


@pytest.mark.parametrize(
    ("file", "error"),
    [
        ("nowhere.config", "monitoring_config_file is nowhere.config but it can't be read"),
        ("README.md", "monitoring_config_file: Invalid protobuf file: 'README.md' ("),
    ],
)
def test_a_file_that_can_not_be_read_ends_the_server_with_one_line(
    file: str, error: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    assert main(["--model_base_path=nowhere", f"--monitoring_config_file={file}"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(error)


def test_the_examples_of_a_classification_are_counted(people: Server) -> None:
    def total() -> int:
        lines = monitoring.render_page().splitlines()
        return sum(int(line.split()[-1]) for line in lines if line.startswith(EXAMPLE_TOTAL) and '"people"' in line)

    request = ClassificationRequest(model_spec={"name": "people", "signature_name": "mirror"})
    for _ in range(3):
        request.input.example_list.examples.add()
    before = total()
    with grpc.insecure_channel(f"127.0.0.1:{people.port}") as channel:
        Stub(channel).Classify(request, timeout=20)
    assert total() - before == 3
