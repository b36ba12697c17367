"""Which migrations are applied: the media server's SQL files, and Django's own."""

import os
from pathlib import Path
from typing import TypedDict

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, ProgrammingError, connections
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from health.models import SchemaMigration
from health.registry import Degraded, Failed, Unasked

UNDEFINED_TABLE = "42P01"
Key = tuple[str, str]


class Filename(TypedDict):
    filename: str


class Schema(TypedDict):
    table_exists: bool
    applied: list[Filename]
    required: list[Filename]
    ok: bool


class OwnMigrations:
    """Django's migrations on disk, read once per process: reading them imports every one."""

    def __init__(self) -> None:
        migrations = MigrationLoader(None, ignore_no_migrations=True).disk_migrations
        self._replaces: dict[Key, list[Key]] = {key: list(one.replaces) for key, one in migrations.items()}

    def missing(self, applied: set[Key]) -> list[str]:
        """The names, as `app.0001_name`, of those neither applied nor replaced by (or replacing) what is."""
        done = applied.union(*(old for key, old in self._replaces.items() if key in applied))
        done |= {key for key, old in self._replaces.items() if old and done.issuperset(old)}
        return sorted(f"{app}.{name}" for app, name in self._replaces.keys() - done)


def inspect(own: OwnMigrations) -> Schema:
    """Compare what is applied with what is on disk. Raises Degraded where something is missing.

    Raises Unasked where nothing is, but MIGRATIONS_DIR does not say what the media server needs.
    """
    applied = _applied()
    missing = sorted(_on_disk(settings.MIGRATIONS_DIR) - set(applied or ()))
    missing += own.missing(set(MigrationRecorder(connections[DEFAULT_DB_ALIAS]).applied_migrations()))
    found: Schema = {
        "table_exists": applied is not None,
        "applied": [{"filename": name} for name in applied or ()],
        "required": [{"filename": name} for name in missing],
        "ok": applied is not None and not missing,
    }
    if not found["ok"]:
        raise Degraded(f"migrations not applied: {len(missing)}" if missing else "the table is missing", found)
    if settings.MIGRATIONS_DIR is None:
        raise Unasked("MIGRATIONS_DIR is not set: only Continuity's own migrations were looked at", found)
    return found


def _applied() -> list[str] | None:
    """The recorded names, None where there is no table."""
    try:
        return list(SchemaMigration.objects.order_by("filename").values_list("filename", flat=True))
    except ProgrammingError as problem:
        if getattr(problem.__cause__, "sqlstate", None) == UNDEFINED_TABLE:
            return None
        raise


def _on_disk(folder: Path | None) -> set[str]:
    if folder is None:
        return set()
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries if entry.name.endswith(".sql") and entry.is_file()}
    except OSError as problem:
        raise Failed("migrations folder not accessible") from problem
