"""A folder of identities."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from pytest_django import Settings


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
