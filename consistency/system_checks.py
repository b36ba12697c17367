"""System checks: checks that would fail in a scan, missing indexes, and row-level security."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from django.apps import apps
from django.conf import settings
from django.core import checks
from django.db import DEFAULT_DB_ALIAS, connections

from common.choices import UnknownChoiceError, validate_choice
from common.errors import MEDIA_TABLES
from common.postgres.connections import no_writes
from consistency.indexes import find_relations, missing_indexes
from consistency.registry import CHECKS
from consistency.row_security import hides_rows
from consistency.scan.sql import query_sql, statements

ID: Final = "consistency"


@checks.register("consistency")
def every_check_compiles(**_: Any) -> list[checks.CheckMessage]:
    """Report a check whose SQL does not compile, for example after a misspelt field."""
    messages: list[checks.CheckMessage] = []
    for check in CHECKS.values():
        try:
            statements(check, DEFAULT_DB_ALIAS)
            if check.row:
                with no_writes():
                    query_sql(check.row("any"), DEFAULT_DB_ALIAS)
        except Exception as error:
            messages.append(
                checks.Error(
                    f"Check {check.name!r} does not compile: {type(error).__name__}: {error}",
                    hint=f"Correct its definition in {check.function.__module__}.",
                    obj=check.function,
                    id=f"{ID}.E001",
                )
            )
    return messages


@checks.register("consistency")
def settings_name_checks(**_: Any) -> list[checks.CheckMessage]:
    """Report unknown names of checks in the settings."""
    messages: list[checks.CheckMessage] = []
    for setting, kind, number in (
        ("CONSISTENCY_CHECKS", checks.Error, "E002"),
        ("CONSISTENCY_RUNBOOKS", checks.Warning, "W003"),
    ):
        for name in getattr(settings, setting):
            try:
                validate_choice("check", name, CHECKS)
            except UnknownChoiceError as problem:
                messages.append(kind(f"{setting}: {problem}", hint="Correct the setting.", id=f"{ID}.{number}"))
    return messages


@checks.register(checks.Tags.database)
def scan_indexes_exist(databases: Sequence[str] | None = None, **_: Any) -> list[checks.CheckMessage]:
    """Report each missing index, with the SQL for the owner of the table."""
    return [message for alias in databases or () for message in _missing_indexes(alias)]


def _missing_indexes(alias: str) -> Iterator[checks.CheckMessage]:
    for model in apps.get_app_config("consistency").get_models():
        relations = find_relations(alias, model)
        for name, sql in missing_indexes(alias, model, relations).items():
            if relations[0].partitioned:  # two statements for each partition
                task = f"the SQL of manage.py index_sql --database {alias}"
            else:
                task = f"one by one: {' '.join(sql)}"
            yield checks.Warning(
                f"Database {alias!r}: table {model._meta.db_table} lacks the index {name}, or it is invalid: "
                "scans will read the whole table.",
                hint=f"Let the table's owner run {task}",
                obj=model,
                id=f"{ID}.W001",
            )


@checks.register(checks.Tags.database)
def row_security_is_bypassed(databases: Sequence[str] | None = None, **_: Any) -> list[checks.CheckMessage]:
    """Report each media table whose rows a policy may hide from the role of the database."""
    return [message for alias in databases or () for message in _secured_tables(alias)]


def _secured_tables(alias: str) -> Iterator[checks.CheckMessage]:
    for model in apps.get_models():
        table = model._meta.db_table
        if table in MEDIA_TABLES and hides_rows(alias, table):
            # An error would stop `migrate`, which reads no media table.
            yield checks.Warning(
                f"Database {alias!r}: row-level security applies to {table}: "
                "scans and probes that read the table will not run.",
                hint=f"Let an administrator run ALTER ROLE {_role(alias)} BYPASSRLS. "
                "PostgreSQL refuses even under a policy that shows every row.",
                obj=model,
                id=f"{ID}.W002",
            )


def _role(alias: str) -> str:
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT quote_ident(current_user)")
        return str(cursor.fetchone()[0])
