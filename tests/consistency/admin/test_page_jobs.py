"""The page of one anomaly: the jobs of its file, and the way to check again."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import Value
from django.test import Client
from pytest_django import Settings

from consistency.history.current_state import MAX_JOBS, object_sql
from consistency.models import MonitorJob
from consistency.models.history import Anomaly
from consistency.registry import CHECKS, Finding
from identities.models import Identity
from tests.consistency.admin.pages import get, page_of, stale
from tests.consistency.conftest import Define
from tests.consistency.data import a_file, a_job
from tests.consistency.history.data import STALE, anomaly, recorded

pytestmark = pytest.mark.usefixtures("transactional_db")

START = datetime(2026, 1, 1, tzinfo=UTC)


@contextmanager
def altered(there: str, back: str) -> Iterator[None]:
    """While monitor_jobs is as a media server might have made it."""
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE monitor_jobs {there}")
        try:
            yield
        finally:
            cursor.execute(f"TRUNCATE monitor_jobs; ALTER TABLE monitor_jobs {back}")


def jobs_of(name: str, number: int) -> None:
    """So many, a day apart: the first is the oldest."""
    made = [MonitorJob(id=day, file_uuid=name, status="failed", created_at=day_of(day)) for day in range(1, number + 1)]
    MonitorJob.objects.bulk_create(made)


def day_of(number: int) -> datetime:
    return START + timedelta(days=number)


def section(text: str) -> str:
    return unescape(text.partition("The file and its jobs")[2].partition("</section>")[0])


def listed(text: str) -> list[str]:
    """The numbers of the jobs in the list, in order."""
    return re.findall(r"<li>job (\d+)", section(text))


def test_the_job_that_decides_is_drawn_and_named_though_it_names_another_file(client: Client, reviewer: User) -> None:
    a_job(9, "completed", of="b", created_at=day_of(0), finished_at=day_of(1))
    a_file("a", "processing", job=9)
    recorded("processing_job_done")
    text = get(client, page_of(Anomaly.objects.get()))
    assert "No job names this file." in text
    assert "its job_id names job 9." in text
    assert "job 9, completed (the file's job_id names it; it names another file, b): from 2026-01-01" in section(text)
    assert 'class="job completed named"' in text


def test_a_job_that_names_no_file_and_one_that_does_not_exist_are_told(client: Client, reviewer: User) -> None:
    a_job(9, "completed")
    a_file("a", "processing", job=9)
    a_file("b", "processing", job=10)
    recorded("orphaned_processing")
    assert "it names no file)" in get(client, page_of(anomaly("a", "orphaned_processing")))
    assert "its job_id names job 10, which does not exist." in get(client, page_of(anomaly("b", "orphaned_processing")))


def test_of_many_jobs_the_newest_are_shown_with_the_one_that_decides_and_it_says_how_many_there_are(
    client: Client, reviewer: User
) -> None:
    jobs_of("a", MAX_JOBS + 10)
    a_file("a", "processing", job=2)
    recorded("orphaned_processing")
    text = get(client, page_of(Anomaly.objects.get()))
    assert f"The newest {MAX_JOBS} of {MAX_JOBS + 10} jobs that name this file, and related jobs:" in text
    assert listed(text) == ["2", *map(str, range(11, MAX_JOBS + 11))]
    assert "job 2, failed (the file's job_id names it): from" in section(text)


def test_as_many_as_are_shown_are_all_and_no_word_says_otherwise(client: Client, reviewer: User) -> None:
    jobs_of("a", MAX_JOBS)
    a_file("a", "processing", job=MAX_JOBS)
    recorded("orphaned_processing")
    text = get(client, page_of(Anomaly.objects.get()))
    assert len(listed(text)) == MAX_JOBS
    assert "The newest" not in text


def test_the_job_that_an_anomaly_is_about_is_always_among_them(client: Client, reviewer: User) -> None:
    jobs_of("a", MAX_JOBS + 10)
    MonitorJob.objects.filter(pk=3).update(status="odd")
    a_file("a", "completed")
    recorded("unknown_status")
    text = get(client, page_of(anomaly("3", "unknown_status")))
    assert listed(text) == ["3", *map(str, range(11, MAX_JOBS + 11))]


def test_jobs_without_a_date_push_out_no_other_and_stay_in_the_list(client: Client, reviewer: User) -> None:
    stale("a")
    recorded(STALE)
    with altered("ALTER created_at DROP NOT NULL", "ALTER created_at SET NOT NULL"):
        jobs_of("a", MAX_JOBS - 1)
        MonitorJob.objects.bulk_create(MonitorJob(id=1000 + n, file_uuid="a", created_at=Value(None)) for n in range(2))
        MonitorJob.objects.filter(pk=1001).update(status="", finished_at=day_of(3))
        text = get(client, page_of(anomaly("a")))
        assert f"The newest {MAX_JOBS} of {MAX_JOBS + 1} jobs that name this file:" in text
        assert listed(text) == [*map(str, range(1, MAX_JOBS)), "1001"]
        assert "job 1001, no status: unknown start, to 2026-01-04" in text
        assert text.count('<rect class="job') == MAX_JOBS - 1
        MonitorJob.objects.filter(created_at__isnull=False).delete()
        text = get(client, page_of(anomaly("a")))
        assert listed(text) == ["1000", "1001"]
        assert 'class="line"' not in text


def test_times_without_a_zone_are_read_as_utc(client: Client, reviewer: User) -> None:
    stale("a")
    recorded(STALE)
    with altered("ALTER created_at TYPE timestamp", "ALTER created_at TYPE timestamptz"):
        jobs_of("a", 1)
        assert "job 1, failed: from 2026-01-02 00:00 UTC, has not ended" in get(client, page_of(anomaly("a")))


# --- External checks ----------------------------------------------------------------------------
def test_an_identity_without_its_file_shows_its_row_now_and_how_to_check_again_but_no_path(
    client: Client, reviewer: User, tmp_path: Path, settings: Settings
) -> None:
    settings.IDENTITIES_DIR = tmp_path
    (tmp_path / "_index.json").write_text("{}")
    Identity.objects.create(uuid="it's one", name="Ada Lovelace")
    recorded("identity_file_missing")
    one = Anomaly.objects.get()
    text = unescape(get(client, page_of(one)))
    assert '<pre tabindex="0">manage.py check_consistency identity_file_missing</pre>' in text
    assert "The database has the row of this identity." in text
    assert "Then and now" not in text
    assert str(tmp_path) not in text
    assert '<h1 class="target">Identity file missing: Ada Lovelace</h1>' in text
    assert "no identity.json in the folder it's one" in text
    (statement,) = object_sql(one)
    assert statement in text
    with connection.cursor() as cursor:
        cursor.execute(statement)
        assert [row[:2] for row in cursor.fetchall()] == [("it's one", "Ada Lovelace")]
    Identity.objects.all().delete()
    text = unescape(get(client, page_of(one)))
    assert "The database has no row of this identity." in text
    assert '<h1 class="target">Identity file missing: identity it\'s one</h1>' in text


def test_what_has_no_row_anywhere_still_says_how_to_check_again(client: Client, reviewer: User, define: Define) -> None:
    def outside(using: str) -> Iterator[Finding]:
        yield Finding(object_type="thing", object_id="1", detail="not plugged in")

    define("outside", outside, detail=None)
    recorded("outside")
    text = get(client, page_of(Anomaly.objects.get()))
    assert "recheck scans the whole check.</p>" in text
    assert "manage.py check_consistency outside" in text
    assert "for psql" not in text
    del CHECKS["outside"]
    text = get(client, page_of(Anomaly.objects.get()))
    assert "How to check again" not in text


def test_what_postgresql_can_be_asked_needs_no_command(client: Client, reviewer: User) -> None:
    stale("a")
    recorded(STALE)
    assert "How to check again" not in get(client, page_of(anomaly("a")))
