"""Rows of one object, the action on a whole file, and names that break or are shortened."""

from collections.abc import Iterator
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from consistency.admin.anomaly_columns import MAX_LENGTH, breakable
from consistency.history.queries import file_key, object_key, open_of_same
from consistency.history.suppression import acknowledge, mute
from consistency.models import File, MonitorJob
from consistency.models.history import Anomaly
from consistency.registry import Finding
from tests.consistency.admin.pages import LIST, ORPHANED, get, of_selected, page_of, post, rows, stale
from tests.consistency.conftest import Define
from tests.consistency.data import a_file, a_job, delete_files
from tests.consistency.history.data import STALE, anomaly, in_days, recorded

pytestmark = pytest.mark.usefixtures("transactional_db")


def badges(text: str) -> list[str]:
    """Return the texts of the badges of further anomalies."""
    parts = text.split('<a class="badge other"')[1:]
    return [part.partition("</a>")[0].partition(">")[2].replace("<wbr>", "") for part in parts]


def test_an_object_has_one_row_with_links_to_its_further_anomalies(client: Client, reviewer: User) -> None:
    stale("a", "b")
    recorded(STALE)
    recorded(ORPHANED)
    text = get(client, f"{LIST}?severity__exact=2")
    assert rows(text) == [anomaly("b", ORPHANED).pk, anomaly("a", ORPHANED).pk]
    assert badges(text) == [f"also {STALE}"] * 2
    assert "4 results" in text
    assert "0 of 2 selected" in text
    link = f"{page_of(anomaly('b'))}?_changelist_filters=severity__exact%3D2"
    assert f'href="{link}"' in unescape(text)
    assert "Next" in get(client, link)


def test_a_further_anomaly_of_another_page_or_suppressed_is_a_badge_too(client: Client, reviewer: User) -> None:
    stale("a", "b")
    recorded(STALE)
    recorded(ORPHANED)
    acknowledge([anomaly("a").pk], until=in_days(1), by="ann", reason="known")
    assert badges(get(client, f"{LIST}?check={ORPHANED}")) == [f"also {STALE}", f"also {STALE} (acknowledged)"]
    mute(ORPHANED, until=in_days(1), by="ann", reason="known")
    assert badges(get(client, f"{LIST}?check={STALE}")) == [f"also {ORPHANED} (muted)"]


def test_resolved_anomalies_keep_rows_of_their_own(client: Client, reviewer: User) -> None:
    stale("a")
    recorded(STALE)
    recorded(ORPHANED)
    a_job(1, "running", of="a")
    recorded(STALE)
    recorded(ORPHANED)
    text = get(client, f"{LIST}?state=all")
    assert set(rows(text)) == {anomaly("a").pk, anomaly("a", ORPHANED).pk}
    assert badges(text) == []


def test_rows_of_jobs_and_identities_with_one_number_are_apart(client: Client, reviewer: User, define: Define) -> None:
    def outside(using: str) -> Iterator[Finding]:
        yield Finding(object_type="identity", object_id="7", detail="no row in identities")

    define("outside", outside, detail=None)
    define("jobs", lambda: MonitorJob.objects.all())
    define("more", lambda: MonitorJob.objects.all())
    a_job(7, "running", of="7")
    a_file("7", "processing")
    recorded("outside", "jobs", "more", STALE)
    text = get(client, LIST)
    assert len(rows(text)) == 3
    assert badges(text) == ["also jobs"]
    related = open_of_same([anomaly("7")], file_key)
    assert {row.check_name for row in related} == {STALE, "jobs", "more"}
    assert [row.check_name for row in open_of_same([anomaly("7")], object_key)] == [STALE]


def test_one_query_reads_the_further_anomalies_of_a_page(client: Client, reviewer: User) -> None:
    def asked() -> int:
        with CaptureQueriesContext(connection) as queries:
            get(client, LIST)
        return len(queries)

    stale("a")
    recorded(STALE)
    recorded(ORPHANED)
    before = asked()
    stale("b", "c")
    recorded(STALE)
    recorded(ORPHANED)
    assert asked() == before


def acknowledge_file(client: Client) -> None:
    values: dict[str, Any] = {"length": "1d", "reason": "known", "category": "later", "whole_file": "on"}
    post(client, f"{LIST}{anomaly('a').pk}/act/acknowledge/", **values)


def test_acknowledge_offers_the_whole_file_only_if_it_has_more(client: Client, reviewer: User) -> None:
    stale("a")
    recorded(STALE)
    assert "All of this file" not in get(client, page_of(anomaly("a")))
    recorded(STALE)
    recorded(ORPHANED)
    text = get(client, page_of(anomaly("a")))
    assert f"Also acknowledge 1 anomaly of the same files: {ORPHANED}." in text
    assert "checked" not in text.partition('name="whole_file"')[2].partition(">")[0]
    acknowledge_file(client)
    assert Anomaly.objects.filter(acknowledged_reason="known").count() == 2


def test_the_whole_file_keeps_acknowledgements_of_other_people(client: Client, reviewer: User) -> None:
    stale("a")
    recorded(STALE)
    recorded(ORPHANED)
    acknowledge([anomaly("a", ORPHANED).pk], until=in_days(9), by="bob", reason="longer")
    acknowledge_file(client)
    assert anomaly("a", ORPHANED).acknowledged_by == "bob"
    assert anomaly("a").acknowledged_by == "ann"


def test_a_row_stands_for_its_object_when_assigned_and_when_an_acknowledgement_ends(
    client: Client, reviewer: User
) -> None:
    stale("a")
    recorded(STALE)
    recorded(ORPHANED)
    key = anomaly("a").pk
    post(client, LIST, **of_selected("assign", [key], sent="1", assignee="ann"))
    assert Anomaly.objects.filter(assignee="ann", reviewed_at__isnull=False).count() == 2
    acknowledge(Anomaly.objects.values_list("pk", flat=True), until=in_days(9), by="bob", reason="known")
    post(client, f"{LIST}?state=acknowledged", **of_selected("end_acknowledgement", [key], sent="1", reason="repaired"))
    assert not Anomaly.objects.filter(acknowledged_until__isnull=False).exists()


def test_without_the_choice_only_the_selected_anomalies_are_acknowledged(client: Client, reviewer: User) -> None:
    stale("a")
    recorded(STALE)
    recorded(ORPHANED)
    key = anomaly("a").pk
    post(client, LIST, **of_selected("acknowledge", [key], sent="1", length="1d", reason="known", category="later"))
    assert list(Anomaly.objects.filter(acknowledged_by="ann").values_list("pk", flat=True)) == [key]


def test_all_that_match_the_filters_are_acknowledged_without_their_files(client: Client, reviewer: User) -> None:
    stale("a")
    recorded(STALE)
    recorded(ORPHANED)
    sent = of_selected("acknowledge", ["0"]) | {"select_across": "1"}
    assert "whole_file" not in post(client, f"{LIST}?check={STALE}", 200, **sent).content.decode()


def test_a_name_breaks_after_separators_and_a_long_name_keeps_its_beginning_and_end(
    client: Client, reviewer: User
) -> None:
    name = "2026-05-01_" + "very_" * 20 + "long/news.mp4"
    File.objects.create(file_uuid="long", file_name=name, status="processing")
    recorded(STALE)
    text = get(client, LIST)
    assert f'<span title="{name}">2026-<wbr>05-<wbr>01_<wbr>very_<wbr>' in text
    assert "long/<wbr>news.<wbr>mp4</span>" in text
    assert breakable("<b>.mp4") == "&lt;b&gt;.<wbr>mp4"
    assert "<wbr>" not in breakable("x" * MAX_LENGTH)
    assert breakable("x" * 71).count("x") == 71 + MAX_LENGTH - 1
    delete_files()


@pytest.mark.parametrize("action", ["mark_reviewed", "acknowledge"])
def test_an_action_on_all_that_match_changes_no_other_anomaly(client: Client, reviewer: User, action: str) -> None:
    stale("a")
    recorded(STALE)
    recorded(ORPHANED)
    values = {
        "select_across": "1",
        "sent": "1",
        "length": "1d",
        "reason": "known",
        "category": "later",
        "whole_file": "on",
    }
    post(client, f"{LIST}?check={STALE}", **of_selected(action, ["0"]) | values)
    assert list(Anomaly.objects.exclude(reviewed_at=None)) == [anomaly("a")]
