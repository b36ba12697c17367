"""Every address x credential x method has the status of addresses.json. A new address needs a row."""

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any, Final

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, User
from django.contrib.sessions.models import Session
from django.utils import timezone

from config.access import keys
from config.access.tokens import AccessToken
from consistency.history.scanning import record_scan
from consistency.history.suppression import acknowledge, mute
from consistency.models.history import Anomaly, Trigger
from consistency.registry import CHECKS
from health.models import RuntimeSwitch, SchemaMigration
from health.snapshot import snapshot
from identities.models import Identity
from tests.access.conftest import Caller, bearer
from tests.access.test_openapi import routes
from tests.consistency.data import a_file, a_job
from tests.health.conftest import eventually

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
# The keys of a row: the credentials with the same statuses, one status for each method.
CREDENTIALS: Final = {
    "none": {"none"},
    "reader": {"key", "jwt plain", "session plain"},
    "administrator": {"jwt admin", "session admin"},
    "session admin": {"session admin"},
    "session plain": {"session plain"},
    "session": {"session admin", "session plain"},
    "no session": {"none", "key", "jwt admin", "jwt plain"},
    "any": {"key", "jwt admin", "jwt plain", "session admin", "session plain"},
    "all": {"none", "key", "jwt admin", "jwt plain", "session admin", "session plain"},
}
TABLE: Final[list[dict[str, Any]]] = json.loads(Path(__file__).with_name("addresses.json").read_text())
CSRF: Final = "a" * 32


def expected(credential: str) -> dict[str, list[int]]:
    """Return the statuses of each address."""
    return {
        route: [int(status) for status in statuses.split()]
        for row in TABLE
        for route in row["addresses"]
        for group, statuses in row.items()
        if credential in CREDENTIALS.get(group, ())
    }


@pytest.fixture
def objects(transactional_db: None) -> dict[str, Any]:
    """Store a row of each model. Return the primary keys by model."""
    until = timezone.now() + timedelta(days=1)
    a_file("one", "processing")
    a_job(1, "running")
    Group.objects.create(name="people")
    Identity.objects.create(uuid="one", name="one")
    SchemaMigration.objects.create(filename="one.sql")
    RuntimeSwitch.objects.create(name="cache", enabled=True)
    keys.issue("of nobody", 1)
    record_scan([CHECKS["stale_processing"], CHECKS["orphaned_processing"]], trigger=Trigger.API)
    acknowledge([Anomaly.objects.latest("pk").pk], until=until, by="ada", reason="known")
    for check in ("stale_processing", "orphaned_processing"):  # REST ends the first one, the admin the last one
        mute(check, until=until, by="ada", reason="known")
    newest = {model._meta.model_name: model._default_manager.order_by("pk").last() for model in apps.get_models()}
    return {str(name): row.pk for name, row in newest.items() if row}


@pytest.fixture(params=sorted(CREDENTIALS["all"]))
def credential(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def caller(transactional_db: None, credential: str) -> Caller:
    """Return a client with the credential. A session comes with its CSRF token."""
    kind, _, name = credential.partition(" ")
    user = User.objects.create_user("ada", is_staff=name == "admin", is_superuser=name == "admin")
    headers: dict[str, str] = {}
    if kind == "key":
        headers = {"X-API-Key": keys.issue("tests", 1)[1]}
    elif kind == "jwt":
        headers = bearer(str(AccessToken.for_user(user)))
    elif kind == "session":
        headers = {"X-CSRFToken": CSRF, "Referer": "https://testserver/"}
    client = Caller(headers=headers)
    if kind == "session":
        client.force_login(user)
        client.cookies["csrftoken"] = CSRF
    return client


def filled(route: str, objects: dict[str, Any]) -> str:
    """Return the address of a stored object."""
    model = next((name for name in objects if f"/{name}/" in route), "anomaly" if "anomalies" in route else "scan")
    values = dict.fromkeys(("number", "key", "id", "object_id"), objects[model]) | {
        "check": "stale_processing",
        "name": "csv" if "export" in route else "acknowledge",
        "app_label": "consistency",
        "content_type_id": "1",
        "url": "nothing",
    }
    address = re.sub(r"\^?\(\?P<(\w+)>[^)]*\)|<(?:\w+:)?(\w+)>", lambda match: str(values[match[1] or match[2]]), route)
    return address.removesuffix("$")


def every_answer(client: Caller, route: str, address: str) -> Iterator[int]:
    sessions, cookies = list(Session.objects.all()), {name: morsel.value for name, morsel in client.cookies.items()}
    for method in METHODS:
        answer = client.generic(method, address)
        answer.close()
        yield answer.status_code
        for session in sessions:
            session.save()  # the request may have signed out
        client.cookies = SimpleCookie(cookies)
        assert answer.status_code != 405 or answer["Allow"], (method, route)
        if answer.status_code == 401:
            assert method == "HEAD" or set(answer.json()) == {"detail"}, (method, route)
            assert answer["WWW-Authenticate"] == 'Bearer realm="api"', (method, route)


def test_every_address_has_a_row() -> None:
    named = [route for row in TABLE for route in row["addresses"]]
    assert set(named) == routes()
    assert len(named) == len(set(named))


def test_every_method_has_the_status_of_the_table(caller: Caller, credential: str, objects: dict[str, Any]) -> None:
    assert eventually(snapshot.is_ready)
    answers = {route: list(every_answer(caller, route, filled(route, objects))) for route in sorted(routes())}
    table = expected(credential)
    assert not {route: (got, table.get(route)) for route, got in answers.items() if got != table.get(route)}
