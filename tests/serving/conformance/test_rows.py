"""Every row of the contract that a server answers without being changed."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
import httpx
import pytest

from tests.serving.conformance import examples, headers, inference, json_rules, models, predict, routes
from tests.serving.conformance.row import Grpc, Rest
from tests.serving.conformance.target import Target

TABLES = (predict, inference, models, routes, json_rules, examples, headers)
ROWS = {f"{table.__name__.rpartition('.')[2]}: {name}": row for table in TABLES for name, row in table.ROWS.items()}


@pytest.fixture(scope="module")
def channel(asked: Target) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(asked.grpc, options=[("grpc.max_receive_message_length", -1)]) as opened:
        yield opened


@pytest.fixture(scope="module")
def http(asked: Target) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=asked.rest, trust_env=False) as client:
        yield client


@pytest.mark.parametrize("row", [pytest.param(row, id=name) for name, row in ROWS.items() if isinstance(row, Grpc)])
def test_grpc_answers_as_the_contract_says(channel: grpc.Channel, row: Grpc) -> None:
    row.ask(channel)


@pytest.mark.parametrize("row", [pytest.param(row, id=name) for name, row in ROWS.items() if isinstance(row, Rest)])
def test_rest_answers_as_the_contract_says(http: httpx.Client, row: Rest) -> None:
    row.ask(http)
