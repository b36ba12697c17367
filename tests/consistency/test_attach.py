"""Attaching to an existing platform, step by step as docs/operate.md says, on databases of other owners."""

import json
import re
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db import connection

from consistency.history.scanning import read_scan
from consistency.models import File, MonitorJob
from consistency.registry import CHECKS, Query
from consistency.scan.engine import Engine
from consistency.scan.selection import default_checks
from health.probes.schema import OwnMigrations, compare_migrations
from health.registry import Degraded
from tests.consistency.conftest import Define, moved_to
from tests.consistency.platforms import OWN_STYLE, Platform, run_each, typed
from tests.consistency.processes import check_consistency, manage_each
from tests.consistency.test_plans import plan, seen, statements
from tests.documents import block, manage_commands

pytestmark = pytest.mark.usefixtures("transactional_db")

CONTENT = """
INSERT INTO monitor_jobs (id, file_uuid, status, finished_at) VALUES
    (1, '00000000-0000-0000-0000-00000000000a', 'completed', '2026-05-18 17:30:00'),
    (2, '00000000-0000-0000-0000-00000000000b', 'failed', NULL),
    (3, '00000000-0000-0000-0000-00000000000c', 'running', NULL),
    (4, '00000000-0000-0000-0000-00000000000c', 'pending', NULL),
    (5, '00000000-0000-0000-0000-0000000000ff', 'running', NULL);
INSERT INTO files (file_uuid, file_name, status, job_id) VALUES
    ('00000000-0000-0000-0000-00000000000a', 'a.mp4', 'processing', 1),
    ('00000000-0000-0000-0000-00000000000b', 'b.mp4', 'processing', 2),
    ('00000000-0000-0000-0000-00000000000c', 'c.mp4', 'processing', NULL),
    ('00000000-0000-0000-0000-00000000000d', 'd.mp4', 'processing', NULL),
    ('00000000-0000-0000-0000-00000000000e', NULL, 'processing', 99),
    ('00000000-0000-0000-0000-00000000000f', 'f.mp4', 'unregistered', NULL),
    ('00000000-0000-0000-0000-000000000010', 'g.mp4', 'Processing', NULL),
    ('00000000-0000-0000-0000-000000000011', 'h.mp4', NULL, NULL),
    ('00000000-0000-0000-0000-000000000012', 'i.mp4', 'completed', 1);
"""
FOUND = {
    "stale_processing": {"c": "job_id is null", "d": "job_id is null"},
    "orphaned_processing": {
        "a": "job 1 is completed",
        "b": "job 2 is failed",
        "d": "job_id is null and no job is active",
        "e": "job 99 does not exist",
    },
    "processing_job_done": {"a": "job 1 completed at 2026-05-18T17:30:00Z"},
    "unregistered_with_uuid": {"f": "row left over from a migration"},
    "unknown_status": {"10": "status is Processing", "11": "status is null"},
    "duplicate_active_jobs": {
        "3": "one of 2 active jobs of file 00000000-0000-0000-0000-00000000000c",
        "4": "one of 2 active jobs of file 00000000-0000-0000-0000-00000000000c",
    },
    "job_without_file": {"5": "no file has the file_uuid '00000000-0000-0000-0000-0000000000ff'"},
}


def short(row: dict[str, Any]) -> str:
    return str(row.get("object_id", row.get("file_uuid"))).rpartition("-")[2].lstrip("0")


def details(checks: list[dict[str, Any]]) -> dict[str, dict[str, str]]:
    return {check["check"]: {short(row): row["detail"] for row in check["files"]} for check in checks}


# --- Step by step ----------------------------------------------------------------------------------------
def indexes(media: Platform) -> set[str]:
    found = media.sql("SELECT indexname FROM pg_indexes WHERE tablename IN ('files', 'monitor_jobs')")
    return {name for (name,) in found if not name.endswith("_pkey")}


def administrator(media: Platform, role: str, url: str = "") -> None:
    """Step 1 for this role, which exists, without the grants of tables that do not; by the owner, or who is named."""
    there = {name for (name,) in media.sql("SELECT table_name FROM information_schema.tables")}
    for line in re.sub(
        r"\b(ROLE|TO|AUTHORIZATION|GRANT) continuity\b", rf"\1 {role}", block("attach-role")
    ).splitlines():
        table = re.search(r" ON (\w+) TO ", line)
        if not line.startswith("CREATE ROLE") and (table is None or table[1] in there):
            media.sql(line, url)


def tables(media: Platform, schema: str) -> set[str]:
    return {name for (name,) in media.sql(f"SELECT tablename FROM pg_tables WHERE schemaname = '{schema}'")}


MEDIA = {"files", "monitor_jobs", "schema_migrations", "identities", "runtime_switches"}
WANTED = {index.name for model in (File, MonitorJob) for index in model._meta.indexes}


def test_the_documented_steps_attach_a_role_that_owns_nothing_but_its_schema(media: Platform) -> None:
    media.sql(OWN_STYLE)
    media.sql("DROP TABLE schema_migrations")
    media.sql(CONTENT)
    columns = "SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = 'public'"
    before = media.sql(columns)
    role, url = media.reader()
    administrator(media, role)

    adopt, index, see = map(manage_commands, ("attach-migrate", "attach-indexes", "attach-scan"))
    *adopted, told, handed_over = manage_each(*adopt, ["check", "--database", "default"], *index, database_url=url)
    assert [done.code for done in (*adopted, told, handed_over)] == [0] * (len(adopt) + 2)
    assert (media.sql(columns), indexes(media)) == (before, set())
    assert {"auth_user", "django_migrations"} <= tables(media, "continuity")
    assert tables(media, "continuity") & MEDIA == set()
    assert all(f"lacks the index {name}" in told.err for name in WANTED)

    run_each(media, handed_over.out)
    assert indexes(media) == WANTED

    scan_all = ["check_consistency", *FOUND, "--format", "json"]
    told, _, scanned, up_to_date = manage_each(*see, scan_all, ["migrate", "--check"], database_url=url)
    assert (told.code, "consistency.W001" in told.err) == (0, False)
    assert (scanned.code, scanned.err) == (1, "")
    assert details(json.loads(scanned.out)["checks"]) == FOUND
    # The next release's migrations begin where these ended.
    assert up_to_date.code == 0, up_to_date
    with moved_to(url), pytest.raises(Degraded, match=r"^the table is missing$"):
        compare_migrations(OwnMigrations())


def test_an_administrator_who_is_no_superuser_can_take_the_first_step(media: Platform) -> None:
    boss, url = media.reader()
    media.sql(f"ALTER ROLE {boss} CREATEROLE; GRANT CREATE ON SCHEMA public TO {boss}")
    media.sql(f"ALTER DATABASE {urlsplit(media.url).path[1:]} OWNER TO {boss}")
    media.sql(OWN_STYLE, url)
    role = f"{boss}_s"
    media.sql(f"CREATE ROLE {role} LOGIN", url)
    media.readers.insert(0, role)
    administrator(media, role, url)
    owner = "SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'continuity'"
    assert media.sql(owner) == [(role,)]


def test_an_owner_fakes_one_migration_less_and_has_the_indexes_built(media: Platform) -> None:
    media.sql(OWN_STYLE)
    media.sql("DROP TABLE schema_migrations")
    media.sql(CONTENT)
    adopt = manage_commands("attach-migrate")
    adopt[0] = ["migrate", "consistency", "0002", "--fake"]
    *adopted, scanned = manage_each(*adopt, ["check_consistency", *FOUND, "--format", "json"], database_url=media.url)
    assert [done.code for done in adopted] == [0] * len(adopt), adopted
    assert indexes(media) == WANTED
    assert tables(media, "public") & MEDIA == {"files", "monitor_jobs", "identities"}
    assert details(json.loads(scanned.out)["checks"]) == FOUND


def test_a_role_that_may_only_read_scans_a_database_that_nobody_migrated(media: Platform, database_url: str) -> None:
    media.sql(OWN_STYLE)
    media.sql(CONTENT)
    role, url = media.reader()
    media.sql(
        f"GRANT SELECT ON files, monitor_jobs TO {role}; ALTER ROLE {role} SET default_transaction_read_only = on"
    )
    [[_, *options]] = manage_commands("replica")
    for how in ("json", "ndjson"):
        scanned = check_consistency(
            *FOUND, *options, "--format", how, database_url=database_url, DATABASE_URL_REPLICA=url
        )
        assert (scanned.returncode, scanned.stderr) == (1, "")
    assert json.loads(scanned.stdout.splitlines()[-1])["complete"]


# --- Types of their own ----------------------------------------------------------------------------------
KEYS = [("uuid", "uuid"), ("uuid", "varchar(64)"), ("varchar(64)", "uuid"), ("char(36)", "text"), ("text", "varchar")]


@pytest.mark.parametrize(("key", "job_key"), KEYS)
def test_any_types_of_columns_give_the_same_rows(media: Platform, key: str, job_key: str) -> None:
    media.sql(typed(key=key, job_key=job_key))
    media.sql(CONTENT)
    with moved_to(media.url):
        report = read_scan([CHECKS[name] for name in FOUND])
        engine = Engine([CHECKS[name] for name in FOUND])
        streamed: dict[str, Any] = {name: {} for name in FOUND}
        for check, rows, _ in engine:
            streamed[check.name] |= {short(row): row["detail"] for row in rows}
    assert [outcome.error for outcome in report.outcomes] == [None] * len(FOUND)
    found = {outcome.check.name: {short(row): row["detail"] for row in outcome.rows} for outcome in report.outcomes}
    assert found == FOUND == streamed
    assert report.affected_files == engine.report.affected_files == 8


def test_a_session_in_another_zone_changes_no_time(media: Platform) -> None:
    media.sql(typed(key="text", job_key="text"))
    media.sql(CONTENT)
    role, url = media.reader()
    media.sql(f"GRANT SELECT ON files, monitor_jobs TO {role}; ALTER ROLE {role} SET timezone = 'Asia/Tokyo'")
    with moved_to(url):
        [outcome] = read_scan([CHECKS["processing_job_done"]]).outcomes
    assert outcome.rows[0]["detail"] == "job 1 completed at 2026-05-18T17:30:00Z"


def index_sql() -> list[str]:
    with connection.schema_editor(collect_sql=True) as editor:
        return [str(index.create_sql(model, editor)) for model in (File, MonitorJob) for index in model._meta.indexes]


@pytest.mark.parametrize(("key", "job_key"), [("uuid", "uuid"), ("varchar(64)", "varchar(64)")])
def test_the_indexes_fit_the_types_and_the_default_checks_use_them(media: Platform, key: str, job_key: str) -> None:
    media.sql(typed(key=key, job_key=job_key))
    media.sql("; ".join(index_sql()))
    media.sql(
        "INSERT INTO monitor_jobs (id, file_uuid, status)"
        " SELECT n, md5(n::text)::uuid, 'completed' FROM generate_series(1, 20000) n;"
        "UPDATE monitor_jobs SET status = 'running' WHERE id % 1000 = 0;"
        "INSERT INTO files (file_uuid, file_name, status, job_id)"
        " SELECT md5(n::text)::uuid, 'a', 'completed', n FROM generate_series(1, 20000) n;"
        "UPDATE files SET status = 'processing' WHERE job_id % 500 = 0;"
    )
    media.sql("VACUUM ANALYZE files, monitor_jobs")

    def used(query: Query, name: str) -> set[str]:
        found = [node for statement in statements(query, name) for node in plan(statement)]
        assert seen(found, "Seq Scan") == set(), name
        return {node["Index Name"] for node in found if "Index Name" in node}

    with moved_to(media.url):
        names = {index for check in default_checks() for query in check.queries() for index in used(query, check.name)}
    assert {"files_processing", "files_unregistered", "monitor_jobs_active_id", "monitor_jobs_active_file"} <= names


def test_an_enum_that_lacks_a_word_is_told_by_name(media: Platform) -> None:
    media.sql(typed(key="text", job_key="text").replace("'pending', ", ""))
    with moved_to(media.url):
        report = read_scan(default_checks())
    errors = {outcome.check.name: outcome.error for outcome in report.outcomes if outcome.error}
    words = "a column's type does not know the word pending"
    assert errors == {"orphaned_processing": words, "processing_job_done": words}


# --- Something is missing --------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("missing", "broken"),
    [
        ("monitor_jobs", {"orphaned_processing", "processing_job_done"}),
        ("files", {"stale_processing", "orphaned_processing", "processing_job_done", "unregistered_with_uuid"}),
    ],
)
def test_checks_over_a_table_that_is_missing_could_not_run_and_the_others_report(
    media: Platform, missing: str, broken: set[str]
) -> None:
    media.sql(OWN_STYLE)
    media.sql(CONTENT)
    media.sql(f"DROP TABLE {missing}")
    with moved_to(media.url):
        report = read_scan(default_checks())
    for outcome in report.outcomes:
        expected = None if outcome.check.name in broken else len(FOUND[outcome.check.name])
        error = f"table {missing} does not exist" if outcome.check.name in broken else None
        assert (outcome.count, outcome.error) == (expected, error)
    assert report.affected_files is None


def test_a_table_that_the_role_may_not_read_is_told_by_name(media: Platform) -> None:
    media.sql(OWN_STYLE)
    role, url = media.reader()
    media.sql(f"GRANT SELECT ON files TO {role}")
    with moved_to(url):
        errors = {outcome.check.name: outcome.error for outcome in read_scan(default_checks()).outcomes}
    assert errors == {
        "stale_processing": None,
        "orphaned_processing": "no permission to read monitor_jobs",
        "processing_job_done": "no permission to read monitor_jobs",
        "unregistered_with_uuid": None,
    }


def test_a_malicious_check_cannot_write_with_a_role_that_may_only_read(media: Platform, define: Define) -> None:
    def writes() -> Any:
        connection.connection.commit()  # out of our transaction, behind our back
        connection.connection.execute("INSERT INTO files (file_uuid) VALUES ('written')")
        return File.objects.all()

    media.sql(OWN_STYLE)
    media.sql(CONTENT)
    role, url = media.reader()
    media.sql(f"GRANT ALL ON files TO {role}; ALTER ROLE {role} SET default_transaction_read_only = on")
    checks = [CHECKS["stale_processing"], define("writes", writes), CHECKS["unregistered_with_uuid"]]
    with moved_to(url):
        counts = [outcome.count for outcome in read_scan(checks).outcomes]
    assert counts == [2, None, 1]
    assert media.sql("SELECT count(*) FROM files") == [(9,)]
