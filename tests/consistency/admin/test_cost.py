"""Queries of a page: at most sixteen, and four more of a search, whatever is chosen; no count beyond the bound."""

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from consistency.history.suppression import acknowledge, mute
from consistency.models.history import BackgroundTask
from tests.consistency.admin.pages import LIST, OVERVIEW, get, stale
from tests.consistency.data import a_file
from tests.consistency.history.data import REST, STALE, anomaly, in_days, recorded

CHOICES = [
    "",
    "?q=s1",
    "?q=s1&state=open",
    f"?check={STALE}&state=new&news=1&age=day",
    f"?check={STALE}&state=all&q=s&assignee=me",
    "?state=acknowledged",
    "?state=muted&severity__exact=2",
    "?state=retired",
    "?state=resolved&news=resolved",
    "?state=all&scan=1-new",
    "?assignee=nobody&age=old&database=default",
    "?e=1",
    "?p=2&state=all",
    "?state=all&all=",
    "?q=nothing",
    f"?check={STALE}&state=new&news=1&age=day&q=nothing&severity__exact=3",
    f"?check={STALE}&state=all&news=1&age=day&q=s&assignee=me&scan=1-new&database=default&severity__exact=2",
]


@pytest.fixture
def some(nobody_left: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Record more anomalies than are counted, some of them suppressed."""
    monkeypatch.setattr("consistency.history.paginator.MAX_COUNT", 30)
    stale(*(f"s{number}" for number in range(40)))
    a_file("rest", "unregistered")
    recorded(STALE, REST)
    mute(REST, until=in_days(1), by="ann", reason="x", sticky=True)
    acknowledge([anomaly("s1").pk], until=in_days(1), by="ann", reason="x")


def task(by: str, **values: object) -> None:
    now = timezone.now()
    title = f"Assign by {by} (no filter)"
    BackgroundTask.objects.create(title=title, by=by, started_at=now, updated_at=now, done=4, total=9, **values)


@pytest.mark.parametrize("finished", [False, True])
def test_a_page_takes_at_most_sixteen_queries_also_with_tasks(
    client: Client, reviewer: User, some: None, finished: bool
) -> None:
    task("bob")
    for path in (OVERVIEW, *(f"{LIST}{choice}" for choice in CHOICES)):
        task("ann", **({"finished_at": timezone.now(), "result": "Assigned: 9 anomalies."} if finished else {}))
        with CaptureQueriesContext(connection) as queries:
            text = get(client, path)
        assert ("Assigned: 9 anomalies." if finished else "Assign by ann (no filter), started by ann: 4 of 9.") in text
        assert "Assign by bob (no filter), started by bob: 4 of 9." in text
        statements = [query["sql"] for query in queries]
        limit = 25 if path == OVERVIEW else 20 if "q=" in path else 16
        assert len(statements) <= limit, "\n".join([path, *statements])
        counting = [sql for sql in statements if "COUNT(*)" in sql and "consistency_anomaly" in sql]
        assert all("LIMIT 31" in sql for sql in counting)
