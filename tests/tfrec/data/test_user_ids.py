"""Users whose id is in several columns: accounts, and cookies of events before they sign in."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tfrec.data.ingest import IngestReport, ingest
from tfrec.data.mapping import read_mapping

ORDERS = "path: orders.csv, kind: purchase, columns: {user_id: [account, cookie], timestamp: at}"


def _ingest(folder: Path, *tables: str, **files: str) -> IngestReport:
    for name, lines in files.items():
        (folder / f"{name}.csv").write_text(lines)
    (folder / "shop.yaml").write_text("interactions: [" + ", ".join(f"{{{table}}}" for table in tables) + "]")
    return ingest(read_mapping(folder / "shop.yaml"), folder / "out", 1)


def _users(report: IngestReport) -> dict[str, str]:
    rows = pq.ParquetFile(report.tables.part("interactions", 0)).read().to_pylist()
    return {row["item_id"]: row["user_id"] for row in rows}


def test_an_account_keeps_its_events_where_its_number_is_the_cookie_of_another(tmp_path: Path) -> None:
    orders = "account,cookie,item_id,at\n" + "".join(
        f"{line},2024-01-01\n" for line in ("7,,a", "7,,b", "9,7,c", ",7,d")
    )
    report = _ingest(tmp_path, ORDERS, orders=orders)
    # Cookie 7 is account 9's; only the event without an account is the cookie's.
    assert _users(report) == {"a": "7", "b": "7", "c": "9", "d": "9"}


def test_a_cookie_that_no_row_joins_and_an_account_of_the_same_number_are_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    orders = "account,cookie,item_id,at\n42,,a,2024-01-01\n,42,b,2024-01-01\n5,5,c,2024-01-01\n,5,d,2024-01-01\n"
    _ingest(tmp_path, ORDERS, orders=orders)
    # 5 stands beside 5: the shop says that they are one user.
    assert "1 ids stand in the first column of user_id and alone in a further one, for example '42'" in caplog.text


def test_a_table_of_cookies_joins_the_accounts_of_another_table(tmp_path: Path) -> None:
    report = _ingest(
        tmp_path,
        "path: clicks.csv, kind: click, columns: {user_id: cookie, timestamp: at}",
        ORDERS,
        clicks="cookie,item_id,at\nc1,a,2024-01-01\n9,b,2024-01-01\n",
        orders="account,cookie,item_id,at\nu1,c1,c,2024-01-02\n9,c2,d,2024-01-02\n3,9,e,2024-01-02\n",
    )
    # The click with cookie 9 is account 3's, as the cookie is; account 9 keeps its order.
    assert _users(report) == {"a": "u1", "b": "3", "c": "u1", "d": "9", "e": "3"}
