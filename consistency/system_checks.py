"""What `manage.py check` says: checks that would fail at three in the morning, and indexes that a scan misses."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from django.apps import apps
from django.conf import settings
from django.core import checks
from django.db import DEFAULT_DB_ALIAS, connections, models

from common.choices import UnknownChoiceError, validate_choice
from consistency.registry import CHECKS
from consistency.scan.sql import compiled, runnable

ID: Final = "consistency"


@checks.register("consistency")
def every_check_compiles(**_: Any) -> list[checks.CheckMessage]:
    """A misspelt field is found now."""
    found: list[checks.CheckMessage] = []
    for check in CHECKS.values():
        try:
            runnable(check, DEFAULT_DB_ALIAS)
            if check.row:
                compiled(check.row("any"), connections[DEFAULT_DB_ALIAS])
        except Exception as error:
            found.append(
                checks.Error(
                    f"Check {check.name!r} cannot be asked: {type(error).__name__}: {error}",
                    hint=f"Correct its definition in {check.function.__module__}.",
                    obj=check.function,
                    id=f"{ID}.E001",
                )
            )
    return found


@checks.register("consistency")
def switched_on_checks_exist(**_: Any) -> list[checks.CheckMessage]:
    """CONSISTENCY_CHECKS names checks that there are."""
    found: list[checks.CheckMessage] = []
    for name in settings.CONSISTENCY_CHECKS:
        try:
            validate_choice("check", name, CHECKS)
        except UnknownChoiceError as problem:
            found.append(checks.Error(f"CONSISTENCY_CHECKS: {problem}", hint="Correct the setting.", id=f"{ID}.E002"))
    return found


@checks.register(checks.Tags.database)
def scan_indexes_exist(databases: Sequence[str] | None = None, **_: Any) -> list[checks.CheckMessage]:
    """Each index of ours that a table lacks, with the SQL for whoever owns the table."""
    return [message for alias in databases or () for message in _missing_indexes(alias)]


def _missing_indexes(alias: str) -> Iterator[checks.CheckMessage]:
    for model in apps.get_app_config("consistency").get_models():
        if (present := _valid_indexes(alias, model._meta.db_table)) is not None:
            yield from (_missing(alias, model, index) for index in model._meta.indexes if index.name not in present)


def _valid_indexes(alias: str, table: str) -> set[str] | None:
    """Names of the table's usable indexes; None if there is no such table, which a scan itself will tell."""
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s)::oid", [table])
        if (oid := cursor.fetchone()[0]) is None:
            return None
        cursor.execute(
            "SELECT relname FROM pg_index JOIN pg_class ON oid = indexrelid WHERE indrelid = %s AND indisvalid", [oid]
        )
        return {name for (name,) in cursor.fetchall()}


def _missing(alias: str, model: type[models.Model], index: models.Index) -> checks.CheckMessage:
    with connections[alias].schema_editor(collect_sql=True) as editor:
        statement = index.create_sql(model, editor, concurrently=True)
    return checks.Warning(
        f"Database {alias!r}: table {model._meta.db_table} lacks the index {index.name}, or it is invalid: "
        "scans will read the whole table.",
        hint=f"Let the table's owner run, after DROP INDEX IF EXISTS {index.name}: {statement};",
        obj=model,
        id=f"{ID}.W001",
    )
