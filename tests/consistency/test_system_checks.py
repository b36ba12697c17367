"""What `manage.py check` says about checks, the setting that switches them on, and indexes."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import run_checks
from django.db import IntegrityError, connection, transaction

from config.demo import postgres
from consistency.models import File, MonitorJob
from consistency.registry import CHECKS, Finding
from consistency.system_checks import (
    every_check_compiles,
    row_security_is_bypassed,
    scan_indexes_exist,
    settings_name_checks,
)
from tests.consistency.conftest import Define, moved_to
from tests.consistency.platforms import OWN_STYLE, Platform, platform
from tests.servers import Start


def test_all_is_well_as_delivered() -> None:
    assert every_check_compiles() == []
    assert settings_name_checks() == []
    assert not [message for message in run_checks() if message.id and message.id.startswith("consistency")]


def test_a_misspelt_field_is_found_without_a_database(define: Define) -> None:
    def misspelt() -> Any:
        return File.objects.filter(**{"statsu": "processing"})

    define("misspelt", misspelt)
    [message] = every_check_compiles()
    assert message.id == "consistency.E001"
    assert "'misspelt'" in message.msg
    assert "statsu" in message.msg


def test_a_row_whose_query_is_misspelt_is_found_too(define: Define) -> None:
    def outside(using: str) -> Iterator[Finding]:
        yield from ()

    defined = define("outside", outside, detail=None)
    CHECKS["outside"] = replace(defined, row=lambda key: File.objects.filter(**{"statsu": key}))
    [message] = every_check_compiles()
    assert (message.id, "'outside'" in message.msg, "statsu" in message.msg) == ("consistency.E001", True, True)


def test_an_unknown_name_in_the_setting_is_found(settings: Any) -> None:
    settings.CONSISTENCY_CHECKS = ["unknown_status", "jobs_without_file"]
    [message] = settings_name_checks()
    assert message.id == "consistency.E002"
    assert "Did you mean 'job_without_file'?" in message.msg
    settings.CONSISTENCY_CHECKS, settings.CONSISTENCY_RUNBOOKS = [], {"stale_procesing": "https://wiki.example"}
    [message] = settings_name_checks()
    assert (message.id, message.is_serious()) == ("consistency.W003", False)
    assert message.msg.startswith(
        "CONSISTENCY_RUNBOOKS: unknown check 'stale_procesing'. Did you mean 'stale_processing'?"
    )


@pytest.mark.django_db
def test_indexes_are_looked_for_only_where_a_database_is_named() -> None:
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("DROP INDEX files_processing")
        assert scan_indexes_exist() == []
        [message] = scan_indexes_exist(databases=["default"])
        assert message.id == "consistency.W001"
        assert "files_processing" in message.msg
        statement = str(message.hint).partition("one by one: ")[2]
        with connection.cursor() as cursor:
            cursor.execute(statement.replace("CONCURRENTLY ", ""))
        assert scan_indexes_exist(databases=["default"]) == []
        transaction.set_rollback(True)


@pytest.mark.django_db(transaction=True)
def test_an_index_that_was_left_invalid_is_as_good_as_none() -> None:
    MonitorJob.objects.bulk_create(MonitorJob(status="running") for _ in range(2))
    with connection.cursor() as cursor:
        cursor.execute("DROP INDEX monitor_jobs_active_id")
        with pytest.raises(IntegrityError):
            cursor.execute("CREATE UNIQUE INDEX CONCURRENTLY monitor_jobs_active_id ON monitor_jobs (status)")
    [message] = scan_indexes_exist(databases=["default"])
    assert "monitor_jobs_active_id" in message.msg
    # What the hint says is all that it takes.
    with connection.cursor() as cursor:
        drop, _, create = str(message.hint).partition("one by one: ")[2].partition("; ")
        cursor.execute(drop)
        cursor.execute(create)
    assert scan_indexes_exist(databases=["default"]) == []


@pytest.mark.django_db
def test_a_table_that_does_not_exist_lacks_no_index() -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE files RENAME TO elsewhere")
    assert scan_indexes_exist(databases=["default"]) == []


POLICY = "ALTER TABLE {0} ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON {0} USING ({1});"


def secured_tables(url: str) -> list[str]:
    with moved_to(url):
        messages = row_security_is_bypassed(databases=["default"])
    assert {message.id for message in messages} <= {"consistency.W002"}
    return sorted(message.msg.partition(" applies to ")[2].partition(":")[0] for message in messages)


@pytest.mark.django_db(transaction=True)
def test_row_level_security_is_reported_for_each_table_of_the_media_server(media: Platform) -> None:
    media.sql(OWN_STYLE)
    media.sql("DROP TABLE monitor_jobs")
    role, url = media.reader()
    media.sql(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
    assert secured_tables(url) == []
    # PostgreSQL refuses with row_security = off, even if the policy shows every row.
    media.sql(POLICY.format("files", "status <> 'processing'") + POLICY.format("identities", "true"))
    assert secured_tables(url) == ["files", "identities"]
    with moved_to(url):
        assert row_security_is_bypassed() == []


@pytest.mark.django_db(transaction=True)
def test_a_role_that_bypasses_row_level_security_as_the_hint_says_is_fine(
    private_postgres: Start, tmp_path: Path
) -> None:
    private_postgres(data=tmp_path).stop()
    # Only a superuser, who cannot sign in, may give a role the first BYPASSRLS.
    cluster = tmp_path / "postgres"
    single = [str(postgres._binaries() / "postgres"), "--single", "-D", postgres._reachable(cluster), "postgres"]
    postgres._run(single, cluster, tmp_path / "single.log", stdin="ALTER ROLE continuity BYPASSRLS\n")
    with platform(private_postgres(data=tmp_path).url) as media:
        media.sql(OWN_STYLE + POLICY.format("files", "true"))
        role, url = media.reader()
        with moved_to(url):
            [message] = row_security_is_bypassed(databases=["default"])
        assert str(message.hint).startswith(f"Let an administrator run ALTER ROLE {role} BYPASSRLS. ")
        media.sql(str(message.hint).partition(" run ")[2].partition(".")[0])
        assert secured_tables(url) == []


@pytest.mark.django_db(transaction=True)
def test_row_level_security_leaves_the_owner_alone_unless_it_is_forced(media: Platform) -> None:
    media.sql(OWN_STYLE)
    media.sql(POLICY.format("files", "false"))
    role, url = media.reader()
    media.sql(f"GRANT CREATE ON SCHEMA public TO {role}; ALTER TABLE files OWNER TO {role}")
    assert secured_tables(url) == []
    media.sql("ALTER TABLE files FORCE ROW LEVEL SECURITY")
    assert secured_tables(url) == ["files"]


@pytest.mark.django_db(transaction=True)
def test_row_level_security_below_a_view_is_reported(media: Platform) -> None:
    media.sql(OWN_STYLE)
    media.sql("ALTER TABLE files RENAME TO media; CREATE VIEW files WITH (security_invoker) AS SELECT * FROM media")
    media.sql(POLICY.format("media", "true"))
    role, url = media.reader()
    media.sql(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
    assert secured_tables(url) == ["files"]
