"""A file, its jobs and its anomalies lead to each other."""

import re
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client

from consistency.history import current_state
from consistency.models import MonitorJob
from consistency.models.history import Anomaly
from tests.consistency.admin.pages import HOSTILE, LIST, OVERVIEW, get, page_of
from tests.consistency.conftest import Define
from tests.consistency.data import a_file, a_job, delete_files
from tests.consistency.history.data import STALE, anomaly, recorded

pytestmark = pytest.mark.usefixtures("transactional_db")
FILE, JOB = f"{OVERVIEW}file/a/change/", f"{OVERVIEW}monitorjob/7/change/"


@pytest.fixture
def some(transactional_db: None, define: Define) -> None:
    """Record anomalies of a file and of its job 7, and a resolved one of the file."""
    define("jobs", lambda: MonitorJob.objects.filter(id=7))
    a_file("a", "processing")
    a_job(7, "failed", of="a")
    a_job(8, "completed", of="a")
    a_job(9, "running", of="b")
    recorded(STALE, "jobs")


def links(text: str, model: str) -> list[str]:
    content = text.partition('id="content-main"')[2]
    return re.findall(rf'href="{OVERVIEW}{model}/([^"/]*)/change/"', content)


@pytest.mark.usefixtures("some")
def test_a_file_a_job_and_an_anomaly_lead_to_each_other(client: Client, person: Callable[..., User]) -> None:
    person("view_file", "view_monitorjob", "view_anomaly")
    of_file, of_job = anomaly("a").pk, anomaly("7", "jobs").pk
    text = get(client, FILE)
    assert links(text, "monitorjob") == ["8", "7"]
    assert set(links(text, "anomaly")) == {str(of_file), str(of_job)}
    assert ": failed" in text
    assert "job_id is null" in text
    text = get(client, JOB)
    assert links(text, "file") == ["a"]
    assert links(text, "anomaly") == [str(of_job)]
    assert f'href="{FILE}"' in get(client, page_of(anomaly("a")))


@pytest.mark.usefixtures("some")
def test_resolved_anomalies_are_listed_last_with_their_state(client: Client, person: Callable[..., User]) -> None:
    person("view_file", "view_anomaly")
    delete_files()
    a_file("a", "completed")
    recorded(STALE)
    text = get(client, FILE)
    assert links(text, "anomaly") == [str(anomaly("7", "jobs").pk), str(anomaly("a").pk)]
    assert f"{STALE}</a>: resolved, job_id is null" in text


@pytest.mark.usefixtures("some")
def test_links_need_the_permission_to_see_their_rows(client: Client, person: Callable[..., User]) -> None:
    person("view_file", "view_monitorjob")
    assert links(get(client, FILE), "anomaly") == links(get(client, JOB), "anomaly") == []
    person("view_file", name="bob")
    assert links(get(client, FILE), "monitorjob") == []
    person("view_monitorjob", name="eve")
    assert links(get(client, JOB), "file") == []


def test_a_file_without_jobs_and_anomalies_says_so(client: Client, person: Callable[..., User]) -> None:
    person("view_file", "view_monitorjob", "view_anomaly")
    a_file("a", "registered")
    assert get(client, FILE).count(">none</div>") == 2


def test_a_file_of_many_jobs_lists_the_newest(
    client: Client, person: Callable[..., User], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(current_state, "MAX_JOBS", 2)
    person("view_file", "view_monitorjob")
    a_file("a", "registered", job=5)
    for number in range(5, 9):
        a_job(number, "failed", of="a")
    text = get(client, FILE)
    assert "older: 1" in text
    assert len(links(text, "monitorjob")) == 1 + 3


def test_jobs_that_cannot_be_read_leave_the_rest_of_the_page(
    client: Client, person: Callable[..., User], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(current_state, "READ_TIMEOUT", 0.0)
    person("view_file", "view_monitorjob")
    a_file("a", "registered")
    text = get(client, FILE)
    assert "could not be read: " in text
    assert "a.mp4" in text


def test_hostile_texts_of_jobs_and_anomalies_are_only_text(client: Client, person: Callable[..., User]) -> None:
    person("view_file", "view_monitorjob", "view_anomaly")
    a_file("a", "processing")
    a_job(7, HOSTILE, of="a")
    recorded(STALE)
    Anomaly.objects.update(detail=HOSTILE)
    text = get(client, FILE)
    assert "<script>alert" not in text
    assert "\x1b" not in text
    assert text.count("&lt;script&gt;alert(1)") == 2
    assert LIST in text
