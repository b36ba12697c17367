"""The upgrade of a database that Continuity 1.0.0 filled: upgrade_1_0_0.sql holds rows of 1.0.0."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection
from pytest_django import DjangoDbBlocker

from consistency.history.overview import overview
from consistency.history.queries import in_state, with_comments
from consistency.models import File
from consistency.models.history import Anomaly, Mute, Scan, ScanCheck
from consistency.notices.notice import notice_of
from tests.consistency.conftest import moved_to
from tests.consistency.data import a_file
from tests.consistency.history.data import REST, STALE, anomaly, changes, recorded
from tests.servers import Shared

DUMP = Path(__file__).with_name("upgrade_1_0_0.sql")
DATABASE = "upgrade_from_1_0_0"
ANOMALIES = """
SELECT check_name, object_id, detail, state, times_seen, last_seen, first_seen, appeared_at, appeared_scan, resolved_at,
    returned_count, acknowledged_by, acknowledged_at, acknowledged_until, acknowledged_reason, assignee, note
FROM consistency_anomaly ORDER BY appeared_at DESC, id DESC"""
SCANS = "SELECT * FROM consistency_scan ORDER BY id"
RUNS = "SELECT * FROM consistency_scancheck ORDER BY id"
MUTES = """
SELECT id, check_name, created_at, by, reason, until, sticky, mark, ended_at, ended_because
FROM consistency_mute ORDER BY id"""

Rows = list[dict[str, Any]]


def rows(query: str) -> Rows:
    with connection.cursor() as cursor:
        cursor.execute(query)
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


class Upgraded(NamedTuple):
    url: str
    before: dict[str, Rows]
    """Rows of 1.0.0 by table."""


@pytest.fixture(scope="module")
def upgraded(postgres_server: Shared, django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Upgraded]:
    with psycopg.connect(postgres_server.url, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {DATABASE}")
        url = urlsplit(postgres_server.url)._replace(path=f"/{DATABASE}").geturl()
        with django_db_blocker.unblock(), moved_to(url):
            before = _upgrade()
        yield Upgraded(url, before)
        server.execute(f"DROP DATABASE {DATABASE} WITH (FORCE)")


def _upgrade() -> dict[str, Rows]:
    for goal in (["auth"], ["admin"], ["consistency", "0005"]):
        call_command("migrate", *goal, verbosity=0)
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE django_content_type CASCADE")
        cursor.execute(DUMP.read_text())
        for table in re.findall("INSERT INTO (.+)", DUMP.read_text()):
            cursor.execute(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) FROM {table}")
    before = {"anomalies": rows(ANOMALIES), "scans": rows(SCANS), "mutes": rows(MUTES), "runs": rows(RUNS)}
    call_command("migrate", verbosity=0)
    return before


@pytest.fixture
def before(upgraded: Upgraded, django_db_blocker: DjangoDbBlocker) -> Iterator[dict[str, Rows]]:
    """Use the upgraded database; return the rows of 1.0.0. A test that changes rows uses `copied`."""
    with django_db_blocker.unblock(), moved_to(upgraded.url):
        yield upgraded.before


@pytest.fixture
def copied(upgraded: Upgraded, postgres_server: Shared, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    copy = f"{DATABASE}_copy"
    with psycopg.connect(postgres_server.url, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {copy} TEMPLATE {DATABASE}")
        with django_db_blocker.unblock(), moved_to(upgraded.url.replace(DATABASE, copy)):
            yield
        server.execute(f"DROP DATABASE {copy} WITH (FORCE)")


def kinds(object_id: str, check: str = STALE) -> list[tuple[str, str]]:
    """Return kind and author of the events of an anomaly, oldest first."""
    return list(anomaly(object_id, check).events.order_by("id").values_list("kind", "by"))


def test_scans_and_their_checks_are_as_before(before: dict[str, Rows]) -> None:
    # A scan of 1.0.0 has no baseline: the next scan accepts every table.
    assert rows(SCANS) == [scan | {"baseline": "{}"} for scan in before["scans"]]
    for run in before["runs"]:
        del run["doubted"]
        stored: Any = ScanCheck.objects.filter(pk=run["id"]).values().get()
        assert run == {name: stored[name] for name in run}
    runs = ScanCheck.objects.filter(check_name=STALE).order_by("scan_id").values_list("run", flat=True)
    assert list(runs) == [1, 2, 3, 4, 5, 6]
    assert list(ScanCheck.objects.filter(check_name="moody").values_list("run", flat=True)) == [1, None]


def test_anomalies_are_as_before_in_their_order(before: dict[str, Rows]) -> None:
    stored: Any = list(with_comments(Anomaly.objects.all()))
    assert [(row["check_name"], row["object_id"]) for row in before["anomalies"]] == [
        (found.check_name, found.object_id) for found in stored
    ]
    for row, found in zip(before["anomalies"], stored, strict=True):
        if (found.check_name, found.object_id) == (STALE, "e"):
            # Only one of the two passes of the last scan saw e: now that scan is the last that saw e.
            row["last_seen"] = Scan.objects.latest("pk").snapshot_at
        note = row.pop("note")
        assert row == {name: getattr(found, name) for name in row}
        assert [comment.text for comment in found.comments] == [note] * bool(note)


def test_a_note_of_1_0_0_is_a_comment_by_its_author_or_of_an_unknown_author(before: dict[str, Rows]) -> None:
    assert kinds("g")[-1] == ("commented", "ann")
    assert kinds("d")[-1] == ("commented", "unknown")
    assert anomaly("d").events.get(kind="commented").at == anomaly("d").appeared_at


def test_the_lists_by_state_are_as_before(before: dict[str, Rows]) -> None:
    for state in ("new", "returned", "ongoing", "resolved"):
        expected = {(row["check_name"], row["object_id"]) for row in before["anomalies"] if row["state"] == state}
        assert set(Anomaly.objects.filter(in_state(state)).values_list("check_name", "object_id")) == expected


def test_mutes_are_as_before_with_the_person_who_ended_them(before: dict[str, Rows]) -> None:
    assert rows(MUTES) == before["mutes"]
    ended, *running = Mute.objects.order_by("pk")
    assert (ended.ended_by, ended.ended_reason) == ("ann", "mended early")
    assert [(mute.ended_by, mute.ended_reason) for mute in running] == [("", ""), ("", "")]


def test_the_events_tell_what_the_rows_and_the_log_of_1_0_0_told(before: dict[str, Rows]) -> None:
    found, resolved, returned = ("found", ""), ("resolved", ""), ("returned", "")
    assert kinds("a") == [found, ("acknowledged", "ann"), resolved]
    assert kinds("b") == [found, ("acknowledged", "ada")]
    assert kinds("c") == [found, returned]
    assert kinds("e") == kinds("f") == [found, ("acknowledged", "ann"), ("assigned", "ann")]
    acts = ["acknowledged", "acknowledgement_ended", "assigned", "commented"]
    assert kinds("g") == [found, *((kind, "ann") for kind in acts)]
    assert kinds("h") == [found, resolved]
    assert kinds("old", "long_gone") == [found]
    for row in Anomaly.objects.all():
        appeared = row.events.filter(kind__in=["found", "returned"]).latest("id")
        assert (row.appeared_event, row.appeared_at, row.appeared_scan) == (appeared.pk, appeared.at, appeared.scan)
        last = row.events.filter(kind="resolved").first()
        assert row.resolved_event == (last and last.pk)


def test_the_next_scan_goes_on_from_there(copied: None) -> None:
    seen = {found.object_id: found.times_seen for found in Anomaly.objects.filter(check_name=STALE)}
    for name in "bcdefgi":
        a_file(name, "processing")
    a_file("left", "unregistered")
    result = recorded(STALE, REST)
    assert result.scan
    told = result.scan.changes
    assert (told.new, told.returned, told.resolved, told.ongoing) == (0, 0, 0, 8)
    assert notice_of(result) is None
    for name in "bcdefgi":
        assert (anomaly(name).state, anomaly(name).times_seen) == ("ongoing", seen[name] + 1)
    assert kinds("b")[-1] == ("acknowledgement_ended", "")
    assert [card.muted for card in overview().cards if card.name in (STALE, REST)] == [5, 1]
    File.objects.filter(pk="i").delete()
    a_file("a", "processing")
    assert changes(STALE) == (0, 1, 1, 6)
    assert (anomaly("a").state, anomaly("a").acknowledged_by, anomaly("i").state) == ("returned", None, "resolved")
    assert anomaly("i").times_seen == seen["i"] + 1
