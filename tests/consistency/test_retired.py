"""History outlives code: every surface shows the history of a removed check, as retired."""

import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils.html import escape

from consistency.history.overview import overview
from consistency.history.suppression import mute
from consistency.models.history import Anomaly, Mute, Scan, ScanCheck
from consistency.registry import CHECKS
from tests.consistency.admin.pages import LIST, OVERVIEW, get, page_of, post, shown, stale
from tests.consistency.api.data import Ask
from tests.consistency.history.data import STALE, anomaly, in_days, recorded
from tests.consistency.processes import within

pytestmark = pytest.mark.usefixtures("transactional_db", "history")

GONE, WITHOUT_SCANS = "long_gone", "long_forgotten"
MUTED: dict[str, Any] = {"for": "7d", "reason": "x"}
NEW_MUTE = "/admin/consistency/mute/new/"


@pytest.fixture
def history(transactional_db: None) -> None:
    """Record a file of a defined check, one of a removed check, and one of a removed check without scans."""
    stale("here", "gone", "forgotten")
    recorded(STALE)
    recorded(STALE)
    last = Scan.objects.latest("pk")
    Anomaly.objects.filter(object_id="gone").update(check_name=GONE, appeared_scan=last.pk)
    Anomaly.objects.filter(object_id="forgotten").update(check_name=WITHOUT_SCANS)
    ScanCheck.objects.create(
        scan=last,
        database="default",
        check_name=GONE,
        severity=2,
        outcome="found",
        count=1,
        run=1,
        new=1,
        duration_ms=1,
    )


def listed(*arguments: str) -> set[str]:
    out = within("show_anomalies", "--format", "json", *arguments)[1]
    return {row["object_id"] for row in json.loads(out)["anomalies"]}


def in_admin(client: Client, query: str) -> set[str]:
    return set(Anomaly.objects.filter(pk__in=shown(get(client, f"{LIST}?{query}"))).values_list("object_id", flat=True))


# --- Read ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("check", GONE, {"gone"}),
        ("state", "retired", {"gone", "forgotten"}),
        ("state", "all", {"here", "gone", "forgotten"}),
    ],
)
def test_every_surface_filters_retired_checks_by_the_same_values(
    client: Client, reviewer: User, read: Ask, name: str, value: str, expected: set[str]
) -> None:
    assert listed(f"--{name}", value) == expected
    rows = read(f"/anomalies?{name}={value}").json()["anomalies"]
    assert {row["object_id"] for row in rows} == expected
    assert {row["object_id"] for row in rows if row["retired"]} == expected - {"here"}
    assert in_admin(client, f"{name}={value}") == expected


def test_the_checks_over_rest_are_those_of_the_lists(read: Ask) -> None:
    checks = {check["check"]: check["retired"] for check in read("/checks").json()["checks"]}
    assert checks == dict.fromkeys(CHECKS, False) | {GONE: True}


def test_an_unknown_check_is_refused_with_the_known_names(read: Ask) -> None:
    answers = [
        read("/anomalies?check=stail_processing").json()["detail"].removeprefix("check: "),
        within("show_anomalies", "--check", "stail_processing")[2],
        within("unmute_check", "stail_processing")[2],
    ]
    assert set(answers) == {answers[0]}
    assert answers[0].startswith("unknown check 'stail_processing'. Did you mean ")
    assert {STALE, GONE} < set(answers[0].partition("Allowed: ")[2].removesuffix(".").split(", "))


def test_the_admin_marks_retired_anomalies_and_does_not_scan_them(client: Client, reviewer: User) -> None:
    rows = get(client, f"{LIST}?state=all").replace("<wbr>", "")
    assert rows.count(f"{GONE} (retired)<br>") == 1
    text = get(client, page_of(anomaly("gone", GONE)))
    assert "This check is retired" in text
    assert '<span class="badge past">retired</span>' in text
    assert "Recheck now" not in text
    assert "Mute this check" not in text
    assert "Recheck now" in get(client, page_of(anomaly("here")))
    post(client, LIST, action="recheck", _selected_action=anomaly("gone", GONE).pk)
    assert "checks of these anomalies are retired" in get(client, LIST)
    assert Scan.objects.count() == 2


def test_the_last_findings_of_a_removed_check_neither_degrade_nor_count_as_changes(
    client: Client, reviewer: User
) -> None:
    ScanCheck.objects.filter(check_name=STALE).update(count=0, new=0, ongoing=0)
    state = overview()
    assert [(card.name, card.last_run and card.last_run.new) for card in state.cards] == [(STALE, 0), (GONE, 1)]
    assert state.degraded == []
    assert {word: number for word, number, _ in state.changes}["new"] == 0
    CHECKS[GONE] = CHECKS[STALE]
    try:
        assert {word: number for word, number, _ in overview().changes}["new"] == 1
    finally:
        del CHECKS[GONE]


# --- Act -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("check", [GONE, "only_muted"])
def test_every_surface_ends_the_mute_of_a_retired_check(client: Client, reviewer: User, ask: Ask, check: str) -> None:
    def muted() -> Mute:
        return mute(check, until=in_days(1), by="bob", reason="x", sticky=True)

    muted()
    assert within("unmute_check", check) == (0, f"{check} is unmuted.\n", "")
    assert not Mute.objects.filter(ended_at=None).exists()
    muted()
    assert ask(f"/checks/{check}/mute", method="delete").status_code == 200
    assert not Mute.objects.filter(ended_at=None).exists()
    running = muted()
    assert f"{check} (retired)" in get(client, f"{OVERVIEW}mute/")
    post(client, f"{OVERVIEW}mute/{running.pk}/end/", reason="x")
    assert not Mute.objects.filter(ended_at=None).exists()


def test_every_surface_refuses_to_mute_a_retired_check(client: Client, reviewer: User, ask: Ask) -> None:
    problem = f"{GONE} is retired: it is no longer defined"
    code, _, error = within("mute_check", GONE, "--for", "7d", "--reason", "x")
    assert (code, problem in error) == (2, True)
    answer = ask(f"/checks/{GONE}/mute", MUTED)
    assert (answer.status_code, problem in answer.json()["detail"]) == (400, True)
    form = {"check_name": GONE, "length": "7d", "reason": "x", "database": "default"}
    assert escape(problem) in post(client, NEW_MUTE, status=400, **form).content.decode()
    assert not Mute.objects.exists()


def test_retired_anomalies_can_be_acknowledged_assigned_and_commented(client: Client, reviewer: User, ask: Ask) -> None:
    row = anomaly("gone", GONE)
    assert ask(f"/anomalies/{row.pk}/acknowledge", MUTED).json()["acknowledged"]["by"] == "ada"
    post(client, f"{LIST}{row.pk}/act/assign/", assignee="ann")
    post(client, f"{LIST}{row.pk}/act/comment/", comment="history")
    stored = anomaly("gone", GONE)
    assert (stored.assignee, stored.state) == ("ann", "new")
    assert stored.events.get(kind="commented").text == "history"
    assert listed("--state", "retired", "--silenced", "0") == {"forgotten"}
