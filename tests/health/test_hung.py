"""A hung disk or name server: the report is not late, and one thread per probe remains."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings
from rest_framework_api_key.models import APIKey

from health.models import SchemaMigration
from health.snapshot import snapshot
from tests.health.conftest import eventually

pytestmark = pytest.mark.django_db(transaction=True)

Hang = Callable[..., None]
MANIFEST = "checksums.sha256"


@pytest.fixture
def back() -> Iterator[threading.Event]:
    """Yield an event that ends the hanging calls."""
    event = threading.Event()
    yield event
    event.set()
    snapshot.close()


@pytest.fixture
def hang(back: threading.Event, monkeypatch: pytest.MonkeyPatch) -> Hang:
    """Return a function that makes a system call hang for some arguments."""

    def install(module: Any, name: str, stuck: Callable[..., bool]) -> None:
        whole = getattr(module, name)

        def call(*arguments: Any, **options: Any) -> Any:
            if stuck(*arguments, **options):
                back.wait(60)
            return whole(*arguments, **options)

        monkeypatch.setattr(module, name, call)

    return install


@pytest.fixture
def detailed() -> Callable[[], dict[str, Any]]:
    """Return a function that requests the report and fails if the report is late."""
    _, key = APIKey.objects.create_key(name="tests")
    client = Client(headers={"X-API-Key": key})

    def get() -> dict[str, Any]:
        begin = time.monotonic()
        answer = client.get("/health/detailed", secure=True)
        assert time.monotonic() - begin < 5
        body: dict[str, Any] = answer.json()
        return body

    return get


def threads_of(name: str) -> int:
    return sum(thread.name == f"probe {name}" for thread in threading.enumerate())


def test_a_disk_that_hangs_leaves_the_rest_of_the_report_whole(
    detailed: Callable[[], dict[str, Any]], hang: Hang, back: threading.Event, tmp_path: Path, settings: Settings
) -> None:
    settings.SCRIPTS_DIR = tmp_path
    hang(os, "scandir", lambda path=None: os.fspath(path or ".") == str(tmp_path))
    for _ in range(3):
        body = detailed()
        assert body["pipeline"]["error"].startswith("no answer within")
        assert {value for key, value in body["pipeline"].items() if key != "error"} == {None}
        assert (body["status"], body["schema"]["ok"]) == ("ok", True)
    assert threads_of("pipeline") == 1
    back.set()
    assert eventually(lambda: "error" not in detailed()["pipeline"])


@pytest.mark.parametrize(
    ("probe", "call", "file"),
    [("identities", "open", "_index.json"), ("identities", "stat", "a/identity.json"), ("pipeline", "open", MANIFEST)],
)
def test_fifty_reports_beside_a_file_that_hangs_leave_one_thread(
    detailed: Callable[[], dict[str, Any]],
    hang: Hang,
    back: threading.Event,
    tmp_path: Path,
    settings: Settings,
    probe: str,
    call: str,
    file: str,
) -> None:
    settings.IDENTITIES_DIR = settings.SCRIPTS_DIR = tmp_path
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text("{}")
    hang(os, call, lambda path, *_, **__: os.fsdecode(path) == str(tmp_path / file))
    reports = [detailed() for _ in range(50)]
    assert all(body[probe]["error"].startswith("no answer within") for body in reports)
    assert all((body["status"], body["schema"]["ok"]) == ("ok", True) for body in reports)
    assert threads_of(probe) == 1
    back.set()
    assert eventually(lambda: not detailed()[probe].get("error", "").startswith("no answer"))


def test_a_fifo_in_the_place_of_each_file_is_a_problem_and_nobody_waits(
    detailed: Callable[[], dict[str, Any]], tmp_path: Path, settings: Settings
) -> None:
    settings.IDENTITIES_DIR = settings.SCRIPTS_DIR = tmp_path
    (tmp_path / "a").mkdir()
    for name in ("_index.json", MANIFEST, "a/identity.json", "b"):
        os.mkfifo(tmp_path / name)
    body = detailed()
    assert (body["identities"]["index_ok"], body["identities"]["files_count"]) == (False, 0)
    assert body["pipeline"]["scripts_integrity"] == {"matched": 0, "total": 0, "ok": False}


def test_a_folder_of_migrations_that_hangs_leaves_the_applied_migrations_known(
    detailed: Callable[[], dict[str, Any]], hang: Hang, back: threading.Event, tmp_path: Path, settings: Settings
) -> None:
    settings.MIGRATIONS_DIR = tmp_path
    SchemaMigration.objects.create(filename="one.sql")
    hang(os, "scandir", lambda path=None: os.fspath(path or ".") == str(tmp_path))
    for _ in range(3):
        schema = detailed()["schema"]
        assert schema.pop("error").startswith("no answer within")
        assert schema == {"table_exists": True, "applied": [{"filename": "one.sql"}], "required": None, "ok": None}
    back.set()
    assert eventually(lambda: detailed()["schema"]["ok"] is not None)


def test_a_name_server_that_hangs_leaves_the_other_services_alone(
    detailed: Callable[[], dict[str, Any]], hang: Hang, back: threading.Event, settings: Settings
) -> None:
    settings.REDIS_URL = "redis://stuck.invalid:6379/0"
    hang(socket, "getaddrinfo", lambda host, *_, **__: host == "stuck.invalid")
    for _ in range(3):
        body = detailed()
        assert body["services"]["redis"]["status"] == "error"
        assert body["services"]["redis"]["error"].startswith("no answer within")
        assert body["services"]["redis"]["latency_ms"] >= 1000
        assert body["services"]["postgres"]["status"] == "ok"
        assert body["status"] == "degraded"
    assert threads_of("redis") == 1
    back.set()
    assert eventually(lambda: detailed()["services"]["redis"]["error"] == "host name not found")
