"""A foreign client of TensorFlow Serving, ovmsclient, over gRPC and REST.

It runs in its own process, since it registers TensorFlow's messages under the same names. It names
version 1: version 0 means the latest to OpenVINO's server, but not to TensorFlow Serving.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from serving.server.embedded import Server

PROGRAM = """
import json, sys
import numpy, ovmsclient
kind, address = sys.argv[1:]
client = (ovmsclient.make_grpc_client if kind == "grpc" else ovmsclient.make_http_client)(address)
answer = {"status": client.get_model_status("toy", 1), "metadata": client.get_model_metadata("toy", 1)}
inputs = {"x": numpy.array([1, 2], numpy.float32), "y": numpy.array([10, 20], numpy.float32)}
answer["predict"] = {name: array.tolist() for name, array in client.predict(inputs, "toy", 1).items()}
try:
    client.predict(inputs, "nosuch", 1)
except ovmsclient.ModelNotFoundError as error:
    answer["error"] = str(error)
print(json.dumps(answer))
"""


@pytest.mark.parametrize("kind", ["grpc", "rest"])
def test_the_client_gets_status_metadata_predictions_and_errors(server: Server, kind: str) -> None:
    address = f"127.0.0.1:{server.port if kind == 'grpc' else server.rest_api_port}"
    ran = subprocess.run([sys.executable, "-c", PROGRAM, kind, address], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    answer = json.loads(ran.stdout)
    assert answer["status"] == {"1": {"state": "AVAILABLE", "error_code": 0, "error_message": ""}}
    if kind == "grpc":
        assert answer["metadata"]["inputs"] == {name: {"shape": [-1], "dtype": "DT_FLOAT"} for name in "xy"}
        assert answer["metadata"]["model_version"] == 1
    else:  # over REST it returns the stock server's document as it is
        assert answer["metadata"]["model_spec"]["version"] == "1"
        inputs = answer["metadata"]["metadata"]["signature_def"]["signature_def"]["serving_default"]["inputs"]
        assert {name: info["dtype"] for name, info in inputs.items()} == {"x": "DT_FLOAT", "y": "DT_FLOAT"}
    # Version 1, scale 1: 1 * 1 + 10, 2 * 1 + 20; 1 - 10, 2 - 20.
    assert answer["predict"] == {"sum": [11.0, 22.0], "difference": [-9.0, -18.0]}
    assert "Servable not found for request: Specific(nosuch, 1)" in answer["error"]
