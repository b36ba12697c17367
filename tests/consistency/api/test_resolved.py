"""Resolved anomalies over REST: order, pages, and the scan that resolved an anomaly."""

import pytest

from common.times import format_instant
from consistency.history.suppression import mark_reviewed
from consistency.models import File
from consistency.models.history import Anomaly
from tests.consistency.api.data import API, Ask, scanned, told

pytestmark = pytest.mark.usefixtures("transactional_db", "nobody_left")


def test_resolved_anomalies_come_by_resolution_page_by_page(read: Ask) -> None:
    scanned("a", "b", "c")
    for name in ("b", "c", "a"):
        File.objects.filter(file_uuid=name).update(status="completed")
        scanned()
    whole, first = read("/anomalies?resolved_since=1h"), read("/anomalies?resolved_since=1h&limit=2")
    assert told(whole) == ["a", "c", "b"]
    assert told(first) == ["a", "c"]
    following = first.json()["next"].removeprefix(API)
    assert told(read(following)) == ["b"]


def test_a_row_names_the_scan_that_resolved_the_anomaly_and_the_review(read: Ask) -> None:
    scanned("a")
    [row] = read("/anomalies").json()["anomalies"]
    assert (row["resolved_scan"], row["needs_review"], row["reviewed_at"]) == (None, True, None)
    mark_reviewed([row["id"]], by="ada")
    row = read(f"/anomalies/{row['id']}").json()
    reviewed_at = Anomaly.objects.get().reviewed_at
    assert reviewed_at
    assert (row["needs_review"], row["reviewed_at"]) == (False, format_instant(reviewed_at))
    File.objects.update(status="completed")
    scanned()
    last = read("/scans").json()["scans"][0]
    row = read(f"/anomalies/{row['id']}").json()
    assert (row["resolved_scan"], row["resolved_at"]) == (last["id"], last["snapshot_at"])
