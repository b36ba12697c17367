"""Checks that write change nothing and could not run: each kind of write, through check_consistency."""

import json

import pytest

from consistency.models import File
from consistency.models.history import Scan
from tests.consistency.conftest import Define
from tests.consistency.data import a_file
from tests.consistency.processes import run
from tests.consistency.test_writing_checks import EXTERNAL, INTERNAL
from tests.consistency.test_writing_checks import writing_function as writing_function

pytestmark = pytest.mark.usefixtures("transactional_db", "writing_function")

NAMES = [function.__name__ for function in INTERNAL + EXTERNAL]
HEALTHY = ["stale_processing", "unregistered_with_uuid"]


@pytest.fixture
def writing_checks(define: Define) -> None:
    for function in INTERNAL + EXTERNAL:
        define(function.__name__, function, **({"detail": None} if function in EXTERNAL else {}))


def counts(name: str, out: str) -> dict[str, int | None]:
    """Return the count of each check in the output of a format; None for "could not run"."""
    if name in ("json", "ndjson"):
        report = json.loads(out if name == "json" else out.splitlines()[-1])
        return {check["check"]: check["count"] for check in report["checks"] if check["count"] or "error" in check}
    if name == "csv":
        parts = [part.partition(": ") for part in out.splitlines()[-1].split(", ")]
        values = {key: value for key, _, value in parts if key in NAMES + HEALTHY and value != "0"}
    else:
        rows = [line.split() for line in out.splitlines()]
        values = {row[0]: row[2] for row in rows if len(row) > 2 and row[0] in NAMES + HEALTHY and row[2] != "0"}
    return {key: int(value) if value.isdigit() else None for key, value in values.items()}


@pytest.mark.usefixtures("writing_checks")
@pytest.mark.parametrize("options", [(), ("--no-record",), ("--confirm", "1s"), ("--dry-run-notices",)])
@pytest.mark.parametrize("name", ["text", "json", "ndjson", "csv"])
def test_writing_checks_leave_the_row_and_the_command_exits_with_3(
    monkeypatch: pytest.MonkeyPatch, name: str, options: tuple[str, ...]
) -> None:
    monkeypatch.setattr("consistency.scan.passes.sleep", lambda seconds: None)
    a_file("stale", "processing")
    code, out, err = run(*HEALTHY, *NAMES, "--format", name, *options)
    assert code == 3
    assert File.objects.filter(pk="stale").exists()
    assert counts(name, out) == {"stale_processing": 1} | dict.fromkeys(NAMES), err
    recorded = options in ((), ("--confirm", "1s"))
    assert list(Scan.objects.values_list("complete", "new")) == ([(False, 1)] if recorded else [])
