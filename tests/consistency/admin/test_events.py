"""Who did what: the events by people, read by others."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from consistency.history.suppression import assign
from consistency.models.history import AnomalyEvent
from tests.consistency.admin.pages import HOSTILE, LIST, OVERVIEW, SEE, get, page_of, post, stale
from tests.consistency.history.data import STALE, anomaly, recorded

EVENTS = "/admin/consistency/anomalyevent/"

pytestmark = pytest.mark.usefixtures("nobody_left")


def test_others_read_who_acted_on_what_and_why(client: Client, person: Callable[..., User]) -> None:
    stale("a", "b")
    recorded(STALE)
    person(*SEE, "acknowledge_anomaly")
    sent: dict[str, Any] = {"select_across": "1", "_selected_action": "0", "sent": "1"}
    post(client, f"{LIST}?check={STALE}", **sent, action="assign", assignee="ann", reason="on call")
    post(client, f"{LIST}{anomaly('a').pk}/act/acknowledge/", category="later", length="1d", reason="being requeued")
    person(*SEE, "view_anomalyevent", name="bob")
    text = get(client, EVENTS)
    assert text.count('"field-who">ann<') == 3
    assert text.count("assigned to ann: on call") == 2
    assert "acknowledged until" in text
    assert "being requeued" in text
    assert f'<a href="{page_of(anomaly("a"))}">{STALE}: file a</a>' in text
    assert "found" not in text.partition('id="result_list"')[2]
    for path in (page_of(anomaly("a")), LIST, OVERVIEW, "/admin/"):
        assert f'<a href="{EVENTS}">Who did what' in get(client, path).replace(
            'class="button" style="padding: 10px 16px" ', ""
        )


def test_events_are_for_who_may_see_them_and_changed_by_nobody(client: Client, person: Callable[..., User]) -> None:
    stale("a")
    recorded(STALE)
    assign([anomaly("a").pk], to="ann", by="ann", reason="x")
    event = AnomalyEvent.objects.get(by="ann")
    person(*SEE)
    get(client, EVENTS, status=403)
    get(client, f"{EVENTS}{event.pk}/change/", status=403)
    assert EVENTS not in get(client, "/admin/") + get(client, LIST)
    person("view_anomalyevent", name="bob")
    get(client, f"{EVENTS}{event.pk}/change/")
    client.force_login(User.objects.create_superuser("root"))
    for path in ("add/", f"{event.pk}/delete/"):
        get(client, f"{EVENTS}{path}", status=403)
    post(client, f"{EVENTS}{event.pk}/change/", status=403, text="y")
    post(client, EVENTS, status=403, action="delete_selected", _selected_action=[event.pk], post="yes")
    assert AnomalyEvent.objects.get(by="ann").text == "to ann: x"


def test_hostile_text_is_text(client: Client, person: Callable[..., User]) -> None:
    person("view_anomalyevent")
    stale("a")
    recorded(STALE)
    assign([anomaly("a").pk], to=HOSTILE, by=HOSTILE, reason=f"{HOSTILE}\nsecond line")
    text = get(client, EVENTS)
    assert "&lt;script&gt;alert(1)" in text
    assert "<script>alert" not in text
    assert "\u202e" not in text


def test_a_long_history_takes_few_queries_and_is_filtered_by_person(
    client: Client, person: Callable[..., User]
) -> None:
    stale("a")
    recorded(STALE)
    one = anomaly("a").pk
    for name in ("ann", "bob", "cho"):
        person("view_anomalyevent", name=name)
        for number in range(30):
            assign([one], to=None, by=name, reason=f"{name} did {number}")
    for choice in ("", "?who=cho", "?p=2"):
        with CaptureQueriesContext(connection) as queries:
            get(client, f"{EVENTS}{choice}")
        assert len(queries) <= 12
    assert "bob did" in get(client, f"{EVENTS}?p=2")
    by_cho = get(client, f"{EVENTS}?who=cho")
    assert "cho did 29" in by_cho
    assert "bob did" not in by_cho
    get(client, f"{EVENTS}?who=nobody", status=200)
