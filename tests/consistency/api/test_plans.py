"""Each list over REST is read by an index: on many anomalies no query reads a table, or many rows."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.consistency.api.correlated import MANY
from tests.consistency.test_plans import nodes

READ = MANY // 10
"""Rows that a query may read, also in vain."""
QUERIES = 12
BASE = "/api/v1/consistency/"
LISTS = [
    "anomalies",
    "anomalies?state=all",
    "anomalies?state=new",
    "anomalies?state=resolved",
    "anomalies?check=stale_processing",
    "anomalies?severity=warn,error",
    "anomalies?silenced=0",
    "anomalies?since=150d",
    "anomalies?resolved_since=150d",
    "anomalies?review=needed",
    "anomalies?name=clip 123",
    "anomalies?uuid=c81e7",
    "scans",
]


@pytest.fixture
def reader(correlated_history: None, db: None, client: Client) -> Client:
    client.force_login(User.objects.create_user("ann"))
    return client


def problems(client: Client, path: str) -> tuple[Any, list[str]]:
    """Return the answer, and each plan node that reads a table or too many rows."""
    with CaptureQueriesContext(connection) as queries:
        answer = client.get(path, secure=True)
    assert answer.status_code == 200, answer.content
    statements = [query["sql"] for query in queries if "SAVEPOINT" not in query["sql"]]
    found = [f"{len(statements)} queries"] if len(statements) > QUERIES else []
    for sql in (sql for sql in statements if '"consistency_' in sql):
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {sql}")
            found += wrong_nodes(cursor.fetchone()[0][0]["Plan"])
    return answer.json(), found


def wrong_nodes(plan: dict[str, Any]) -> Iterator[str]:
    for node in nodes(plan):
        rows = (
            node["Actual Rows"] + node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
        )
        table = node.get("Relation Name")
        if table == "consistency_anomaly" and node["Node Type"] == "Seq Scan":
            yield f"reads the table {table}: {node.get('Filter')}"
        # Names of retired checks and the last run of each check take a pass over the runs.
        if table and table != "consistency_scancheck" and rows * node["Actual Loops"] > READ:
            yield f"{rows * node['Actual Loops']} rows by {node['Node Type']} {node.get('Index Name')}"


@pytest.mark.parametrize("path", LISTS)
def test_a_list_is_read_by_index_in_both_directions(reader: Client, path: str) -> None:
    first, found = problems(reader, BASE + path)
    if first["next"]:
        second, more = problems(reader, first["next"])
        _, back = problems(reader, second["previous"])
        found += more + back
    assert found == []


@pytest.mark.parametrize("state", ["all", "resolved"])
def test_a_page_far_from_the_first_is_read_by_index(reader: Client, state: str) -> None:
    page = problems(reader, f"{BASE}anomalies?state={state}&limit=1000")[0]
    for _ in range(15):
        page = reader.get(page["next"], secure=True).json()
    assert problems(reader, page["next"])[1] == []


@pytest.mark.parametrize(
    ("index", "path"), [("anomaly_resolved", "state=resolved"), ("anomaly_file_name", "name=clip 123")]
)
def test_without_its_index_a_list_fails_this_test(reader: Client, index: str, path: str) -> None:
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(f"DROP INDEX {index}")
        assert problems(reader, f"{BASE}anomalies?{path}")[1] != []
        transaction.set_rollback(True)
