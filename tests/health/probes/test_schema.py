"""Applied migrations and runtime switches, from a real database."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from pytest_django import Settings

from health.health_probes import config
from health.models import RuntimeSwitch, SchemaMigration
from health.probes.schema import OwnMigrations, Schema, compare_migrations
from health.registry import PROBES, Degraded, Failed, NotApplicable, Unwell
from health.snapshot import Snapshot

pytestmark = pytest.mark.django_db


@pytest.fixture
def folder(tmp_path: Path, settings: Settings) -> Path:
    """MIGRATIONS_DIR with two migrations, one of them applied."""
    for name in ("migrate_add_users_table.sql", "migrate_add_tags.sql", "README.md"):
        (tmp_path / name).touch()
    SchemaMigration.objects.create(filename="migrate_add_users_table.sql")
    settings.MIGRATIONS_DIR = tmp_path
    return tmp_path


@pytest.fixture
def without_table() -> Iterator[None]:
    """Remove the table `schema_migrations`."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE schema_migrations RENAME TO elsewhere")
        yield
        cursor.execute("ALTER TABLE elsewhere RENAME TO schema_migrations")


def found() -> Schema:
    """Return the section, whether or not a migration is missing."""
    try:
        return compare_migrations(OwnMigrations())
    except Unwell as outcome:
        value: Schema = outcome.value  # type: ignore[assignment]
        return value


def test_all_applied_is_ok(folder: Path) -> None:
    (folder / "migrate_add_tags.sql").unlink()
    assert compare_migrations(OwnMigrations()) == {
        "table_exists": True,
        "applied": [{"filename": "migrate_add_users_table.sql"}],
        "required": [],
        "ok": True,
    }


def test_a_file_that_is_not_applied_is_required(folder: Path) -> None:
    with pytest.raises(Degraded, match="migrations not applied: 1"):
        compare_migrations(OwnMigrations())
    assert found()["required"] == [{"filename": "migrate_add_tags.sql"}]
    assert not found()["ok"]


def test_a_hidden_file_is_no_migration(folder: Path) -> None:
    (folder / "._migrate_add_tags.sql").touch()
    assert found()["required"] == [{"filename": "migrate_add_tags.sql"}]


def test_an_entry_that_cannot_be_read_costs_one_entry(folder: Path) -> None:
    for name in ("notes", ".hidden.sql", "migrate_loop.sql"):
        (folder / name).symlink_to(name)
    required = [{"filename": name} for name in ("migrate_add_tags.sql", "migrate_loop.sql")]
    assert found()["required"] == required


def test_one_of_djangos_own_that_is_not_applied_is_required(folder: Path) -> None:
    MigrationRecorder(connection).record_unapplied("identities", "0001_identities")
    assert found()["required"] == [{"filename": "migrate_add_tags.sql"}, {"filename": "identities.0001_identities"}]


def test_an_applied_one_whose_file_is_gone_is_no_fault(settings: Settings) -> None:
    settings.MIGRATIONS_DIR = None
    SchemaMigration.objects.create(filename="long_ago.sql")
    assert found()["ok"]


def test_without_migrations_dir_the_probe_is_not_applicable(folder: Path, settings: Settings) -> None:
    settings.MIGRATIONS_DIR = None
    with pytest.raises(NotApplicable, match="MIGRATIONS_DIR is not set"):
        compare_migrations(OwnMigrations())


@pytest.mark.django_db(transaction=True)
def test_without_the_table_nothing_is_applied(tmp_path: Path, settings: Settings, without_table: None) -> None:
    (tmp_path / "one.sql").touch()
    settings.MIGRATIONS_DIR = tmp_path
    assert found() == {"table_exists": False, "applied": [], "required": [{"filename": "one.sql"}], "ok": False}


@pytest.mark.django_db(transaction=True)
def test_without_the_table_nothing_is_ok_though_nothing_is_required(settings: Settings, without_table: None) -> None:
    settings.MIGRATIONS_DIR = None
    with pytest.raises(Degraded, match="the table is missing"):
        compare_migrations(OwnMigrations())
    assert found() == {"table_exists": False, "applied": [], "required": [], "ok": False}


def test_a_folder_that_cannot_be_read_is_not_guessed_at(folder: Path, settings: Settings) -> None:
    settings.MIGRATIONS_DIR = folder / "nowhere"
    with pytest.raises(Failed, match="migrations folder not accessible"):
        compare_migrations(OwnMigrations())


@pytest.mark.django_db(transaction=True)
def test_a_folder_that_cannot_be_read_leaves_the_applied_migrations_known(
    folder: Path, settings: Settings, snapshot_of: Callable[..., Snapshot]
) -> None:
    settings.MIGRATIONS_DIR = folder / "nowhere"
    result = snapshot_of({"schema": replace(PROBES["schema"], requires=())}).refresh(budget=30)["schema"]
    assert (result.status, result.reason) == ("error", "migrations folder not accessible")
    assert result.value == {"table_exists": True, "applied": [{"filename": "migrate_add_users_table.sql"}]}


@pytest.mark.parametrize(
    ("applied", "missing"),
    [
        ({("app", "0001_a"), ("app", "0002_b")}, []),
        ({("app", "0001_squashed")}, []),
        ({("app", "0001_a")}, ["app.0001_squashed", "app.0002_b"]),
        (set(), ["app.0001_a", "app.0001_squashed", "app.0002_b"]),
    ],
)
def test_a_squashed_migration_and_what_it_replaces_count_for_each_other(
    applied: set[tuple[str, str]], missing: list[str]
) -> None:
    own = OwnMigrations()
    own._replaces = {
        ("app", "0001_a"): [],
        ("app", "0002_b"): [],
        ("app", "0001_squashed"): [("app", "0001_a"), ("app", "0002_b")],
    }
    assert own.missing(applied) == missing


def test_toggles_are_read_and_an_absent_one_is_unknown() -> None:
    assert config.run() == {"cache": None, "auto_pipeline": None, "watcher": None}
    RuntimeSwitch.objects.create(name="cache", enabled=True)
    RuntimeSwitch.objects.create(name="watcher", enabled=False)
    assert config.run() == {"cache": True, "auto_pipeline": None, "watcher": False}
    assert list(config.run() or ()) == RuntimeSwitch.Name.values


def test_a_toggle_outside_the_vocabulary_is_not_reported() -> None:
    RuntimeSwitch.objects.create(name="turbo", enabled=True)
    assert "turbo" not in (config.run() or ())
