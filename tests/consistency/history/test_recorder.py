"""Recording: the changes that a scan makes in the history."""

import base64
import hashlib
from dataclasses import replace
from typing import Any

import pytest
from django.db import connection
from django.db.models import TextField, Value

from consistency.history.current_state import anomalies_of_same_file
from consistency.history.queries import starts_with
from consistency.history.scanning import record_scan
from consistency.history.suppression import acknowledge
from consistency.models import File
from consistency.models.history import Anomaly, AnomalyEvent, Scan, ScanCheck
from consistency.registry import CHECKS, CheckError, Finding, Severity
from tests.consistency.conftest import Define
from tests.consistency.data import a_file, a_job, delete_files
from tests.consistency.history.data import (
    REST,
    STALE,
    anomaly,
    changes,
    events,
    in_days,
    moody,
    outcome,
    recorded,
)

pytestmark = pytest.mark.usefixtures("transactional_db")


def test_anomalies_are_new_ongoing_resolved_and_returned() -> None:
    a_file("a", "processing")
    assert changes() == (1, 0, 0, 0)
    first = anomaly("a")
    assert (first.state, first.times_seen, first.returned_count, first.resolved_at) == ("new", 1, 0, None)
    assert (first.file_uuid, first.file_name, first.status, first.severity) == ("a", "a.mp4", "processing", 2)
    assert changes() == (0, 0, 0, 1)
    File.objects.update(status="completed")
    assert changes() == (0, 0, 1, 0)
    assert (anomaly("a").state, anomaly("a").times_seen) == ("resolved", 2)
    assert anomaly("a").resolved_at is not None
    assert changes() == (0, 0, 0, 0)
    File.objects.update(status="processing")
    assert changes() == (0, 1, 0, 0)
    again = anomaly("a")
    assert (again.state, again.returned_count, again.resolved_at) == ("returned", 1, None)
    assert (again.first_seen, again.times_seen) == (first.first_seen, 3)
    assert again.last_seen > first.last_seen
    assert changes() == (0, 0, 0, 1)
    assert anomaly("a").state == "ongoing"
    assert events("a") == ["found", "resolved", "returned"]


def test_an_anomaly_has_the_time_and_number_of_the_scan_that_found_it_or_in_which_it_returned() -> None:
    def appeared() -> tuple[Any, int]:
        return anomaly("a").appeared_at, anomaly("a").appeared_scan

    a_file("a", "processing")
    first = recorded()
    assert first.scan
    recorded()
    assert appeared() == (first.report.checked_at, first.scan.id) == (anomaly("a").first_seen, first.scan.id)
    File.objects.update(status="completed")
    recorded()
    assert appeared() == (first.report.checked_at, first.scan.id)
    File.objects.update(status="processing")
    back = recorded()
    assert back.scan
    recorded()
    assert appeared() == (back.report.checked_at, back.scan.id)
    assert anomaly("a").first_seen == first.report.checked_at


def test_an_unchanged_scan_writes_no_anomaly_and_no_event() -> None:
    def stored() -> tuple[Any, int]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT xmin::text, ctid::text, a.* FROM consistency_anomaly a ORDER BY id")
            return cursor.fetchall(), AnomalyEvent.objects.count()

    for name in ("acknowledged", "assigned", "open", "resolved"):
        a_file(name, "processing")
    recorded()
    acknowledge([anomaly("acknowledged").pk], until=in_days(1), by="ann", reason="why")
    Anomaly.objects.filter(object_id="assigned").update(assignee="ann")
    delete_files(pk="resolved")
    recorded()
    before = stored()
    seen = {found.object_id: (found.times_seen, found.last_seen) for found in Anomaly.objects.all()}
    last = recorded()
    assert stored() == before
    for found in Anomaly.objects.all():
        times, at = seen[found.object_id]
        went_on = (times, at) if found.resolved_at else (times + 1, last.report.checked_at)
        assert (found.times_seen, found.last_seen) == went_on


def test_a_scan_is_stored_with_each_check_also_one_that_could_not_run(define: Define) -> None:
    def broken() -> Any:
        raise CheckError("no luck")

    define("broken", broken)
    result = recorded(STALE, "broken")
    scan = Scan.objects.get()
    assert result.scan
    assert result.scan.as_dict() == {"scan": scan.pk, "new": 0, "returned": 0, "resolved": 0, "mutes_ended": []}
    assert (scan.trigger, scan.actor, scan.database, scan.complete) == ("command", "tester", "default", False)
    assert scan.snapshot_at == result.report.checked_at
    rows = ScanCheck.objects.values_list("check_name", "outcome", "count", "run", "error")
    assert list(rows) == [(STALE, "clean", 0, 1, ""), ("broken", "could_not_run", None, None, "no luck")]


def test_the_values_of_an_anomaly_are_those_of_the_last_scan(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "duplicate_active_jobs"
    a_file("f", "registered")
    for number in (1, 2):
        a_job(number, "running", of="f")
    recorded(name)
    File.objects.update(file_name="renamed.mp4", status="completed")
    monkeypatch.setitem(CHECKS, name, replace(CHECKS[name], severity=Severity.ERROR))
    recorded(name)
    found = anomaly("1", name)
    assert (found.file_name, found.status, found.severity) == ("renamed.mp4", "completed", Severity.ERROR)


def test_a_scan_of_external_checks_alone_has_no_time_of_the_database(define: Define) -> None:
    def external(using: str) -> Any:
        yield Finding(object_type="thing", object_id="1", detail="broken")

    define("external", external, detail=None)
    recorded("external")
    assert Scan.objects.get().snapshot_at is None
    recorded("external", STALE)
    assert Scan.objects.latest("pk").snapshot_at is not None


def test_all_findings_are_recorded_whatever_the_limit() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO files (file_uuid, file_name, status)"
            " SELECT n::text, 'n', 'processing' FROM generate_series(1, 5000) n"
        )
    result = recorded(limit=3)
    assert (outcome(result).count, len(outcome(result).rows), outcome(result).truncated) == (5000, 3, True)
    assert [row["file_uuid"] for row in outcome(result).rows] == ["1", "10", "100"]
    assert Anomaly.objects.count() == 5000


def test_only_a_check_that_ran_resolves_anomalies(define: Define) -> None:
    mood = moody(define)
    a_file("a", "processing")
    assert changes("moody", STALE) == (2, 0, 0, 0)
    delete_files()
    mood.bad = True
    assert changes("moody", STALE) == (0, 0, 1, 0)
    assert anomaly("a", "moody").state == "new"
    mood.bad = False
    assert changes("moody") == (0, 0, 1, 0)


def test_a_check_that_did_not_run_resolves_nothing() -> None:
    a_file("a", "processing")
    recorded()
    delete_files()
    assert changes(REST) == (0, 0, 0, 0)
    assert anomaly("a").state == "new"


def test_each_database_has_a_history_of_its_own() -> None:
    a_file("a", "processing")
    recorded()
    Anomaly.objects.update(database="archive")
    ScanCheck.objects.update(database="archive")
    assert changes() == (1, 0, 0, 0)
    delete_files()
    assert changes() == (0, 0, 1, 0)
    assert Anomaly.objects.get(database="archive").state == "new"


def test_special_characters_of_copy_are_stored_as_they_are(define: Define) -> None:
    hostile = "a\\N\t\n\r\\. 'x' \u202e {1,2}\x0b"

    def external(using: str) -> Any:
        yield Finding(object_type="thing", object_id=hostile, detail=hostile + "\0")

    define("external", external, detail=None)
    File.objects.create(file_uuid=hostile, file_name=hostile, status="processing")
    assert changes("external", STALE) == (2, 0, 0, 0)
    stale, other = anomaly(hostile), anomaly(hostile, "external")
    assert (stale.file_uuid, stale.file_name, other.detail) == (hostile, hostile, hostile + "\\0")
    assert (other.file_uuid, other.object_type) == (None, "thing")


def incompressible(length: int) -> str:
    return base64.b85encode(hashlib.shake_256(b"seed").digest(length)).decode()[:length]


def test_a_name_longer_than_an_index_entry_is_recorded_and_listed_by_its_prefix(define: Define) -> None:
    # An entry of an index has 2,704 bytes at most, compressed.
    name, uuid = incompressible(5000), incompressible(2500)
    File.objects.create(file_uuid=uuid, file_name=name, status="registered")
    define("every", lambda: File.objects.all(), detail=Value("there"))
    define("any", lambda: File.objects.all(), detail=Value("there"))
    assert changes("every", "any") == (2, 0, 0, 0)
    assert changes("every", "any") == (0, 0, 0, 2)
    found = anomaly(uuid, "every")
    assert (found.file_name, list(anomalies_of_same_file(found))) == (name, [anomaly(uuid, "any")])
    for prefix, number in ((name[:50], 2), (name, 2), (name[:150] + "...", 0), (name[:99] + " ", 0)):
        assert Anomaly.objects.filter(starts_with(prefix, "file_name")).count() == number
    assert Anomaly.objects.filter(starts_with(uuid, "file_uuid", "object_id")).count() == 2


def test_an_identifier_longer_than_an_index_entry_is_a_problem_with_words(
    define: Define, caplog: pytest.LogCaptureFixture
) -> None:
    long = incompressible(5000)

    def external(using: str) -> Any:
        yield Finding(object_type="thing", object_id=long, detail="there")

    define("external", external, detail=None)
    result = record_scan([CHECKS["external"]], trigger="command")
    assert result.problem
    assert "a value is longer than PostgreSQL can index (about 2,700 bytes)" in result.problem
    assert not caplog.records
    assert not Scan.objects.exists()


def test_an_object_that_a_check_returns_twice_is_one_anomaly(define: Define) -> None:
    def twice(using: str) -> Any:
        yield Finding(object_type="thing", object_id="1", detail="b")
        yield Finding(object_type="thing", object_id="1", detail="a")

    define("twice", twice, detail=None)
    assert changes("twice") == (1, 0, 0, 0)
    assert changes("twice") == (0, 0, 0, 1)
    assert anomaly("1", "twice").detail == "a"


def test_a_detail_that_is_null_is_empty(define: Define) -> None:
    define("speechless", lambda: File.objects.all(), detail=Value(None, output_field=TextField()))
    a_file("a", "processing")
    assert outcome(recorded("speechless", STALE), "speechless").rows[0]["detail"] == ""
    assert (anomaly("a", "speechless").detail, anomaly("a").detail) == ("", "job_id is null")


def test_the_anomaly_of_a_job_names_no_absent_file() -> None:
    a_job(7, "running", of="gone")
    assert changes("job_without_file") == (1, 0, 0, 0)
    found = anomaly("7", "job_without_file")
    assert (found.object_type, found.file_uuid) == ("job", None)
