"""The runbook of a check stands beside the hint on every surface that shows the hint."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.consistency.admin.pages import get, page_of, stale
from tests.consistency.api.data import Ask
from tests.consistency.history.data import STALE, anomaly, recorded
from tests.consistency.notices.data import scan_notice

pytestmark = pytest.mark.usefixtures("transactional_db", "nobody_left")

RUNBOOK = "https://wiki.example/stale?a=1&b=2"


def test_page_rest_and_notice_show_the_runbook(client: Client, reviewer: User, read: Ask, settings: Any) -> None:
    settings.CONSISTENCY_RUNBOOKS = {STALE: RUNBOOK}
    stale("a")
    notice = scan_notice()
    assert notice
    assert notice.as_dict()["changes"][0]["runbook"] == RUNBOOK
    assert f"\n  {RUNBOOK}\n" in notice.text
    assert 'href="https://wiki.example/stale?a=1&amp;b=2"' in get(client, page_of(anomaly("a")))
    runbooks = {check["check"]: check["runbook"] for check in read("/checks").json()["checks"]}
    assert (runbooks[STALE], runbooks["orphaned_processing"]) == (RUNBOOK, None)


def test_without_the_setting_there_is_none(client: Client, reviewer: User) -> None:
    stale("a")
    notice = scan_notice()
    assert notice
    assert notice.as_dict()["changes"][0]["runbook"] is None
    assert "None" not in notice.text
    recorded(STALE)
    assert "unbook" not in get(client, page_of(anomaly("a")))
