"""What a page asks PostgreSQL: at most twelve questions, whatever is chosen and whatever goes on."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from consistency.admin.background import COOKIE
from consistency.admin.base import log
from consistency.history.silence import acknowledge, mute
from consistency.models.history import Anomaly
from tests.consistency.admin.pages import LIST, SEE, get, stale
from tests.consistency.data import a_file
from tests.consistency.history.data import REST, STALE, anomaly, in_days, recorded

CHOICES = [
    "",
    "?q=s1",
    "?q=s1&state=open",
    f"?check={STALE}&state=new&news=1&age=day",
    f"?check={STALE}&state=all&q=s&assignee=me",
    "?state=acknowledged",
    "?state=muted&severity=2",
    "?state=retired",
    "?state=resolved&news=resolved",
    "?state=all&scan=1-new",
    "?assignee=nobody&age=old&database=default",
    "?e=1",
    "?p=2&state=all",
    "?state=all&all=",
    "?q=nothing",
    f"?check={STALE}&state=new&news=1&age=day&q=nothing&severity=3",
    f"?check={STALE}&state=all&news=1&age=day&q=s&assignee=me&scan=1-new&database=default&severity=2",
]


@pytest.fixture
def some(nobody_left: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than are counted, some of them silent."""
    monkeypatch.setattr("consistency.history.paginator.MOST", 30)
    monkeypatch.setattr("consistency.history.lists.FEW", 30)
    stale(*(f"s{number}" for number in range(40)))
    a_file("rest", "unregistered")
    recorded(STALE, REST)
    mute(REST, until=in_days(1), by="ann", reason="x", sticky=True)
    acknowledge([anomaly("s1").pk], until=in_days(1), by="ann", reason="x")


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("standing", ["So far 4 of 9", "9"])
def test_the_list_whatever_is_chosen_while_acts_of_two_are_under_way_or_one_is_done(
    client: Client, person: Callable[..., User], some: None, choice: str, standing: str
) -> None:
    mine, other = person(*SEE), User.objects.create(username="bob")
    [entry] = log(mine.pk, Anomaly, f"{standing} anomalies (no filter): Assigned to ann")
    log(other.pk, Anomaly, "So far 5 of 8 anomalies (no filter): Assigned to bob")
    client.cookies[COOKIE] = str(entry.pk)
    with CaptureQueriesContext(connection) as queries:
        text = get(client, f"{LIST}{choice}")
    assert f"{standing} anomalies" in text
    assert "Under way, begun by bob. So far 5 of 8" in text
    assert len(queries) <= 12, "\n".join(query["sql"][:200] for query in queries)
