"""Permissions in the admin: each action needs its own, and a GET changes nothing."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from consistency.admin.forms import ACTIONS
from consistency.history.suppression import mute
from consistency.models.history import Anomaly, AnomalyEvent, Mute, Scan
from tests.consistency.admin.pages import LIST, SEE, get, page_of, post, stale
from tests.consistency.history.data import REST, STALE, anomaly, in_days, recorded

pytestmark = pytest.mark.usefixtures("transactional_db")

SENT = {"category": "later", "length": "1d", "reason": "x", "assignee": "ann", "comment": "x"}


@pytest.mark.parametrize("name", ["acknowledge", "end_acknowledgement", "assign", "comment", "recheck"])
def test_a_user_who_may_only_see_can_do_nothing(client: Client, person: Callable[..., User], name: str) -> None:
    stale("a")
    recorded(STALE)
    person(*SEE)
    one = anomaly("a")
    post(client, f"{LIST}{one.pk}/act/{name}/", status=403, **SENT)
    post(client, LIST, status=403, action=name, select_across="0", index="0", _selected_action=[one.pk], sent="1")
    assert Anomaly.objects.filter(acknowledged_until=None, assignee=None).count() == 1
    assert not AnomalyEvent.objects.exclude(by="").exists()
    assert Scan.objects.count() == 1
    text = get(client, page_of(one))
    assert "<form" not in text.partition('id="content-main"')[2].partition("footer")[0]


def action_urls() -> dict[str, list[str]]:
    """Return the addresses of the actions of each permission: on the anomaly of a, on a mute, on scans."""
    one = f"{LIST}{anomaly('a').pk}/act/"
    made = mute(REST, until=in_days(1), by="bob", reason="x", sticky=True)
    return {
        "acknowledge_anomaly": [f"{one}{name}/" for name in ACTIONS],
        "mute_check": ["/admin/consistency/mute/new/", f"/admin/consistency/mute/{made.pk}/end/"],
        "scan_now": ["/admin/consistency/scan/now/", f"{one}recheck/"],
    }


@pytest.mark.parametrize("may", ["acknowledge_anomaly", "mute_check", "scan_now"])
def test_each_permission_allows_its_own_actions_alone(client: Client, person: Callable[..., User], may: str) -> None:
    stale("a")
    recorded(STALE)
    person(*SEE, may)
    sent = SENT | {"assignee": "", "check_name": STALE, "database": "default"}
    for permission, paths in action_urls().items():
        for path in paths:
            post(client, path, status=302 if permission == may else 403, **sent)


def test_a_user_who_may_act_but_not_see_lands_on_an_allowed_page(client: Client, person: Callable[..., User]) -> None:
    person("scan_now")
    answer = post(client, "/admin/consistency/scan/now/")
    assert "new, 0 returned" in get(client, answer["Location"])


@pytest.mark.parametrize("name", ["acknowledge", "end_acknowledgement", "assign", "comment", "recheck"])
def test_a_user_who_may_act_but_not_see_anomalies_learns_nothing_of_one(
    client: Client, person: Callable[..., User], name: str
) -> None:
    stale("a")
    recorded(STALE)
    person("acknowledge_anomaly", "scan_now")
    get(client, f"{LIST}{anomaly('a').pk}/act/{name}/", status=403)
    post(client, f"{LIST}{anomaly('a').pk}/act/{name}/", status=403, **SENT)
    get(client, f"{LIST}{anomaly('a').pk + 1}/act/{name}/", status=403)


def test_no_action_happens_by_a_get(client: Client, reviewer: User) -> None:
    stale("a")
    recorded(STALE)
    query = (
        "?category=later&length=1d&reason=x&comment=x&assignee=ann&sent=1&check_name=stale_processing&database=default"
    )
    for paths in action_urls().values():
        for path in paths:
            assert client.get(path + query, secure=True).status_code in (200, 302, 405)
    get(client, f"{LIST}?state=open")
    assert Anomaly.objects.filter(acknowledged_until=None, assignee=None).count() == 1
    assert not AnomalyEvent.objects.exclude(by="").exists()
    assert Mute.objects.filter(ended_at=None).count() == 1
    assert Scan.objects.count() == 1
    assert not AnomalyEvent.objects.exclude(by="").exists()


def test_a_user_who_may_not_see_sees_nothing(client: Client, person: Callable[..., User]) -> None:
    stale("a")
    recorded(STALE)
    person("view_file")
    for path in (LIST, page_of(anomaly("a")), f"{LIST}export/csv/", "/admin/consistency/scan/"):
        get(client, path, status=403)


def test_recheck_of_those_selected_needs_the_permission_to_scan(client: Client, person: Callable[..., User]) -> None:
    stale("a")
    recorded(STALE)
    person(*SEE, "acknowledge_anomaly")
    sent: dict[str, Any] = {"select_across": "0", "index": "0", "_selected_action": [anomaly("a").pk]}
    post(client, LIST, status=403, action="recheck", **sent)
    assert Scan.objects.count() == 1
    person(*SEE, "scan_now", name="bob")
    post(client, LIST, action="recheck", **sent)
    assert Scan.objects.count() == 2
