"""The probe of identities, on real folders and rows."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from health.registry import PROBES, Degraded, Unfinished
from health.report import report
from health.runs.result import DEGRADED, OK, ProbeResult
from identities.health_probes import Identities
from identities.index import IdentityIndex
from identities.models import Identity

pytestmark = pytest.mark.django_db

UUIDS = ("11", "22", "33")


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for the index even if the machine is busy."""
    monkeypatch.setattr("identities.health_probes.WAIT", 60.0)


@pytest.fixture
def folder(tmp_path: Path, settings: Settings) -> Path:
    """Return a folder of three identities with files, rows and index."""
    for uuid in UUIDS:
        Identity.objects.create(uuid=uuid, name="Ada")
        (tmp_path / uuid).mkdir()
        (tmp_path / uuid / "identity.json").write_text("{}")
    write_index(tmp_path, {uuid: {} for uuid in UUIDS})
    settings.IDENTITIES_DIR = tmp_path
    return tmp_path


def write_index(folder: Path, content: Any) -> None:
    (folder / "_index.json").write_text(json.dumps(content))


def found() -> tuple[Identities, str]:
    """Return the section, and the reason if degraded."""
    try:
        return PROBES["identities"].run(), ""  # type: ignore[return-value]
    except Degraded as outcome:
        return outcome.value, outcome.reason  # type: ignore[return-value]


def test_all_agree(folder: Path) -> None:
    assert found() == (
        {"directory_exists": True, "files_count": 3, "index_ok": True, "db_count": 3, "synced": True, "unreadable": 0},
        "",
    )


def test_an_empty_platform_agrees(tmp_path: Path, settings: Settings) -> None:
    settings.IDENTITIES_DIR = tmp_path
    write_index(tmp_path, {})
    assert found()[0] == {
        "directory_exists": True,
        "files_count": 0,
        "index_ok": True,
        "db_count": 0,
        "synced": True,
        "unreadable": 0,
    }


@pytest.mark.parametrize("place", [None, "nowhere", "_index.json"])
def test_without_a_folder_nothing_is_synced(folder: Path, settings: Settings, place: str | None) -> None:
    settings.IDENTITIES_DIR = folder / place if place else None
    assert found() == (
        {
            "directory_exists": False,
            "files_count": 0,
            "index_ok": False,
            "db_count": 3,
            "synced": False,
            "unreadable": 0,
        },
        "identities folder not accessible" if place else "IDENTITIES_DIR is not set",
    )


def test_a_missing_file_is_not_synced(folder: Path) -> None:
    (folder / "22/identity.json").unlink()
    value, reason = found()
    assert (value["files_count"], value["db_count"], value["synced"], value["index_ok"]) == (2, 3, False, True)
    assert reason == "2 files for 3 rows"


def test_a_missing_row_is_not_synced(folder: Path) -> None:
    Identity.objects.get(uuid="22").delete()
    assert (found()[0]["db_count"], found()[0]["synced"]) == (2, False)


def test_inactive_identities_count_too(folder: Path) -> None:
    Identity.objects.update(is_active=False)
    assert found()[0]["synced"]


def test_an_index_that_lags_behind_is_not_ok(folder: Path) -> None:
    write_index(folder, ["11", "22"])
    assert not found()[0]["index_ok"]
    write_index(folder, [{"uuid": "11"}, {"uuid": "22"}])
    assert found() == (
        {"directory_exists": True, "files_count": 3, "index_ok": False, "db_count": 3, "synced": True, "unreadable": 0},
        "the index differs from the folders on disk",
    )


def test_an_index_that_cannot_be_read_is_not_ok(folder: Path, settings: Settings) -> None:
    (folder / "_index.json").write_text("{")
    assert (found()[0]["index_ok"], found()[1]) == (False, "the index cannot be read or is malformed")
    os.truncate(folder / "_index.json", 80_000_000)
    assert (found()[0]["index_ok"], found()[1]) == (
        False,
        "the index has 80 MB, more than IDENTITIES_INDEX_LIMIT (64 MB)",
    )
    settings.IDENTITIES_INDEX_LIMIT = 80
    assert found()[1] == "the index cannot be read or is malformed"


def test_an_index_that_is_still_being_read_is_unknown_and_no_fault(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(IdentityIndex, "read", lambda *_, **__: None)
        with pytest.raises(Unfinished, match="the index is still being read") as caught:
            PROBES["identities"].run()
        assert caught.value.value
        assert (caught.value.value["index_ok"], caught.value.value["synced"]) == (None, True)
        Identity.objects.get(uuid="22").delete()
        assert found()[1] == "3 files for 2 rows; the index is still being read"
    assert found()[0]["index_ok"]


def test_an_unreadable_entry_costs_one_entry_and_is_named(folder: Path) -> None:
    (folder / "22/identity.json").unlink()
    (folder / "22/identity.json").symlink_to("identity.json")
    assert found() == (
        {"directory_exists": True, "files_count": 2, "index_ok": True, "db_count": 3, "synced": False, "unreadable": 1},
        "2 files for 3 rows; 1 unreadable entry: 22",
    )


def test_three_of_the_unreadable_entries_are_named_without_control_characters(folder: Path) -> None:
    for name in ("loop\n1", "loop 2", "loop 3", "loop 4"):
        (folder / name).symlink_to(name)
    value, reason = found()
    assert (value["files_count"], value["synced"], value["index_ok"], value["unreadable"]) == (3, True, True, 4)
    assert reason == "4 unreadable entries: loop\\n1, loop 2, loop 3, ..."


def test_an_index_may_name_an_unreadable_entry(folder: Path) -> None:
    (folder / "44").symlink_to("44")
    write_index(folder, ["11", "22", "33", "44"])
    assert not found()[0]["index_ok"]
    write_index(folder, {uuid: {} for uuid in (*UUIDS, "44")})
    assert found()[0]["index_ok"]


def test_the_names_of_unreadable_entries_are_for_staff_and_not_for_rest(folder: Path) -> None:
    (folder / "44").symlink_to("44")
    value, reason = found()
    result = ProbeResult(status=DEGRADED, reason=reason, value=value)
    assert "44" in result.message(PROBES["identities"].title)
    assert "44" not in str(report({"identities": result}, OK))
