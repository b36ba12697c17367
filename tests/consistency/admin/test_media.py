"""Files and jobs in the admin: to look at, whatever is in them, however many they are."""

import re
from datetime import timedelta
from html import unescape
from typing import Any
from urllib.parse import urljoin

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from consistency.history import paginator
from consistency.history.suppression import mute
from consistency.models import File, MonitorJob
from identities.models import Identity
from tests.consistency.data import a_file, a_job
from tests.consistency.platforms import typed

pytestmark = pytest.mark.django_db

HOSTILE = "<script>alert(1)</script> \"' \x1b[31m \u202e.mp4"


@pytest.fixture
def page(client: Client) -> Any:
    client.force_login(User.objects.create_superuser("root"))

    def get(path: str, status: int = 200) -> str:
        answer = client.get(urljoin("/admin/consistency/", path), secure=True)
        assert answer.status_code == status
        return answer.content.decode()

    return get


def test_a_file_is_shown_with_its_job_even_if_that_is_gone(page: Any) -> None:
    a_file("dangling", "processing", job=99)
    a_file("alone", "processing")
    a_job(1, "running", of="working")
    a_file("working", "processing", job=1)
    for text in (page("file/"), page("file/dangling/change/")):
        assert '<a href="/admin/consistency/monitorjob/99/change/">99</a>' in text
    assert "dangling.mp4" in page("file/dangling/change/")
    assert '<div class="readonly">-</div>' in page("file/alone/change/")
    assert "running" in page("monitorjob/1/change/")


def test_rows_that_share_a_key_or_have_none_are_shown_in_a_table_without_primary_key(page: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE files DROP CONSTRAINT files_pkey; ALTER TABLE files ALTER file_uuid DROP NOT NULL")
        cursor.execute("INSERT INTO files (file_uuid, file_name) VALUES ('a', 'twice'), ('a', 'twice'), (NULL, 'none')")
    listed = page("file/")
    assert listed.count('<a href="/admin/consistency/file/a/change/">') == 2
    assert "none" in listed
    assert "file/None" not in listed
    text = page("file/a/change/")
    assert "2 rows have this key, and this is the first: see check_consistency duplicate_keys." in text
    assert "twice" in text


def test_rows_with_infinite_times_are_shown(page: Any) -> None:
    a_job(1, "completed", of="a")
    a_file("a", "processing", job=1)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE files SET created_at = '-infinity', updated_at = 'infinity'")
        cursor.execute("UPDATE monitor_jobs SET created_at = '-infinity', finished_at = 'infinity'")
    for text in (page("file/"), page("file/a/change/"), page("monitorjob/"), page("monitorjob/1/change/")):
        assert "9999-12-31 23:59 UTC" in text
    with connection.cursor() as cursor:
        # Milliseconds that were stored as seconds, and a year before Christ.
        cursor.execute("UPDATE files SET created_at = '0044-03-15 BC', updated_at = '57000-01-01'")
    for text in (page("file/"), page("file/a/change/")):
        assert "9999-12-31 23:59 UTC" in text


@pytest.mark.parametrize("path", ["file/add/", "monitorjob/add/"])
def test_nothing_can_be_added(page: Any, path: str) -> None:
    page(path, status=403)


def test_nothing_can_be_changed_or_deleted(page: Any, client: Client) -> None:
    a_file("a", "registered")
    text = page("file/a/change/")
    assert 'type="submit"' not in text.partition("<h1>")[2]
    page("file/a/delete/", status=403)
    answer = client.post("/admin/consistency/file/a/change/", {"status": "completed"}, secure=True)
    assert answer.status_code == 403
    client.post("/admin/consistency/file/", {"action": "delete_selected", "_selected_action": "a"}, secure=True)
    assert File.objects.get().status == "registered"


def test_a_hostile_name_is_only_text(page: Any) -> None:
    File.objects.create(file_uuid=HOSTILE, file_name=HOSTILE, file_path=HOSTILE, status=HOSTILE)
    MonitorJob.objects.create(id=7, file_uuid=HOSTILE, status=HOSTILE)
    Identity.objects.create(uuid=HOSTILE, name=HOSTILE, source=HOSTILE, metadata={"name": HOSTILE})
    for kind, inside in (("consistency/file", 3), ("consistency/monitorjob", 2), ("identities/identity", 3)):
        listed = page(f"../{kind}/")
        [address] = re.findall(rf'"(/admin/{kind}/[^"]+/change/)"', listed)
        for text, shown in ((listed, 2), (page(unescape(address)), inside)):
            assert "<script>alert" not in text
            assert "\u202e" not in text
            assert "\x1b" not in text
            assert text.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= shown
            assert text.count("\\u202e.mp4") >= shown


@pytest.mark.parametrize(
    ("path", "columns"),
    [
        ("file/", ["File uuid", "File name", "Status", "Job", "Updated at"]),
        ("mute/", ["Check", "State", "Reason", "By"]),
        ("../identities/identity/", ["Uuid", "Name", "Source", "Is active", "Updated at"]),
    ],
)
def test_columns_are_named_as_their_fields_are(page: Any, path: str, columns: list[str]) -> None:
    a_file("a", "processing")
    Identity.objects.create(uuid="a", name="a")
    mute("stale_processing", until=timezone.now() + timedelta(days=1), by="ann", reason="known")
    heads = re.findall(r'<div class="text">\s*<(?:a|span)[^>]*>([^<]*)<', page(path))
    assert heads == columns


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("?q=abc", {"abc1", "abc2"}),
        ("?q=abc1", {"abc1"}),
        ("?q=name", {"other"}),
        ("?q=bc", set()),
        ("?status__exact=processing", {"abc2"}),
        ("?q=ABC", set()),
    ],
)
def test_files_are_searched_by_prefix_and_filtered_by_status(page: Any, query: str, found: set[str]) -> None:
    a_file("abc1", "registered")
    a_file("abc2", "processing")
    File.objects.create(file_uuid="other", file_name="name of it", status="registered")
    text = page(f"file/{query}")
    assert {name for name in ("abc1", "abc2", "other") if f"/file/{name}/change/" in text} == found


@pytest.mark.parametrize(("query", "found"), [("?q=12", {"12"}), ("?q=abc", {"12", "120"}), ("?q=zzz", set())])
def test_jobs_are_searched_by_number_and_by_file(page: Any, query: str, found: set[str]) -> None:
    a_job(12, "running", of="abc")
    a_job(120, "running", of="abcd")
    a_job(7, "running", of="else")
    text = page(f"monitorjob/{query}")
    assert {name for name in ("12", "120", "7") if f"/monitorjob/{name}/change/" in text} == found


def test_a_page_asks_a_bounded_number_of_questions_and_counts_no_further_than_its_bound(
    page: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paginator, "MAX_COUNT", 120)
    for number in range(130):
        a_file(f"file {number:03}", "processing", job=number)
    with CaptureQueriesContext(connection) as queries:
        text = page("file/")
    assert len(queries) < 12
    assert "120+ files" in text
    counting = [query["sql"] for query in queries if "COUNT(" in query["sql"] and '"files"' in query["sql"]]
    assert counting
    assert all("LIMIT 121" in sql for sql in counting)
    assert "file 119" in page("file/?p=3")


def test_a_count_that_was_not_bounded_is_exact(page: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paginator, "MAX_COUNT", 2)
    for name in "ab":
        a_file(name, "registered")
    assert "2 files" in page("file/")
    a_file("c", "registered")
    assert "2+ files" in page("file/")
    assert str(paginator.AtLeast(10_000)) == "10,000+"


@pytest.fixture
def typed_columns() -> None:
    """A platform whose files have a key of type uuid and a status of type enum."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE files RENAME TO other_files; ALTER TABLE monitor_jobs RENAME TO other_jobs")
        cursor.execute(typed(key="uuid", job_key="uuid"))


@pytest.mark.usefixtures("typed_columns")
def test_words_that_a_columns_type_does_not_know_find_nothing(page: Any, client: Client) -> None:
    key = "6f1c2d9e-0000-4000-8000-00000000000a"
    a_file(key, "processing")
    for query in ("", "?status__exact=processing", "?q=6f1c"):
        assert "1 file" in page(f"file/{query}"), query
    for query in ("?status__exact=banana", "?q=zzz"):
        assert "0 files" in page(f"file/{query}"), query
    assert '<div class="readonly">processing</div>' in page(f"file/{key}/change/")
    page("file/?_facets=True")
    # Django's answer for no such row.
    missing = client.get("/admin/consistency/file/nope/change/", secure=True)
    assert (missing.status_code, missing["Location"]) == (302, "/admin/")
