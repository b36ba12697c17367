"""Permissions over REST: each action needs its own, and an API key only reads."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from rest_framework_simplejwt.models import TokenUser

from consistency.history.suppression import acknowledge, mute
from consistency.models.history import Anomaly, AnomalyEvent, Mute, Scan
from tests.consistency.api.data import ACTS, Ask, asker, person, scanned

pytestmark = pytest.mark.usefixtures("transactional_db", "nobody_left")


def acts() -> list[tuple[str, str, Any, str]]:
    body = {"for": "1d", "reason": "x"}
    return [
        ("/anomalies/{}/acknowledge", "post", body, "acknowledge_anomaly"),
        ("/anomalies/{}/acknowledge", "delete", None, "acknowledge_anomaly"),
        ("/checks/stale_processing/mute", "post", body, "mute_check"),
        ("/checks/stale_processing/mute", "delete", None, "mute_check"),
        ("/scans", "post", {}, "scan_now"),
    ]


@pytest.mark.parametrize(("path", "method", "body", "permission"), acts())
def test_each_act_needs_its_own_permission(read: Ask, path: str, method: str, body: Any, permission: str) -> None:
    scanned("one")
    address, scans = path.format(Anomaly.objects.get().pk), Scan.objects.count()
    for other in (read, person("bob", *(act for act in ACTS if act != permission))):
        answer = other(address, body, method=method)
        assert (answer.status_code, list(answer.json())) == (403, ["detail"])
        assert f"consistency.{permission}" in answer.json()["detail"]
    assert asker({})(address, body, method=method).status_code == 401
    assert (Scan.objects.count(), Mute.objects.count(), AnomalyEvent.objects.exclude(by="").count()) == (scans, 0, 0)
    assert person("eve", permission)(address, body, method=method).status_code != 403


def test_an_outage_is_not_told_as_a_missing_permission(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one a token is believed, and it says nothing of permissions."""
    monkeypatch.setattr("config.access.authentication.JWTAuthentication.get_user", lambda self, token: TokenUser(token))
    for path, method, body, _ in acts():
        answer = ask(path.format(1), body, method=method)
        assert (answer.status_code, list(answer.json()), answer["Retry-After"]) == (503, ["detail"], "5")


def test_a_memory_that_is_read_only_says_so(ask: Ask) -> None:
    scanned("one")
    anomaly = Anomaly.objects.get().pk
    acknowledge([anomaly], until=timezone.now() + timedelta(days=1), by="ada", reason="known")
    mute("stale_processing", until=timezone.now() + timedelta(days=1), by="ada", reason="known")
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
    try:
        answers = [ask(path.format(anomaly), body, method=method) for path, method, body, _ in acts()[:-1]]
    finally:
        connection.close()
    assert [answer.status_code for answer in answers] == [503] * 4
    assert all(answer.json()["detail"].startswith("PostgreSQL is read-only now") for answer in answers)
