"""Comments over REST: every comment of every anomaly, with one query for a page."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from consistency.history.suppression import comment
from consistency.models.history import Anomaly, AnomalyEvent
from tests.consistency.api.data import Ask, scanned

pytestmark = pytest.mark.usefixtures("transactional_db", "nobody_left")


def test_an_anomaly_has_its_comments_with_author_and_time_oldest_first(read: Ask) -> None:
    scanned("one", "two")
    one = Anomaly.objects.get(object_id="one")
    for by, text in (("ann", "asked the uploader"), ("bob", "no answer\nyet")):
        comment([one.pk], text=text, by=by)
    # A note of an earlier version that a person emptied.
    AnomalyEvent.objects.create(anomaly=one, kind="commented", at=one.first_seen, by="ann")
    rows = {row["object_id"]: row for row in read("/anomalies").json()["anomalies"]}
    expected = [("ann", "asked the uploader"), ("bob", "no answer\nyet")]
    assert [(made["by"], made["text"]) for made in rows["one"]["comments"]] == expected
    assert rows["two"]["comments"] == []
    assert "note" not in rows["one"]
    alone = read(f"/anomalies/{one.pk}").json()["comments"]
    assert alone == rows["one"]["comments"]
    assert alone[0]["at"].endswith("Z")


def test_a_page_reads_all_comments_with_one_query(read: Ask) -> None:
    scanned("one", "two", "three")
    comment(Anomaly.objects.values_list("pk", flat=True), text="known", by="ann")
    counts = []
    for limit in (1, 3):
        with CaptureQueriesContext(connection) as queries:
            assert len(read(f"/anomalies?limit={limit}").json()["anomalies"]) == limit
        counts.append(len(queries))
    assert counts[0] == counts[1]
