"""What the OpenAPI document says of review, held against live answers: each operation with each code that it names."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from config.openapi import Generator
from consistency.history.locks import AnomaliesLockedError
from consistency.history.suppression import acknowledge, mute
from consistency.models.history import Anomaly, Scan
from tests.consistency.api.data import API, Ask, asker, person, scanned

pytestmark = pytest.mark.usefixtures("transactional_db", "nobody_left")
LATER = {"for": "1d", "reason": "x"}
ACKNOWLEDGE, MUTE = "/anomalies/{number}/acknowledge", "/checks/{check}/mute"
Reached = set[tuple[str, str, str]]


class Held:
    """Asks, and holds each answer against the document."""

    def __init__(self) -> None:
        self.document = Generator().get_schema(public=True)  # type: ignore[no-untyped-call]
        self.reached: Reached = set()
        self.number = Anomaly.objects.get().pk

    def documented(self) -> Reached:
        return {
            (path.removeprefix(API), method, code)
            for path, operations in self.document["paths"].items()
            if path.startswith(API)
            for method, operation in operations.items()
            for code in operation["responses"]
        }

    def __call__(self, ask: Ask, path: str, body: Any = None, method: str = "", query: str = "", **more: Any) -> None:
        number = more.pop("number", self.number)
        filled = path.format(number=number, check=more.pop("check", "stale_processing"))
        method = method or ("get" if body is None else "post")
        answer = ask(filled + query, body, method=method, **more)
        code = str(answer.status_code)
        described = self.document["paths"][API + path][method]["responses"][code]
        schema = {"components": self.document["components"], **described["content"]["application/json"]["schema"]}
        errors = list(Draft202012Validator(schema).iter_errors(answer.json()))
        assert not errors, (path, method, code, errors)
        assert answer.json().keys() <= schema.get("properties", answer.json()).keys(), "a key that is not described"
        self.reached.add((path, method, code))


def reads(held: Held, ask: Ask, **more: Any) -> None:
    for path in ("/checks", "/scans", "/anomalies", "/scans/{number}", "/anomalies/{number}"):
        held(ask, path, **more)


def acts(held: Held, ask: Ask, **more: Any) -> None:
    held(ask, "/scans", {}, **more)
    for path in (ACKNOWLEDGE, MUTE):
        held(ask, path, LATER, **more)
        held(ask, path, method="delete", **more)


@contextmanager
def patched(name: str, value: Any) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(name, value)
        yield


def away(*_: Any) -> Any:
    raise OperationalError("away")


def taken(*_: Any) -> Any:
    raise AnomaliesLockedError


def test_each_operation_answers_as_described_with_each_code_that_is_named() -> None:
    scanned("one")
    held = Held()
    ada, bob, nobody = person("ada", "acknowledge_anomaly", "mute_check", "scan_now"), person("bob"), asker({})
    held(ada, "/scans/{number}", number=ada("/scans").json()["scans"][0]["id"])
    for everything in (reads, acts):
        everything(held, nobody)
        everything(held, ada, query="?no=1")
        with patched("config.access.authentication.JWTAuthentication.get_user", away):
            everything(held, ada)
    acts(held, bob)
    muted_and_acknowledged(held.number)
    reads(held, ada)
    acts(held, ada)
    acts_that_are_refused(held, ada)
    missing = held.documented() - held.reached
    # Only the front answers 408.
    assert {(path, method, code) for path, method, code in missing if code != "408"} == set()


def muted_and_acknowledged(number: int) -> None:
    until = timezone.now() + timedelta(days=1)
    acknowledge([number], until=until, by="ada", reason="known")
    mute("stale_processing", until=until, by="ada", reason="known")


def acts_that_are_refused(held: Held, ada: Ask) -> None:
    for path in ("/scans", ACKNOWLEDGE, MUTE):
        held(ada, path, {"what": "x" * 3_000_000})
        held(ada, path, "x", content_type="text/plain")
    for path, unknown in ((ACKNOWLEDGE, {"number": 999_999}), (MUTE, {"check": "no"})):
        held(ada, path, LATER, **unknown)
        held(ada, path, method="delete", **unknown)
    held(ada, "/scans/{number}", number=999_999)
    held(ada, "/anomalies/{number}", number=999_999)
    with patched("consistency.history.statements.PREVIOUS_RUNS", "SELECT 1 / 0, %s, %s"):
        held(ada, "/scans", {})
    Scan.objects.update(snapshot_at=timezone.now() + timedelta(days=1))
    held(ada, "/scans", {})
    muted_and_acknowledged(held.number)
    with patched("consistency.history.suppression._end_mute", lambda *_, **__: False):
        held(ada, MUTE, LATER)
    with patched("consistency.history.suppression.changing_anomalies", taken):
        held(ada, ACKNOWLEDGE, method="delete")
    Anomaly.objects.update(resolved_at=timezone.now())
    held(ada, ACKNOWLEDGE, LATER)
