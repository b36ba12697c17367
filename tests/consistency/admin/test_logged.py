"""The admin's log as a list, for others than who acted."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import ADDITION, DELETION, LogEntry
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from consistency.admin import acts
from consistency.admin.base import log
from consistency.models.history import Anomaly, Scan
from tests.consistency.admin.pages import HOSTILE, LIST, SEE, get, page_of, post, stale
from tests.consistency.history.data import STALE, anomaly, recorded

LOG = "/admin/admin/logentry/"

pytestmark = pytest.mark.usefixtures("nobody_left")


def test_who_acted_on_what_and_why_is_read_by_others(
    client: Client, person: Callable[..., User], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acts, "EACH", 1)
    stale("a", "b")
    recorded(STALE)
    person(*SEE, "acknowledge_anomaly")
    sent: dict[str, Any] = {"select_across": "1", "_selected_action": "0", "sent": "1"}
    post(client, f"{LIST}?check={STALE}", **sent, action="assign", assignee="ann", reason="on call")
    post(client, f"{LIST}{anomaly('a').pk}/act/acknowledge/", length="1d", reason="being requeued")
    person(*SEE, "view_logentry", name="bob")
    text = get(client, LOG)
    assert text.count('"field-who">ann<') == 2
    assert all(words in text for words in ("being requeued", "2 anomalies (check=stale_processing): Assigned to ann"))
    assert page_of(anomaly("a")) in text
    assert "All that anybody did" in get(client, page_of(anomaly("a")))
    assert LOG in get(client, LIST)
    assert "Who did what" in get(client, "/admin/")


def test_it_is_for_who_may_see_it_and_changed_by_nobody(client: Client, person: Callable[..., User]) -> None:
    user = person(*SEE)
    [entry] = log(user.pk, Anomaly, "x")
    get(client, LOG, status=403)
    get(client, f"{LOG}{entry.pk}/change/", status=403)
    assert LOG not in get(client, "/admin/") + get(client, LIST)
    person("view_logentry", "add_logentry", "change_logentry", "delete_logentry", name="bob")
    get(client, f"{LOG}{entry.pk}/change/")
    for path in ("add/", f"{entry.pk}/delete/"):
        get(client, f"{LOG}{path}", status=403)
    post(client, f"{LOG}{entry.pk}/change/", status=403, change_message="y")
    post(client, LOG, status=200, action="delete_selected", _selected_action=[entry.pk], post="yes")
    assert LogEntry.objects.get().change_message == "x"


def test_it_tells_what_ended_unheard_what_django_leaves_unsaid_and_shows_hostile_text_as_text(
    client: Client, person: Callable[..., User]
) -> None:
    user = person("view_logentry")
    log(user.pk, Anomaly, "So far 4 of 9 anomalies (no filter): Assigned to ann")
    LogEntry.objects.update(action_time=timezone.now() - timedelta(minutes=4))
    for flag in (ADDITION, DELETION):
        log(user.pk, Scan, "", [Scan(pk=7, database=HOSTILE)], flag)
    text = get(client, LOG)
    assert all(words in text for words in ("Ended early, after 4 of 9", "Added.", "Deleted."))
    assert "<script>alert" not in text
    assert "\u202e" not in text


def test_it_asks_little_of_a_long_log_and_can_be_asked_for_one_person(
    client: Client, person: Callable[..., User]
) -> None:
    for name in ("ann", "bob", "cho"):
        user = person("view_logentry", name=name)
        for number in range(60):
            log(user.pk, Anomaly, f"{name} did {number}")
    for choice in ("", f"?who={user.pk}", "?p=2"):
        with CaptureQueriesContext(connection) as queries:
            get(client, f"{LOG}{choice}")
        assert len(queries) <= 12
    assert "bob did" in get(client, f"{LOG}?p=2")
    mine = get(client, f"{LOG}?who={user.pk}")
    assert "cho did 59" in mine
    assert "bob did" not in mine
    get(client, f"{LOG}?who=999999999", status=302)
