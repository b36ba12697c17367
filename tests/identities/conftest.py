"""A folder of identities."""

import json
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from pytest_django import Settings

from consistency.registry import Check, Finding


def read(check: Check) -> tuple[list[Finding], int]:
    """Return the findings of an external check, and the number of compared objects that the generator returns."""
    counted: list[int] = []

    def findings() -> Generator[Finding, None, None]:
        generator: Any = check.findings("default")
        counted.append((yield from generator))

    return list(findings()), counted[0]


@pytest.fixture
def folder(tmp_path: Path, settings: Settings) -> Path:
    """Return the folder of identities, with an empty index."""
    settings.IDENTITIES_DIR = tmp_path / "identities"
    settings.IDENTITIES_DIR.mkdir()
    (settings.IDENTITIES_DIR / "_index.json").write_text("{}")
    return Path(settings.IDENTITIES_DIR)


@pytest.fixture
def on_disk(folder: Path) -> Callable[..., None]:
    """Write identity.json for each uuid."""

    def write(*uuids: str) -> None:
        for uuid in uuids:
            (folder / uuid).mkdir(exist_ok=True)
            (folder / uuid / "identity.json").write_text(json.dumps({"uuid": uuid}))

    return write


@pytest.fixture
def without_primary_key(db: None) -> None:
    """Let a uuid or a name be null, as an attached table may, until the end of the test's transaction."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE identities DROP CONSTRAINT identities_pkey")
        cursor.execute("ALTER TABLE identities ALTER uuid DROP NOT NULL, ALTER name DROP NOT NULL")
        cursor.execute("INSERT INTO identities (uuid, name) VALUES (NULL, 'nobody')")
