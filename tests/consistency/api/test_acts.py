"""Actions over REST: acknowledge, mute and scan, and the permissions for each."""

from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone

from common.postgres.deadline import remaining
from consistency.history.locks import lock_anomalies
from consistency.history.overview import overview
from consistency.history.recorder import Recorder
from consistency.history.scanning import read_scan, record_scan
from consistency.history.suppression import acknowledge, mute
from consistency.models.history import Anomaly, AnomalyEvent, Mute, Scan, ScanCheck
from tests.consistency.api.data import API, Ask, scanned, told, two_checks
from tests.consistency.data import a_file

pytestmark = pytest.mark.usefixtures("transactional_db", "nobody_left")


def events() -> list[AnomalyEvent]:
    """Events that a person caused."""
    return list(AnomalyEvent.objects.exclude(by=""))


# --- Acts ------------------------------------------------------------------------------------------------
def test_an_anomaly_is_acknowledged_for_a_day_and_heard_again(ask: Ask, read: Ask) -> None:
    scanned("one")
    path = f"/anomalies/{Anomaly.objects.get().pk}/acknowledge"
    row = ask(path, {"for": "1d", "reason": "Being requeued."}).json()
    assert (row["acknowledged"]["by"], row["acknowledged"]["reason"]) == ("ada", "Being requeued.")
    [check] = [check for check in record_scan(two_checks(), trigger="api").report.outcomes if check.count]
    assert (check.count, check.acknowledged) == (1, 1)
    assert ask(path, method="delete").json()["acknowledged"] is None
    assert "not acknowledged" in ask(path, method="delete").json()["detail"]
    newest, first = AnomalyEvent.objects.exclude(by="")
    assert (first.kind, first.by, first.text.endswith(" UTC: Being requeued.")) == ("acknowledged", "ada", True)
    assert (newest.kind, newest.by) == ("acknowledgement_ended", "ada")


def test_what_is_resolved_cannot_be_acknowledged(ask: Ask) -> None:
    scanned("one")
    Anomaly.objects.update(resolved_at=timezone.now())
    answer = ask(f"/anomalies/{Anomaly.objects.get().pk}/acknowledge", {"for": "1d", "reason": "x"})
    assert (answer.status_code, events()) == (409, [])
    assert ask("/anomalies/999999/acknowledge", {"for": "1d", "reason": "x"}).status_code == 404


def test_an_acknowledgement_past_its_time_is_not_shown(read: Ask) -> None:
    scanned("one")
    past = timezone.now() - timedelta(minutes=1)
    Anomaly.objects.update(acknowledged_by="ada", acknowledged_until=past, acknowledged_reason="known")
    assert read("/anomalies").json()["anomalies"][0]["acknowledged"] is None
    assert told(read("/anomalies?silenced=0")) == ["one"]


def test_a_check_is_muted_for_a_week_and_unmuted(ask: Ask, read: Ask) -> None:
    scanned("one")
    until = (timezone.now() + timedelta(days=7)).isoformat()
    check = ask("/checks/stale_processing/mute", {"until": until, "reason": "Monday.", "sticky": True}).json()
    assert (check["mute"]["by"], check["mute"]["reason"], check["mute"]["sticky"]) == ("ada", "Monday.", True)
    row = read("/anomalies").json()["anomalies"][0]
    assert [row[f"muted_{word}"] for word in ("until", "by", "reason")] == [
        check["mute"][word] for word in ("until", "by", "reason")
    ]
    assert record_scan(two_checks(), trigger="api").report.status == "ok"
    assert ask("/checks/stale_processing/mute", method="delete").json()["mute"] is None
    assert record_scan(two_checks(), trigger="api").report.status == "degraded"
    assert ask("/checks/stale_processing/mute", method="delete").status_code == 404
    ended = Mute.objects.get()
    assert (ended.ended_because, ended.ended_by) == ("unmuted", "ada")


def test_what_is_silenced_over_rest_is_silent_at_once_on_every_surface(ask: Ask, read: Ask) -> None:
    """`count` stays; what is acknowledged and what else is muted stand beside it, in the same numbers everywhere."""
    scanned("one", "two", "three")

    def stands() -> set[tuple[int | None, int | None, int | None]]:
        [card] = [card for card in overview().cards if card.name == "stale_processing"]
        report = read_scan(two_checks()).outcomes[0]
        over_rest = read("/checks").json()["checks"][0]
        return {
            (card.open, card.acknowledged, card.muted),
            (report.count, report.acknowledged, report.muted),
            (over_rest["count"], over_rest["acknowledged"], over_rest["muted"]),
        }

    one = f"/anomalies/{Anomaly.objects.get(object_id='one').pk}/acknowledge"
    ask(one, {"for": "1d", "reason": "known"})
    assert stands() == {(3, 1, 0)}
    muted = ask("/checks/stale_processing/mute", {"for": "1d", "reason": "known"}).json()
    assert (muted["count"], muted["acknowledged"], muted["muted"]) == (3, 1, 2)
    assert stands() == {(3, 1, 2)}
    ask(one, method="delete")
    assert stands() == {(3, 0, 3)}
    ask("/checks/stale_processing/mute", method="delete")
    assert stands() == {(3, 0, 0)}


def test_the_mute_of_the_named_database_ends(ask: Ask) -> None:
    for database in ("default", "replica"):
        until = timezone.now() + timedelta(days=1)
        mute("stale_processing", until=until, by="bob", reason=database, database=database)
    assert ask("/checks/stale_processing/mute", method="delete").status_code == 200
    assert Mute.objects.get(database="default").ended_by == "ada"
    assert Mute.objects.get(ended_at=None).database == "replica"


def test_no_more_is_acknowledged_than_was_found(read: Ask) -> None:
    scanned("one", "two")
    acknowledge(
        Anomaly.objects.values_list("pk", flat=True), until=timezone.now() + timedelta(days=1), by="bob", reason="x"
    )
    ScanCheck.objects.update(count=1)
    check = read("/checks").json()["checks"][0]
    assert (check["count"], check["acknowledged"], check["muted"]) == (1, 1, 0)


def test_of_two_who_mute_at_one_moment_one_is_told(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    mute("stale_processing", until=timezone.now() + timedelta(days=1), by="bob", reason="known")
    # As if bob's had come between the end of the last one and ada's.
    monkeypatch.setattr("consistency.history.suppression._end_mute", lambda *_, **__: False)
    answer = ask("/checks/stale_processing/mute", {"for": "7d", "reason": "x"})
    assert (answer.status_code, list(answer.json())) == (409, ["detail"])
    assert Mute.objects.get().by == "bob"


def test_a_retired_check_is_unmuted_though_its_scans_are_forgotten(ask: Ask) -> None:
    mute("scratch", until=timezone.now() + timedelta(days=1), by="ada", reason="known")
    check = ask("/checks/scratch/mute", method="delete").json()
    assert (check["check"], check["retired"], check["scan"], check["mute"]) == ("scratch", True, None, None)
    assert ask("/checks/scratch/mute", method="delete").status_code == 404


def test_a_check_that_does_not_exist_cannot_be_muted(ask: Ask) -> None:
    answer = ask("/checks/stale_procesing/mute", {"for": "7d", "reason": "x"})
    assert answer.status_code == 404
    assert "Did you mean 'stale_processing'?" in answer.json()["detail"]
    answer = ask("/checks/stale_procesing/mute", method="delete")
    assert (answer.status_code, "Did you mean 'stale_processing'?" in answer.json()["detail"]) == (404, True)


def test_a_parameter_beside_a_body_is_refused_and_changes_nothing(ask: Ask) -> None:
    scanned("one")
    body = {"for": "1d", "reason": "x"}
    for path in (f"/anomalies/{Anomaly.objects.get().pk}/acknowledge", "/checks/stale_processing/mute", "/scans"):
        answer = ask(f"{path}?database=replica", {} if path == "/scans" else body)
        assert (answer.status_code, "takes no parameters" in answer.json()["detail"]) == (400, True)
    assert (Mute.objects.count(), events(), Scan.objects.count()) == (0, [], 1)


BODIES: list[tuple[Any, str]] = [
    ({}, "reason: This field is required."),
    ({"for": "1d", "reason": " "}, "reason: This field may not be blank."),
    ({"reason": "x"}, "Give either `for`"),
    ({"reason": "x", "for": "1d", "until": "2030-01-01T00:00:00Z"}, "Give either `for`"),
    ({"reason": "x", "for": "soon"}, "for: 'soon' is not a length of time. Expected: a number and s, m, h, d or w"),
    ({"reason": "x", "for": ["1d"]}, "for: Not a valid string."),
    ({"reason": "x", "until": "soon"}, "until: 'soon' is not a time with a time zone, such as 2026-05-18T17:30:00Z"),
    ({"reason": "x", "until": "2030-01-01T00:00:00"}, "is not a time with a time zone"),
    ({"reason": "x", "until": "9999-12-31T23:59:59-23:59"}, "is not a time with a time zone"),
    ({"reason": "x", "until": 1795575000}, "until: Not a valid string."),
    ({"reason": 5, "for": "1d"}, "reason: Not a valid string."),
    ({"reason": "a\ud800b", "for": "1d"}, "reason: Surrogate characters are not allowed"),
    ({"reason": "x", "until": "2001-01-01T00:00:00Z"}, "the end must lie in the future"),
    ({"reason": "x", "until": "9999-12-31T23:59:59Z"}, "the end must lie in the future, at most"),
    ({"reason": "x", "for": "1000d"}, "the end must lie in the future, at most"),
    ({"reason": "x", "for": "99999999w"}, "the end must lie in the future, at most"),
    ({"reason": "x", "for": "1d", "stiky": True}, "unknown key 'stiky'."),
    ({"reason": "x\0", "for": "1d"}, "reason: Null characters are not allowed."),
    (["x"], "The body must be a JSON object"),
    ([], "The body must be a JSON object"),
    ('"x"', "The body must be a JSON object"),
    ("0", "The body must be a JSON object"),
]


@pytest.mark.parametrize(("body", "words"), BODIES)
def test_a_bad_body_is_told_what_is_allowed_and_changes_nothing(ask: Ask, body: Any, words: str) -> None:
    scanned("one")
    for path in (f"/anomalies/{Anomaly.objects.get().pk}/acknowledge", "/checks/stale_processing/mute"):
        answer = ask(path, body)
        assert answer.status_code == 400, answer.content
        assert words in answer.json()["detail"]
    assert (Mute.objects.count(), Anomaly.objects.get().acknowledged_until, events()) == (0, None, [])


@pytest.mark.parametrize("sticky", [1, "true", "yes", None])
def test_sticky_is_true_or_false(ask: Ask, sticky: Any) -> None:
    scanned("one")
    answer = ask("/checks/stale_processing/mute", {"reason": "x", "for": "1d", "sticky": sticky})
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith("sticky: ")
    assert Mute.objects.count() == 0


def test_scan_now_records_and_says_where(ask: Ask, read: Ask) -> None:
    a_file("one", "nonsense")
    answer = ask("/scans", {"tags": ["vocabulary"]})
    scan = Scan.objects.get()
    assert (answer.status_code, answer["Location"]) == (201, f"{API}/scans/{scan.pk}")
    assert answer.json()["recorded"] == {"scan": scan.pk, "new": 1, "returned": 0, "resolved": 0, "mutes_ended": []}
    assert (scan.trigger, scan.actor) == ("api", "ada")
    assert read(answer["Location"].removeprefix(API)).status_code == 200
    only = ask("/scans", {"checks": ["unknown_status"]}).json()
    assert [check["check"] for check in only["checks"]] == ["unknown_status"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"checks": ["stale"]}, "Did you mean 'stale_processing'?"),
        ({"tags": ["job"]}, "Did you mean 'jobs'?"),
        ({"database": "replica"}, "Allowed: default."),
        ({"check": ["stale_processing"]}, "unknown key 'check'. Did you mean 'checks'?"),
        ({"checks": "stale_processing"}, "Expected a list of items"),
        ([], "The body must be a JSON object"),
        ("false", "The body must be a JSON object"),
    ],
)
def test_a_bad_scan_is_told_what_is_allowed(ask: Ask, body: Any, words: str) -> None:
    answer = ask("/scans", body)
    assert answer.status_code == 400
    assert words in answer.json()["detail"]
    assert Scan.objects.count() == 0


def test_a_scan_while_another_records_is_409(ask: Ask) -> None:
    with Recorder("default", trigger="command", actor="cron", seconds=10):
        answer = ask("/scans", {})
    assert (answer.status_code, list(answer.json()), answer["Retry-After"]) == (409, ["detail"], "10")
    assert ask("/scans", {}).status_code == 201


def test_an_acknowledgement_while_a_scan_is_written_is_409(ask: Ask) -> None:
    scanned("one")
    path = f"/anomalies/{Anomaly.objects.get().pk}/acknowledge"
    with closing(connections.create_connection("default")) as other, other.cursor() as cursor:
        other.set_autocommit(False)
        lock_anomalies(cursor)
        answers = [ask(path, {"for": "1d", "reason": "x"}), ask(path, method="delete")]
        other.rollback()
    assert [(answer.status_code, answer["Retry-After"]) for answer in answers] == [(409, "10")] * 2


@pytest.mark.parametrize(("pause", "seconds"), [(0, 30), (1, 41)])
def test_a_scan_may_wait_for_its_looks_and_its_recording(
    ask: Ask, settings: Any, monkeypatch: pytest.MonkeyPatch, pause: int, seconds: int
) -> None:
    settings.CONSISTENCY_CONFIRM, left = pause, []

    def seen(*checks: Any, **more: Any) -> Any:
        left.append(remaining() or 0.0)
        return record_scan(*checks, **more)

    monkeypatch.setattr("consistency.api.views.record_scan", seen)
    assert ask("/scans", {}).status_code == 201
    assert seconds - 5 < left[0] <= seconds


def test_a_scan_that_saw_less_than_the_last_recorded_one_is_409(ask: Ask) -> None:
    scanned()
    Scan.objects.update(snapshot_at=timezone.now() + timedelta(hours=1))
    answer = ask("/scans", {})
    assert (answer.status_code, list(answer.json()), Scan.objects.count()) == (409, ["detail"], 1)
    assert "later snapshot" in answer.json()["detail"]


def test_a_report_that_cannot_be_recorded_stands(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consistency.history.statements.PREVIOUS_RUNS", "SELECT 1 / 0, %s, %s")
    answer = ask("/scans", {})
    assert (answer.status_code, answer.json()["status"], answer.json()["recorded"]) == (200, "ok", None)
    assert answer.json()["problem"].endswith("PostgreSQL refused")
