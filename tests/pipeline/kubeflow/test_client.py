"""What a Kubeflow Pipelines server is asked for, by a server of our own that takes down each request."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from pipeline.kubeflow.client import submit
from pipeline.kubeflow.cluster import Cluster, Volume, placed
from pipeline.kubeflow.compiler import write_pipeline
from pipeline.runs import named_run
from tfrec.errors import ConfigError, TfrecError


class Server(ThreadingHTTPServer):
    """Answers every POST with an id, experiments that are asked for by name with "no such thing"."""

    asked: list[tuple[str, str, Any]]
    refuses = False


class Answers(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.take_down()
        self.answer(200, {"experiments": []})

    def do_POST(self) -> None:
        self.take_down()
        if self.server.refuses:
            self.answer(400, {"error": "no such schema"})
        else:
            self.answer(200, {"experiment_id": "e1", "run_id": "r1", "recurring_run_id": "j1", "display_name": "tfrec"})

    def take_down(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        path = self.path.partition("?")[0]
        self.server.asked.append((path, self.headers.get("authorization") or "", json.loads(body) if body else None))

    def answer(self, code: int, body: dict[str, Any]) -> None:
        self.send_response(code)
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    monkeypatch.setenv("HOME", str(tmp_path))  # kfp's client keeps its settings there
    server = Server(("127.0.0.1", 0), Answers)
    server.asked = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def compiled(tmp_path: Path) -> Path:
    cluster = Cluster("shop:1", Volume("shop"))
    path = tmp_path / "tiny.yaml"
    write_pipeline(placed(named_run("tiny"), cluster), cluster, {"Trainer": []}, str(path))
    return path


def address(server: Server) -> str:
    return f"http://127.0.0.1:{server.server_port}"


def asked(server: Server, path: str) -> Any:
    """The body of the one request for that path."""
    (body,) = (body for asked, _, body in server.asked if asked == f"/apis/v2beta1/{path}" and body is not None)
    return body


def test_a_run_is_made_of_both_documents_of_the_file(server: Server, compiled: Path) -> None:
    told = submit(compiled, address(server), None, "shop", None, "a token")
    assert told.startswith("run r1: tiny 20")
    assert asked(server, "experiments")["display_name"] == "shop"
    spec = asked(server, "runs")["pipeline_spec"]
    assert spec["pipeline_spec"]["schemaVersion"] == "2.1.0"
    assert list(spec["platform_spec"]["platforms"]) == ["kubernetes"]
    assert asked(server, "runs")["experiment_id"] == "e1"
    assert {token for _, token, _ in server.asked if token} == {"Bearer a token"}


def test_a_recurring_run_is_never_at_work_twice_and_makes_up_for_nothing(server: Server, compiled: Path) -> None:
    told = submit(compiled, address(server), None, "shop", "0 0 3 * * *", None)
    assert told == "recurring run j1: 0 0 3 * * *"
    job = asked(server, "recurringruns")
    assert job["trigger"]["cron_schedule"]["cron"] == "0 0 3 * * *"
    assert (job["max_concurrency"], job["no_catchup"]) == (1, True)


def test_what_the_server_answers_is_told(server: Server, compiled: Path) -> None:
    server.refuses = True
    with pytest.raises(TfrecError, match=r"server at http://127.0.0.1:\d+ did not take .*tiny.yaml: .*no such schema"):
        submit(compiled, address(server), None, "shop", None, None)


def test_a_server_that_is_not_there_is_told(server: Server, compiled: Path) -> None:
    server.shutdown()
    server.server_close()
    with pytest.raises(TfrecError, match=r"server at http://127.0.0.1:\d+ did not take .*tiny.yaml: .*refused"):
        submit(compiled, address(server), None, "shop", None, None)


def test_a_file_that_kubeflow_refuses_is_not_sent(server: Server, compiled: Path) -> None:
    compiled.write_text(compiled.read_text(encoding="utf-8").replace("2.1.0", "2.0.0"), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"KFP only supports schema version 2.1.0"):
        submit(compiled, address(server), None, "shop", None, None)
    assert server.asked == []
