"""What `manage.py check` says about checks, the setting that switches them on, and indexes."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from django.core.checks import run_checks
from django.db import IntegrityError, connection, transaction

from consistency.models import File, MonitorJob
from consistency.registry import CHECKS, Finding
from consistency.system_checks import added_checks_exist, every_check_compiles, scan_indexes_exist
from tests.consistency.conftest import Define


def test_all_is_well_as_delivered() -> None:
    assert every_check_compiles() == []
    assert added_checks_exist() == []
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
    [message] = added_checks_exist()
    assert message.id == "consistency.E002"
    assert "Did you mean 'job_without_file'?" in message.msg


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
