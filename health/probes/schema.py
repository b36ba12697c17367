"""Applied and missing migrations: SQL files of the media server, and Django's."""

import os
from pathlib import Path
from typing import TypedDict

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, ProgrammingError, connections
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from common.errors import is_missing_table
from common.postgres.parameters import every_row
from health.models import SchemaMigration
from health.registry import Degraded, Failed, NotApplicable, publish

Key = tuple[str, str]


class Filename(TypedDict):
    filename: str


class Schema(TypedDict):
    table_exists: bool
    applied: list[Filename]
    required: list[Filename]
    ok: bool


class OwnMigrations:
    """Django migrations on disk, read once per process because reading imports every migration."""

    def __init__(self) -> None:
        migrations = MigrationLoader(None, ignore_no_migrations=True).disk_migrations
        self._replaces: dict[Key, list[Key]] = {key: list(migration.replaces) for key, migration in migrations.items()}

    def missing(self, applied: set[Key]) -> list[str]:
        """Return the names (`app.0001_name`) of migrations that are not applied, directly or through squashing."""
        covered = applied.union(*(old for key, old in self._replaces.items() if key in applied))
        covered |= {key for key, old in self._replaces.items() if old and covered.issuperset(old)}
        return sorted(f"{app}.{name}" for app, name in self._replaces.keys() - covered)


def compare_migrations(own: OwnMigrations) -> Schema:
    """Compare applied migrations with migrations on disk. Raise Degraded if any is missing.

    Raise NotApplicable if MIGRATIONS_DIR is not set: then the migrations of the media server are unknown.
    """
    applied = _applied()
    filenames: list[Filename] = [{"filename": name} for name in applied or ()]
    # Before the folder is read, because a disk may hang.
    publish({"table_exists": applied is not None, "applied": filenames})
    missing = sorted(_on_disk(settings.MIGRATIONS_DIR) - set(applied or ()))
    missing += own.missing(set(MigrationRecorder(connections[DEFAULT_DB_ALIAS]).applied_migrations()))
    values: Schema = {
        "table_exists": applied is not None,
        "applied": filenames,
        "required": [{"filename": name} for name in missing],
        "ok": applied is not None and not missing,
    }
    if not values["ok"]:
        raise Degraded(f"migrations not applied: {len(missing)}" if missing else "the table is missing", values)
    if settings.MIGRATIONS_DIR is None:
        raise NotApplicable("MIGRATIONS_DIR is not set: only Continuity's own migrations were checked", values)
    return values


def _applied() -> list[str] | None:
    """Return the names in `schema_migrations`; None without that table."""
    try:
        with every_row():
            return list(SchemaMigration.objects.order_by("filename").values_list("filename", flat=True))
    except ProgrammingError as error:
        if is_missing_table(error):
            return None
        raise


def _on_disk(folder: Path | None) -> set[str]:
    if folder is None:
        return set()
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries if _is_migration(entry)}
    except OSError as error:
        raise Failed("migrations folder not accessible") from error


def _is_migration(entry: "os.DirEntry[str]") -> bool:
    # macOS writes hidden files such as `._0001.sql` beside the migrations.
    if not entry.name.endswith(".sql") or entry.name.startswith("."):
        return False
    try:
        return entry.is_file()
    except OSError:  # a link in a circle: a migration that cannot be read
        return True
