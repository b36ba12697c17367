"""History outlives code and settings: a check that was removed, and a database, show as retired on every surface."""

import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils.html import escape

from consistency.history.overview import overview
from consistency.history.silence import mute
from consistency.models.history import Anomaly, Mute, Scan, ScanCheck
from consistency.registry import CHECKS
from tests.consistency.admin.pages import LIST, OVERVIEW, get, page_of, post, shown, stale
from tests.consistency.api.data import Ask
from tests.consistency.history.data import STALE, anomaly, in_days, recorded
from tests.consistency.processes import within

pytestmark = pytest.mark.usefixtures("transactional_db")

GONE, FORGOTTEN, OLD = "long_gone", "long_forgotten", "olddb"
MUTED: dict[str, Any] = {"for": "7d", "reason": "x"}
NEW_MUTE = "/admin/consistency/mute/new/"


@pytest.fixture
def past() -> None:
    """One stale file of today, one of a database that was removed, one that a removed check found, and one that a
    check found whose scans are forgotten, too.
    """
    stale("here", "there", "gone", "forgotten")
    recorded(STALE)
    recorded(STALE)
    last, older = Scan.objects.all()
    Anomaly.objects.filter(object_id="there").update(database=OLD, state="new")
    Anomaly.objects.filter(object_id="gone").update(check_name=GONE, state="new", appeared_scan=last.pk)
    Anomaly.objects.filter(object_id="forgotten").update(check_name=FORGOTTEN)
    Scan.objects.filter(pk=older.pk).update(database=OLD)
    older.checks.update(database=OLD)
    ScanCheck.objects.create(
        scan=last, database="default", check_name=GONE, severity=2, outcome="found", count=1, new=1, duration_ms=1
    )


def listed(*arguments: str) -> set[str]:
    out = within("show_anomalies", "--format", "json", *arguments)[1]
    return {row["object_id"] for row in json.loads(out)["anomalies"]}


def in_admin(client: Client, query: str) -> set[str]:
    return set(Anomaly.objects.filter(pk__in=shown(get(client, f"{LIST}?{query}"))).values_list("object_id", flat=True))


# --- Read ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("check", GONE, {"gone"}),
        ("check", FORGOTTEN, {"forgotten"}),
        ("database", OLD, {"there"}),
        ("state", "retired", {"there", "gone", "forgotten"}),
        ("state", "all", {"here", "there", "gone", "forgotten"}),
    ],
)
def test_what_is_retired_is_asked_for_everywhere_by_the_same_words(
    client: Client, reviewer: User, read: Ask, past: None, name: str, value: str, found: set[str]
) -> None:
    assert listed(f"--{name}", value) == found
    rows = read(f"/anomalies?{name}={value}").json()["anomalies"]
    assert {row["object_id"] for row in rows} == found
    assert {row["object_id"] for row in rows if row["retired"]} == found - {"here"}
    assert in_admin(client, f"{name}={value}") == found


def test_scans_of_a_database_that_was_removed_are_shown(client: Client, reviewer: User, read: Ask, past: None) -> None:
    scan = Scan.objects.get(database=OLD)
    told = json.loads(within("show_scans", "--database", OLD, "--format", "json")[1])["scans"]
    assert told == read(f"/scans?database={OLD}").json()["scans"]
    assert [(one["id"], one["checks"][0]["retired"]) for one in told] == [(scan.pk, True)]
    assert f"scan/{scan.pk}/change/" in get(client, f"{OVERVIEW}scan/?database={OLD}")
    checks = read(f"/checks?database={OLD}").json()["checks"]
    assert {check["retired"] for check in checks} == {True}
    assert (checks[0]["check"], checks[0]["scan"], checks[0]["title"]) == (STALE, scan.pk, CHECKS[STALE].title)


def test_the_checks_over_rest_are_all_that_the_lists_know(read: Ask, past: None) -> None:
    checks = {check["check"]: check["retired"] for check in read("/checks").json()["checks"]}
    assert checks == dict.fromkeys(CHECKS, False) | {GONE: True, FORGOTTEN: True}


@pytest.mark.parametrize(
    ("name", "value", "lacks"), [("check", "stail_processing", [STALE, GONE, FORGOTTEN]), ("database", "old", [OLD])]
)
def test_what_nobody_knows_is_told_with_all_that_there_is(
    read: Ask, past: None, name: str, value: str, lacks: list[str]
) -> None:
    answers = [read(f"/anomalies?{name}={value}").json()["detail"], within("show_anomalies", f"--{name}", value)[2]]
    given = {"check": STALE, "database": "default"} | {name: value}
    answers.append(within("unmute_check", given["check"], "--database", given["database"])[2])
    for told in answers:
        assert told == answers[0]
        assert told.startswith(f"unknown {name} {value!r}. Did you mean ")
        assert set(lacks) < set(told.partition("Allowed: ")[2].removesuffix(".").split(", "))


def test_in_the_admin_it_is_marked_and_cannot_be_asked_again(client: Client, reviewer: User, past: None) -> None:
    rows = get(client, f"{LIST}?state=all")
    assert rows.count(f"{GONE} (retired)<br>") == 1
    assert rows.count(f"{STALE} (retired)<br>") == 1
    assert f">{OLD} (retired)</a>" in rows
    for name, why in {"gone": "This check is retired", "there": f"database &#x27;{OLD}&#x27; is no longer"}.items():
        text = get(client, page_of(anomaly(name, GONE if name == "gone" else STALE)))
        assert why in text
        assert '<span class="badge past">retired</span>' in text
        assert "Recheck now" not in text
        assert "Mute this check" not in text
    assert "Recheck now" in get(client, page_of(anomaly("here")))


def test_to_recheck_it_says_why_that_cannot_be(client: Client, reviewer: User, past: None) -> None:
    for name, why in {"gone": "checks are retired", "there": f"Database &#x27;{OLD}&#x27; is retired"}.items():
        post(client, LIST, action="recheck", _selected_action=Anomaly.objects.get(object_id=name).pk)
        assert why in get(client, LIST)
    assert Scan.objects.count() == 2


def test_the_overview_of_a_database_that_was_removed_is_history(client: Client, reviewer: User, past: None) -> None:
    Scan.objects.update(recorded_at=in_days(-300))
    assert overview().status == "degraded"
    told = overview(OLD)
    assert (told.status, told.too_old, told.degraded) == ("retired", None, [])
    text = get(client, f"{OVERVIEW}?database={OLD}")
    assert f"do not name the database {OLD} any more" in text
    card = text.partition(f'id="check-{STALE}"')[2].partition("</article>")[0]
    assert '<span class="badge past">retired</span>' in card
    assert f"check={STALE}&amp;state=open&amp;database={OLD}" in card
    assert "mute/new" not in text
    assert "Scan now" not in text
    assert "Scan now" in get(client, f"{OVERVIEW}?database=nope")


def test_what_a_removed_check_found_last_is_no_news_and_makes_nothing_degraded(
    client: Client, reviewer: User, past: None
) -> None:
    ScanCheck.objects.filter(check_name=STALE, database="default").update(count=0, new=0, ongoing=0)
    told = overview()
    assert [(card.name, card.answered and card.answered.new) for card in told.cards] == [(STALE, 0), (GONE, 1)]
    assert told.degraded == []
    assert {word: number for word, number, _ in told.news}["new"] == 0
    assert in_admin(client, "news=1&state=all&database=default") == set()
    CHECKS[GONE] = CHECKS[STALE]
    try:
        assert {word: number for word, number, _ in overview().news}["new"] == 1
    finally:
        del CHECKS[GONE]


# --- Act -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("check", "database"), [(GONE, "default"), (STALE, OLD), ("only_muted", OLD)])
def test_its_mute_can_be_ended_everywhere(
    client: Client, reviewer: User, ask: Ask, past: None, check: str, database: str
) -> None:
    def muted() -> Mute:
        return mute(check, until=in_days(1), by="bob", reason="x", sticky=True, database=database)

    muted()
    assert within("unmute_check", check, "--database", database) == (0, f"{check} is unmuted.\n", "")
    assert not Mute.objects.filter(ended_at=None).exists()
    one = muted()
    assert ask(f"/checks/{check}/mute?database={database}", method="delete").status_code == 200
    assert not Mute.objects.filter(ended_at=None).exists()
    one = muted()
    of = "" if database == "default" else f" of {database}"
    assert f"{check}{of} (retired)" in get(client, f"{OVERVIEW}mute/")
    post(client, f"{OVERVIEW}mute/{one.pk}/end/", reason="x")
    assert not Mute.objects.filter(ended_at=None).exists()


@pytest.mark.parametrize(
    ("check", "database", "words"),
    [
        (GONE, "default", f"{GONE} is retired: it is not defined any more, so it decides nothing"),
        (FORGOTTEN, "default", f"{FORGOTTEN} is retired"),
        (STALE, OLD, f"database {OLD!r} is retired: the settings do not name it any more"),
    ],
)
def test_to_mute_it_is_refused_with_the_reason_everywhere(
    client: Client, reviewer: User, ask: Ask, past: None, check: str, database: str, words: str
) -> None:
    code, _, told = within("mute_check", check, "--for", "7d", "--reason", "x", "--database", database)
    assert (code, words in told) == (2, True)
    answer = ask(f"/checks/{check}/mute", MUTED | {"database": database})
    assert (answer.status_code, words in answer.json()["detail"]) == (400, True)
    sent = {"check_name": check, "length": "7d", "reason": "x", "database": database}
    assert escape(words) in post(client, NEW_MUTE, status=400, **sent).content.decode()
    assert not Mute.objects.exists()


def test_what_it_found_can_be_acknowledged_assigned_and_noted(
    client: Client, reviewer: User, ask: Ask, past: None
) -> None:
    for name in ("gone", "there"):
        one = Anomaly.objects.get(object_id=name)
        assert ask(f"/anomalies/{one.pk}/acknowledge", MUTED).json()["acknowledged"]["by"] == "ada"
        post(client, f"{LIST}{one.pk}/act/assign/", assignee="ann")
        post(client, f"{LIST}{one.pk}/act/note/", note="history")
        one.refresh_from_db()
        assert (one.assignee, one.note, one.state) == ("ann", "history", "new")
    assert listed("--state", "retired", "--silenced", "0") == {"forgotten"}
