"""Asking for a review over REST, for tests: with whose credentials, and what there is to see."""

from collections.abc import Callable
from typing import Any

from django.contrib.auth.models import Permission, User
from django.test import Client

from config.access import keys
from config.access.tokens import RefreshToken
from consistency.history.scanning import record_scan
from consistency.registry import Check
from consistency.scan.selection import select_checks
from tests.consistency.data import a_file

API = "/api/v1/consistency"
ACTS = ("acknowledge_anomaly", "mute_check", "scan_now")
Ask = Callable[..., Any]


def asker(headers: dict[str, str]) -> Ask:
    """Ask with these headers: `ask(path)` reads, with a body or a method it acts."""
    client = Client(raise_request_exception=False)

    def ask(path: str, body: Any = None, method: str | None = None, content_type: str = "application/json") -> Any:
        how = method or ("get" if body is None else "post")
        more = {} if body is None else {"data": body, "content_type": content_type}
        return getattr(client, how)(f"{API}{path}", secure=True, headers=headers, **more)

    return ask


def report_reader() -> Ask:
    """Ask for the report with an API key. A streamed body is read to its end."""
    client = Client(raise_request_exception=False)
    _, secret = keys.issue("tests", days=1)

    def ask(query: str = "", accept: str = "*/*", method: str = "get") -> Any:
        headers = {"X-API-Key": secret, "Accept": accept}
        answer = getattr(client, method)(f"/health/consistency{query}", secure=True, headers=headers)
        answer.body = (b"".join(answer.streaming_content) if answer.streaming else answer.content).decode()
        answer.close()
        return answer

    return ask


def person(name: str, *permissions: str) -> Ask:
    """Ask as somebody who has these permissions only."""
    user, _ = User.objects.get_or_create(username=name, defaults={"password": "!"})
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return asker({"Authorization": f"Bearer {RefreshToken.for_user(user).access_token}"})


def two_checks() -> list[Check]:
    """What is scanned."""
    return select_checks(["stale_processing", "unknown_status"])


def scanned(*names: str) -> None:
    """Record a scan in which these files are stale."""
    for name in names:
        a_file(name, "processing")
    assert record_scan(two_checks(), trigger="api").scan


def told(answer: Any) -> list[str]:
    """Which objects a page of anomalies lists."""
    return [row["object_id"] for row in answer.json()["anomalies"]]
