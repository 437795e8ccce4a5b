"""Every row of the contract that needs no change of the server."""

from __future__ import annotations

import grpc
import httpx
import pytest

from tests.serving.conformance import examples, headers, inference, json_rules, models, predict, routes
from tests.serving.conformance.row import Grpc, Rest

TABLES = (predict, inference, models, routes, json_rules, examples, headers)
ROWS = {f"{table.__name__.rpartition('.')[2]}: {name}": row for table in TABLES for name, row in table.ROWS.items()}


@pytest.mark.parametrize("row", [pytest.param(row, id=name) for name, row in ROWS.items() if isinstance(row, Grpc)])
def test_grpc_answers_as_the_contract_says(channel: grpc.Channel, row: Grpc) -> None:
    row.check(channel)


@pytest.mark.parametrize("row", [pytest.param(row, id=name) for name, row in ROWS.items() if isinstance(row, Rest)])
def test_rest_answers_as_the_contract_says(http: httpx.Client, row: Rest) -> None:
    row.check(http)
