"""Requests to a Kubeflow Pipelines server, recorded by a local one."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from pipeline.configuration import named_run
from pipeline.kubeflow.client import KubeflowServer, submit
from pipeline.kubeflow.cluster import Cluster, Volume, place_on_volume
from pipeline.kubeflow.compiler import write_pipeline
from tfrec.errors import ConfigError, TfrecError


class Server(ThreadingHTTPServer):
    """Records requests; answers every POST with ids, and every GET with no experiments."""

    requests: list[tuple[str, str, Any]]
    refuses = False


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.record()
        self.answer(200, {"experiments": []})

    def do_POST(self) -> None:
        self.record()
        if self.server.refuses:
            self.answer(400, {"error": "no such schema"})
        else:
            self.answer(200, {"experiment_id": "e1", "run_id": "r1", "recurring_run_id": "j1", "display_name": "tfrec"})

    def record(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        path = self.path.partition("?")[0]
        self.server.requests.append((path, self.headers.get("authorization") or "", json.loads(body) if body else None))

    def answer(self, code: int, body: dict[str, Any]) -> None:
        self.send_response(code)
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    monkeypatch.setenv("HOME", str(tmp_path))  # kfp's client keeps its settings there
    server = Server(("127.0.0.1", 0), Handler)
    server.requests = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    cluster = Cluster("shop:1", Volume("shop"))
    path = tmp_path_factory.mktemp("compiled") / "tiny.yaml"
    write_pipeline(place_on_volume(named_run("tiny"), cluster), cluster, {"Trainer": []}, str(path))
    return path


def access(server: Server, token: str | None = None) -> KubeflowServer:
    return KubeflowServer(f"http://127.0.0.1:{server.server_port}", token=token)


def request_body(server: Server, path: str) -> Any:
    """The body of the only request for a path."""
    (body,) = (
        body for requested, _, body in server.requests if requested == f"/apis/v2beta1/{path}" and body is not None
    )
    return body


def test_a_run_is_created_from_both_documents_of_the_file(server: Server, compiled: Path) -> None:
    line = submit(compiled, access(server, "a token"), "shop")
    assert line.startswith("run r1: tiny 20")
    assert request_body(server, "experiments")["display_name"] == "shop"
    spec = request_body(server, "runs")["pipeline_spec"]
    assert spec["pipeline_spec"]["schemaVersion"] == "2.1.0"
    assert list(spec["platform_spec"]["platforms"]) == ["kubernetes"]
    assert request_body(server, "runs")["experiment_id"] == "e1"
    assert {token for _, token, _ in server.requests if token} == {"Bearer a token"}


def test_a_recurring_run_has_no_concurrency_and_no_catchup(server: Server, compiled: Path) -> None:
    line = submit(compiled, access(server), "shop", every="0 0 3 * * *")
    assert line == "recurring run j1: 0 0 3 * * *"
    job = request_body(server, "recurringruns")
    assert job["trigger"]["cron_schedule"]["cron"] == "0 0 3 * * *"
    assert (job["max_concurrency"], job["no_catchup"]) == (1, True)


def test_an_error_of_the_server_is_reported(server: Server, compiled: Path) -> None:
    server.refuses = True
    with pytest.raises(TfrecError, match=r"server at http://127.0.0.1:\d+ refused .*tiny.yaml: .*no such schema"):
        submit(compiled, access(server), "shop")


def test_a_missing_server_is_reported(server: Server, compiled: Path) -> None:
    server.shutdown()
    server.server_close()
    with pytest.raises(TfrecError, match=r"server at http://127.0.0.1:\d+ refused .*tiny.yaml: .*refused"):
        submit(compiled, access(server), "shop")


def test_an_invalid_file_is_not_sent(server: Server, compiled: Path, tmp_path: Path) -> None:
    older = tmp_path / "older.yaml"
    older.write_text(compiled.read_text(encoding="utf-8").replace("2.1.0", "2.0.0"), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"KFP only supports schema version 2.1.0"):
        submit(older, access(server), "shop")
    assert server.requests == []
