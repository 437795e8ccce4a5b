"""Prometheus reads our configuration, alerts fire for their reasons, panels show the right values.

Promtool runs the queries over series written here; the expected values are worked out by hand.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

SERVING = Path(__file__).parents[3] / "serving"
PROMETHEUS = SERVING / "deploy" / "prometheus"
GRAFANA = SERVING / "deploy" / "grafana"
DASHBOARD = json.loads((GRAFANA / "dashboards" / "tensorflow-serving.json").read_text(encoding="utf-8"))

# Labels by metric, from tensorflow_serving/servables/tensorflow/util.cc and
# batching/batching_session.cc, and from TensorFlow's cc/saved_model/loader.cc. The session's batch
# sizes are not histograms, and exported as 0.
STOCK = {
    ":tensorflow:serving:request_count": {"model_name", "status"},
    ":tensorflow:serving:request_latency": {"model_name", "API", "entrypoint"},
    ":tensorflow:serving:runtime_latency": {"model_name", "API", "runtime"},
    ":tensorflow:serving:batching_session:queuing_latency": {"thread_pool_name"},
    ":tensorflow:serving:batching_session:wrapped_run_count": set(),
    ":tensorflow:cc:saved_model:load_attempt_count": {"model_path", "status"},
    ":tensorflow:cc:saved_model:load_latency": {"model_path"},
    "up": set(),
}
OF_THE_SCRAPE = {"job", "instance"}

RULES = yaml.safe_load((PROMETHEUS / "alerts.yaml").read_text(encoding="utf-8"))["groups"][0]["rules"]
QUERIES = {
    (panel["title"], target["legendFormat"]): target["expr"]
    for panel in DASHBOARD["panels"]
    for target in panel["targets"]
}

Promtool = Callable[..., str]
Series = dict[str, str]


@pytest.fixture(scope="module")
def promtool() -> Promtool:
    """A function that runs promtool in the folder of our rules and fails with its output."""
    if shutil.which("promtool") is None:
        pytest.skip("promtool runs the queries; Debian 12: apt-get install prometheus")

    def run(*words: str) -> str:
        done = subprocess.run(["promtool", *words], capture_output=True, text=True, check=False, cwd=PROMETHEUS)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def test_prometheus_accepts_the_configuration_and_its_rules(promtool):
    assert f"SUCCESS: {len(RULES)} rules found" in promtool("check", "config", "prometheus.yaml")


def test_prometheus_scrapes_the_servers_metrics_port_and_path():
    (job,) = yaml.safe_load((PROMETHEUS / "prometheus.yaml").read_text(encoding="utf-8"))["scrape_configs"]
    path = re.search(r'path: "(\S+)"', (SERVING / "monitoring.config").read_text(encoding="utf-8"))
    assert path is not None
    assert job["metrics_path"] == path[1]
    assert job["static_configs"] == [{"targets": ["serving:8501"]}]
    assert any(f'job="{job["job_name"]}"' in rule["expr"] for rule in RULES)


def test_every_query_uses_only_metrics_and_labels_of_the_stock_server():
    for query in (*(rule["expr"] for rule in RULES), *QUERIES.values()):
        for selector in selectors(promql_parser.parse(query.replace("$__rate_interval", "1m"))):
            metric = re.sub(r"(?<=latency)_(bucket|sum|count)$", "", selector.name)
            labels = {matcher.name for matcher in selector.matchers.matchers}
            assert labels <= STOCK[metric] | OF_THE_SCRAPE, query


def test_grafana_finds_its_prometheus_and_the_dashboard():
    (source,) = yaml.safe_load((GRAFANA / "datasource.yaml").read_text(encoding="utf-8"))["datasources"]
    named = {part["datasource"]["uid"] for panel in DASHBOARD["panels"] for part in (panel, *panel["targets"])}
    assert named | {variable["datasource"]["uid"] for variable in DASHBOARD["templating"]["list"]} == {source["uid"]}
    compose = yaml.safe_load((SERVING / "deploy" / "compose.yaml").read_text(encoding="utf-8"))["services"]
    (provider,) = yaml.safe_load((GRAFANA / "dashboards.yaml").read_text(encoding="utf-8"))["providers"]
    assert f"./grafana/dashboards:{provider['options']['path']}:ro" in compose["grafana"]["volumes"]
    assert source["url"] == "http://prometheus:9090"
    assert "prometheus" in compose


def test_no_panel_covers_another():
    cells = [cell for panel in DASHBOARD["panels"] for cell in cells_of(**panel["gridPos"])]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) == 23  # Grafana's grid has 24 columns
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


# Each minute of an hour: 540 requests that succeed, 54 with an unknown signature and 6 on a full
# queue. Of 100 gRPC requests 50 take up to 100 us, 40 up to 180 us and 10 up to 324 us; health
# checks take longer and do not count. 600 requests pass the queue in 150 batches and wait 30 s.
HOUR: Series = {
    'up{job="tensorflow-serving",instance="a"}': "1x60",
    ':tensorflow:serving:request_count{model_name="tfrec",status="OK"}': "0+540x60",
    ':tensorflow:serving:request_count{model_name="tfrec",status="FAILED_PRECONDITION"}': "0+54x60",
    ':tensorflow:serving:request_count{model_name="tfrec",status="UNAVAILABLE"}': "0+6x60",
    ':tensorflow:serving:request_latency_bucket{model_name="tfrec",API="Predict",le="100"}': "0+50x60",
    ':tensorflow:serving:request_latency_bucket{model_name="tfrec",API="Predict",le="180"}': "0+90x60",
    ':tensorflow:serving:request_latency_bucket{model_name="tfrec",API="Predict",le="324"}': "0+100x60",
    ':tensorflow:serving:request_latency_bucket{model_name="tfrec",API="Predict",le="+Inf"}': "0+100x60",
    ':tensorflow:serving:request_latency_bucket{model_name="tfrec",API="",le="324"}': "0x60",
    ':tensorflow:serving:request_latency_bucket{model_name="tfrec",API="",le="+Inf"}': "0+900x60",
    ':tensorflow:serving:runtime_latency_bucket{model_name="tfrec",API="Predict",runtime="TF1",le="100"}': "0+100x60",
    ':tensorflow:serving:runtime_latency_bucket{model_name="tfrec",API="Predict",runtime="TF1",le="+Inf"}': "0+100x60",
    ':tensorflow:serving:batching_session:queuing_latency_bucket{thread_pool_name="",le="1000"}': "0+300x60",
    ':tensorflow:serving:batching_session:queuing_latency_bucket{thread_pool_name="",le="2000"}': "0+600x60",
    ':tensorflow:serving:batching_session:queuing_latency_bucket{thread_pool_name="",le="+Inf"}': "0+600x60",
    ':tensorflow:serving:batching_session:queuing_latency_sum{thread_pool_name=""}': "0+30000000x60",
    ':tensorflow:serving:batching_session:queuing_latency_count{thread_pool_name=""}': "0+600x60",
    ":tensorflow:serving:batching_session:wrapped_run_count": "0+150x60",
    ':tensorflow:cc:saved_model:load_attempt_count{instance="a",model_path="/models/tfrec/1",status="success"}': "1x60",
    ':tensorflow:cc:saved_model:load_attempt_count{instance="a",model_path="/models/tfrec/2",status="success"}': "1x60",
    ':tensorflow:cc:saved_model:load_attempt_count{instance="b",model_path="/models/tfrec/2",status="success"}': "1x60",
    ':tensorflow:cc:saved_model:load_attempt_count{instance="b",model_path="/models/tfrec/3",status="fail"}': "3x60",
    ':tensorflow:cc:saved_model:load_latency{instance="a",model_path="/models/tfrec/1"}': "4000000x60",
    ':tensorflow:cc:saved_model:load_latency{instance="a",model_path="/models/tfrec/2"}': "5000000x60",
    ':tensorflow:cc:saved_model:load_latency{instance="b",model_path="/models/tfrec/2"}': "6000000x60",
}
SHOWN: dict[tuple[str, str], dict[str, float]] = {
    ("Servers with a model", "servers"): {"{}": 2},
    ("Requests a second", "requests"): {"{}": 10},
    ("Failures", "failures"): {"{}": 0.01},  # 6 of 600: refusals are not failures
    ("Latency, p99", "p99"): {"{}": 309.6},  # as below
    ("Requests a second, by model", "{{model_name}}"): {'{model_name="tfrec"}': 10},
    ("Errors a second, by code", "{{status}}"): {'{status="FAILED_PRECONDITION"}': 0.9, '{status="UNAVAILABLE"}': 0.1},
    ("Latency of a request", "p50"): {"{}": 100},  # the 50th of 50 up to 100
    ("Latency of a request", "p95"): {"{}": 252},  # the 5th of the 10 between 180 and 324
    ("Latency of a request", "p99"): {"{}": 309.6},  # the 9th of them: 180 + 144 * 0.9
    ("Time in TensorFlow", "p50"): {"{}": 50},  # a share of the first bucket, which begins at 0
    ("Time in TensorFlow", "p95"): {"{}": 95},
    ("Time in TensorFlow", "p99"): {"{}": 99},
    ("Requests waiting in the batching queue", "waiting"): {"{}": 0.5},  # 30 of 60 seconds
    ("Time in the batching queue", "p50"): {"{}": 1000},
    ("Time in the batching queue", "p95"): {"{}": 1900},  # 270 of the 300 above 1000
    ("Time in the batching queue", "p99"): {"{}": 1980},
    ("Requests a batch", "requests"): {"{}": 4},
    ("Versions that were loaded", ""): {
        '{instance="a",model_path="/models/tfrec/1",status="success"}': 1,
        '{instance="a",model_path="/models/tfrec/2",status="success"}': 1,
        '{instance="b",model_path="/models/tfrec/2",status="success"}': 1,
        '{instance="b",model_path="/models/tfrec/3",status="fail"}': 3,
    },
    ("Loads since the start", "{{status}}"): {'{status="success"}': 3, '{status="fail"}': 3},
    ("Seconds spent loading", "{{model_path}}"): {
        '{model_path="/models/tfrec/1"}': 4,
        '{model_path="/models/tfrec/2"}': 6,
    },
}


def test_every_panel_shows_the_values_of_its_title(promtool, tmp_path):
    assert QUERIES.keys() == SHOWN.keys()
    expected = {
        # Prometheus's extrapolation rounds twice, hence the comparison to a millionth.
        f"round({query.replace('$__rate_interval', '5m').replace('$model', 'tfrec')}, 1e-6)": SHOWN[key]
        for key, query in QUERIES.items()
    }
    promtool("test", "rules", scenario(tmp_path, HOUR, {query: (30, values) for query, values in expected.items()}))


COUNT = ':tensorflow:serving:request_count{model_name="tfrec",status="%s"}'
BUCKET = ':tensorflow:serving:request_latency_bucket{model_name="tfrec",API="%s",le="%s"}'
ANSWERED = ':tensorflow:serving:request_latency_count{model_name="tfrec",API="%s"}'
LOADS = ':tensorflow:cc:saved_model:load_attempt_count{instance="a",model_path="/models/tfrec/2",status="%s"}'
UP = 'up{job="tensorflow-serving",instance="a"}'


@pytest.mark.parametrize(
    ("series", "quiet_at", "loud_at", "alert"),
    [
        ({UP: "1x9 0x20"}, 10, 12, "ServingDown"),  # down from minute 10, fires after one
        ({COUNT % "OK": "0+588x30", COUNT % "INTERNAL": "0+12x30"}, 5, 10, "ServingErrors"),  # 2 %
        ({COUNT % "OK": "0+940x30", COUNT % "NOT_FOUND": "0+60x30"}, 10, 15, "ServingRefusals"),  # 6 %
        (
            # The 99th of 100 lies halfway between 200 and 400 milliseconds.
            {BUCKET % ("Predict", "200000"): "0+98x30", BUCKET % ("Predict", "400000"): "0+100x30"}
            | {BUCKET % ("Predict", "+Inf"): "0+100x30"},
            10,
            15,
            "ServingSlow",
        ),
        (
            # The last answer is in minute 60; health checks are not traffic.
            {ANSWERED % "Predict": "0+60x60 3600x60", ANSWERED % "": "0+6x120"},
            75,
            85,
            "ServingSilent",
        ),
        ({LOADS % "fail": "_x20 1x40"}, 19, 21, "ServingLoadFails"),  # seen at its first failure
        ({LOADS % "fail": "1x40 2x20"}, 39, 42, "ServingLoadFails"),  # and at another one, much later
        ({LOADS % "success": "1x20 2x20 3 4 5 6x20"}, 30, 45, "ServingLoadsAgain"),  # once is a rollback
    ],
)
def test_an_alert_fires_for_its_reason_and_no_other_does(promtool, tmp_path, series, quiet_at, loud_at, alert):
    assert alert in {rule["alert"] for rule in RULES}
    firing = 'count by (alertname) (ALERTS{alertstate="firing"})'
    loud = {f'{{alertname="{alert}"}}': 1.0}
    promtool("test", "rules", scenario(tmp_path, series, {firing: (quiet_at, {}), f"{firing} + 0": (loud_at, loud)}))


def test_no_alert_fires_in_normal_operation(promtool, tmp_path):
    well = {
        UP: "1x120",
        COUNT % "OK": "0+995x120",
        COUNT % "UNAVAILABLE": "0+5x120",  # half a percent
        COUNT % "INVALID_ARGUMENT": "0+40x120",  # 4 %
        BUCKET % ("Predict", "200000"): "0+99x120",
        BUCKET % ("Predict", "+Inf"): "0+100x120",
        BUCKET % ("", "200000"): "0x120",
        BUCKET % ("", "+Inf"): "0+900x120",
        ANSWERED % "Predict": "0+995x120",
        LOADS % "success": "1x120",
    }
    promtool("test", "rules", scenario(tmp_path, well, {'ALERTS{alertstate="firing"}': (110, {})}))


def test_the_guide_lists_every_alert_and_whether_it_wakes_you():
    guide = (SERVING.parent / "docs" / "serving.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `(Serving\w+)` \|.*\| (yes|no) \|$", guide, re.MULTILINE)
    assert listed == [(rule["alert"], {"page": "yes", "ticket": "no"}[rule["labels"]["severity"]]) for rule in RULES]


def scenario(folder: Path, series: Series, expected: dict[str, tuple[int, dict[str, float]]]) -> str:
    """Write a file for `promtool test rules` and return its path.

    `series` has one sample per minute; `expected` has a minute and values by labels for each query.
    """
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [
            {
                "expr": query,
                "eval_time": f"{minute}m",
                "exp_samples": [{"labels": labels, "value": value} for labels, value in values.items()],
            }
            for query, (minute, values) in expected.items()
        ],
    }
    path = folder / "scenario.yaml"
    rules = [str(PROMETHEUS / "alerts.yaml")]
    path.write_text(yaml.safe_dump({"rule_files": rules, "evaluation_interval": "1m", "tests": [test]}))
    return str(path)


def selectors(node: Any) -> Iterator[Any]:
    """The selectors of series in a parsed query."""
    if isinstance(node, promql_parser.VectorSelector):
        yield node
    for name in ("lhs", "rhs", "expr", "param", "vector_selector", "args"):
        parts = getattr(node, name, None)
        for part in parts if isinstance(parts, list) else [parts]:
            if part is not None:
                yield from selectors(part)


def cells_of(x: int, y: int, w: int, h: int) -> list[tuple[int, int]]:
    return [(column, row) for column in range(x, x + w) for row in range(y, y + h)]
