"""Numbers in lists and on the pages of scans have separators."""

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from consistency.models.history import Anomaly, Scan, ScanCheck
from tests.consistency.admin.pages import LIST, OVERVIEW, get, stale
from tests.consistency.history.data import recorded

pytestmark = pytest.mark.usefixtures("transactional_db")


def test_the_numbers_of_a_scan_have_separators(client: Client, reviewer: User) -> None:
    recorded()
    numbers = {"new": 1201, "returned": 1202, "resolved": 1203, "ongoing": 1204}
    ScanCheck.objects.update(**numbers, count=1205, acknowledged=1206, muted=1207)
    Scan.objects.update(**numbers, affected_files=1208)
    page = get(client, f"{OVERVIEW}scan/{Scan.objects.get().pk}/change/")
    for number in range(1201, 1209):
        assert f"{number:,}" in page
        assert not re.search(rf"[>; ]{number}\b", page)
    listed = get(client, f"{OVERVIEW}scan/")
    assert ">1,201</a>" in listed
    assert ">1,202</a>" in listed


def test_a_list_of_thousands_shows_its_number_with_separators(client: Client, reviewer: User) -> None:
    stale("a")
    recorded()
    row: dict[str, Any] = dict(Anomaly._base_manager.values().get())
    for name in ("id", "cause", "appeared_event", "object_id"):
        del row[name]
    Anomaly.objects.bulk_create(Anomaly(**row, object_id=f"b{n}", appeared_event=10**9 + n) for n in range(1203))
    text = get(client, LIST)
    assert "1,204 results" in text
    assert "1,204 anomalies" in text
