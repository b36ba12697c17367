"""The lists of the admin that follow a scan or a resolution are read by index, also for a scan of very many."""

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.consistency.admin.pages import LIST, shown
from tests.consistency.api.correlated import mass
from tests.consistency.api.test_plans import wrong_nodes

LISTS = [
    *(f"?state=all&scan={mass()}-{word}" for word in ("new", "returned", "resolved")),
    f"?state=all&scan={mass()}-resolved&p=12",
    "?state=all&scan=1501-resolved",
    "?state=resolved",
    "?state=resolved&resolved_since=24h",
    "?state=resolved&resolved_since=150d",
]


@pytest.fixture
def reader(correlated_history: None, db: None, client: Client) -> Client:
    user = User.objects.create_user("ann", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=("view_anomaly", "view_scan")))
    client.force_login(user)
    return client


def problems(client: Client, query: str) -> tuple[int, list[str]]:
    """Return the number of rows, and each plan node that reads a table or too many rows.

    The bounded count has no order: on so few rows PostgreSQL may prefer to read the table until the bound.
    """
    with CaptureQueriesContext(connection) as queries:
        answer = client.get(f"{LIST}{query}", secure=True)
    assert answer.status_code == 200
    found: list[str] = []
    statements = [entry["sql"] for entry in queries if '"consistency_' in entry["sql"]]
    for sql in (sql for sql in statements if "COUNT(*)" not in sql):
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {sql}")
            found += wrong_nodes(cursor.fetchone()[0][0]["Plan"])
    return len(shown(answer.content.decode())), found


@pytest.mark.parametrize("query", LISTS)
def test_a_list_is_read_by_index(reader: Client, query: str) -> None:
    rows, found = problems(reader, query)
    assert found == []
    assert rows or query.endswith("24h")


@pytest.mark.parametrize(("index", "query"), [("event_of_scan", LISTS[2]), ("anomaly_resolved", "?state=resolved")])
def test_without_its_index_a_list_fails_this_test(reader: Client, index: str, query: str) -> None:
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(f"DROP INDEX {index}")
        assert problems(reader, query)[1] != []
        transaction.set_rollback(True)
