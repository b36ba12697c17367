"""The search: which anomalies a term finds, and the trigram indexes that serve it."""

from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.models import Value
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from consistency.history import search as module
from consistency.history.search import INDEX, SearchTimeoutError, create_indexes, search
from consistency.history.suppression import assign, comment
from consistency.models import File, MonitorJob
from consistency.models.history import Anomaly, AnomalyEvent
from consistency.registry import Finding
from tests.consistency.conftest import Define
from tests.consistency.data import a_file, a_job
from tests.consistency.history.data import anomaly, recorded

pytestmark = pytest.mark.usefixtures("transactional_db")


def found(term: str) -> set[str]:
    """Return the objects of the anomalies that the search finds."""
    return {row.object_id for row in search(Anomaly.objects.all(), term)}


def named(**names: str) -> None:
    for uuid, name in names.items():
        File.objects.create(file_uuid=uuid, file_name=name, status="processing")
    recorded()


@pytest.mark.parametrize(
    ("term", "objects"),
    [
        ("News", {"aa"}),
        ("  news_0046 ", {"aa"}),
        ("/srv/media/2026/2026-05-01_NEWS_00463.mp4", {"aa"}),
        (r"D:\media\my holiday.mp4", {"bb"}),
        ("/srv/media/my holiday.mp4/", {"bb"}),
        ("y hol", {"bb"}),
        ("100%", {"cc"}),
        ("100_", set()),
        ("a_b", {"cc"}),
        ("axb", {"dd"}),
        (".mp4", {"aa", "bb", "cc", "dd"}),
        ("mp4 job", set()),
        ("ÜBER", {"ee"}),
        ("my", {"bb"}),
        ("MY", {"bb"}),
        ("ho", set()),
        ("B", {"bb"}),
        ("zzz", set()),
        ("job_id is null", {"aa", "bb", "cc", "dd", "ee"}),
    ],
)
def test_a_term_finds_any_part_of_a_name_in_any_case(term: str, objects: set[str]) -> None:
    named(
        aa="2026-05-01_news_00463.mp4",
        bb="my holiday.mp4",
        cc="100% a_b.mp4",
        dd="1000 axb.mp4",
        ee="die Überfahrt.mov",
    )
    assert found(term) == objects


def test_an_empty_term_finds_every_anomaly() -> None:
    named(aa="a.mp4")
    assert found("  ") == {"aa"}
    assert found("/") == found("a\0b") == set()


def test_a_whole_uuid_is_found_in_each_spelling() -> None:
    stored = {"e53fc1e9dbb6035fe53fc1e9dbb6035f": "a.mp4", "0a3fc1e9-dbb6-035f-e53f-c1e9dbb6035f": "b.mp4"}
    named(**stored)
    for uuid in stored:
        for term in (UUID(uuid).hex, str(UUID(uuid)), f"{{{str(UUID(uuid)).upper()}}}"):
            assert found(term) == {uuid}, term


def test_a_long_uuid_is_found_by_its_beginning_in_any_case() -> None:
    named(**{"c81e728d-9d4c": "a.mp4", "ffff728d": "b.mp4"})
    assert found("c81e728d") == found("C81E728D-9D4C") == found("/by-uuid/c81e") == {"c81e728d-9d4c"}


def test_a_job_is_found_by_its_number_in_objects_and_details(define: Define) -> None:
    define("jobs", lambda: MonitorJob.objects.all(), detail=Value("there"))
    for number in (17, 170):
        a_job(number, "done")
        a_file(f"of{number}", "processing", job=number)
    recorded("jobs", "orphaned_processing")
    assert found("job 17") == found("JOB #17") == {"17", "of17"}
    assert found("17") == {"17", "170", "of17"}
    assert found("170") == {"170", "of170"}


def test_an_identity_is_found_by_the_beginning_of_its_uuid(define: Define) -> None:
    def outside(using: str) -> Iterator[Finding]:
        yield Finding(object_type="identity", object_id="2f1b-one", detail="no row in identities")
        yield Finding(object_type="identity", object_id="9c-other", detail="no row in identities")

    define("outside", outside, detail=None)
    recorded("outside")
    assert found("2f1b") == {"2f1b-one"}
    assert found("one") == set()


def test_comments_and_assignees_are_searched() -> None:
    named(aa="a.mp4", bb="b.mp4", cc="c.mp4")
    comment([anomaly("aa").pk], text="Importer was down", by="ann")
    assign([anomaly("bb").pk], to="maria", by="ann", reason="importer broken")
    assert found("importer") == {"aa"}
    assert found("Mari") == {"bb"}


def test_more_matches_than_keys_are_found_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_KEYS", 1)
    named(aa="one.mp4", bb="two.mp4", cc="three.mov")
    comment([anomaly("cc").pk], text="not an mp4", by="ann")
    for term, objects in {"mp4": {"aa", "bb", "cc"}, "t": {"bb", "cc"}}.items():
        rows = search(Anomaly.objects.order_by("-appeared_event"), term)
        assert {row.object_id for row in rows} == objects


# --- Indexes ---------------------------------------------------------------------------------------------
@pytest.fixture
def without_extension() -> Iterator[None]:
    """Drop the extension with its indexes."""
    with connection.cursor() as cursor:
        cursor.execute("DROP EXTENSION pg_trgm CASCADE")
        yield
    call_command("migrate", verbosity=0)


def plan(term: str) -> str:
    """Return the plan of the search, with the parameters of the session as the search sets them."""
    with CaptureQueriesContext(connection) as queries:
        search(Anomaly.objects.all(), term)
    settings, sql = (next(q["sql"] for q in queries if word in q["sql"]) for word in ("set_config", "UNION"))
    with connection.cursor() as cursor:
        cursor.execute(f"BEGIN; {settings}; EXPLAIN {sql}")
        cursor.nextset()
        cursor.nextset()
        text = "\n".join(line for (line,) in cursor.fetchall())
        cursor.execute("ROLLBACK")
    return text


def test_the_indexes_serve_parts_of_texts() -> None:
    for term in ("news", "job 17"):
        text = plan(term)
        assert f"Bitmap Index Scan on {INDEX}" in text
        assert "Seq Scan" not in text, text
    AnomalyEvent.objects.bulk_create(
        AnomalyEvent(anomaly_id=1, kind="commented", at=timezone.now(), by="ann", text=f"clip {number}")
        for number in range(5000)
    )
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE consistency_anomalyevent")
    assert f"Bitmap Index Scan on {module.COMMENT_INDEX}" in plan("importer")


def test_migrate_creates_the_indexes_again_once(without_extension: None) -> None:
    named(aa="news.mp4")
    assert found("ews") == {"aa"}
    assert INDEX not in plan("news")
    call_command("migrate", verbosity=0)
    assert INDEX in plan("news")
    create_indexes()


def test_a_role_that_may_not_create_the_extension_goes_on(without_extension: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE ROLE reader; GRANT reader TO CURRENT_USER WITH SET TRUE")
        cursor.execute("GRANT ALL ON SCHEMA public TO reader; SET ROLE reader")
        try:
            create_indexes()
            cursor.execute("SELECT count(*) FROM pg_extension WHERE extname = 'pg_trgm'")
            assert cursor.fetchone() == (0,)
        finally:
            cursor.execute("RESET ROLE; DROP OWNED BY reader; DROP ROLE reader")


def test_the_extension_may_be_in_any_schema(without_extension: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA elsewhere; CREATE EXTENSION pg_trgm SCHEMA elsewhere")
        create_indexes()
        assert INDEX in plan("news")
        cursor.execute("DROP SCHEMA elsewhere CASCADE")


# --- Limit of time ---------------------------------------------------------------------------------------
@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Store many anomalies, and stop each search after a millisecond."""
    monkeypatch.setattr(module, "TIMEOUT", 0.001)
    now = timezone.now()
    Anomaly.objects.bulk_create(
        Anomaly(
            database="default", check_name="stale_processing", object_type="file", object_id=str(number), severity=2,
            detail="x" * 500, first_seen=now - timedelta(days=1), appeared_at=now, appeared_scan=1, appeared_run=1,
            appeared_event=number, returned_count=0,
        )
        for number in range(20_000)
    )  # fmt: skip


def test_a_search_that_takes_too_long_names_the_next_step(slow: None, without_extension: None) -> None:
    with pytest.raises(SearchTimeoutError, match=r"CREATE EXTENSION pg_trgm, then run manage\.py migrate"):
        search(Anomaly.objects.all(), "news")
    assert Anomaly.objects.count() == 20_000


def test_with_the_extension_a_term_without_three_letters_is_the_reason(slow: None) -> None:
    with pytest.raises(SearchTimeoutError, match="Search for three or more letters or digits in a row"):
        search(Anomaly.objects.all(), "- - -")
