"""Each page of review is read by index: on many anomalies, no question reads a table or sifts much of it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from consistency import paginator
from consistency.memory.lists import last_complete_scan
from consistency.memory.retention import prune
from consistency.memory.silence import mute
from consistency.models.memory import Anomaly, Scan
from tests.consistency.admin.pages import LIST, OVERVIEW, SEE, page_of
from tests.consistency.memory.data import in_days
from tests.consistency.test_plans import nodes

MANY = 30_000
SIFTED = MANY // 5
"""Rows that one question may look at in vain."""
QUERIES = 12
OURS = {"consistency_anomaly", "consistency_scan", "consistency_scancheck"}
LOAD = f"""
INSERT INTO consistency_scan (database, recorded_at, snapshot_at, trigger, actor, complete, status, duration_ms, new,
    returned, resolved, ongoing)
SELECT 'default', t, t, 'command', 'cron', n % 50 <> 0, 'degraded', 9, 0, 0, 0, 0
FROM generate_series(1, 3000) n, LATERAL (SELECT now() - (3000 - n) * interval '1 hour' AS t);
INSERT INTO consistency_scancheck (scan_id, check_name, severity, outcome, count, acknowledged, muted, duration_ms,
    error, new, returned, resolved, ongoing)
SELECT id, name, 2, 'found', 6000, 0, 0, 9, '', 0, 0, 0, 0 FROM consistency_scan, unnest(ARRAY['stale_processing',
    'orphaned_processing', 'processing_job_done', 'unregistered_with_uuid', 'rare', 'retired']) name;
INSERT INTO consistency_anomaly (database, check_name, object_type, object_id, severity, detail, file_uuid, file_name,
    status, state, first_seen, appeared_at, appeared_scan, last_seen, last_scan, times_seen, returned_count,
    resolved_at, acknowledged_by, acknowledged_at, acknowledged_until, acknowledged_reason, assignee)
SELECT 'default', name, 'file', md5(n::text), CASE name WHEN 'retired' THEN 3 ELSE 2 END, 'broken', md5(n::text),
    'clip ' || n || '.mp4', 'processing', state, at - interval '1 day', at, newest - ({MANY} - n) / 60, now(), newest,
    1, (state = 'returned')::int,
    CASE state WHEN 'resolved' THEN now() - ({MANY} - n) * interval '30 second' END, CASE WHEN held THEN 'ann' END,
    CASE WHEN held THEN now() END, CASE WHEN held THEN now() + interval '9 day' END, CASE WHEN held THEN 'why' END,
    CASE n % 17 WHEN 0 THEN 'ann' WHEN 1 THEN 'bob' END
FROM generate_series(1, {MANY}) n, (SELECT max(id) AS newest FROM consistency_scan) s,
    LATERAL (SELECT now() - ({MANY} - n) * interval '1 minute' AS at, n % 23 = 0 AS held,
    CASE WHEN n % 500 = 0 THEN 'rare' ELSE (ARRAY['stale_processing', 'orphaned_processing', 'processing_job_done',
        'unregistered_with_uuid', 'retired'])[n % 5 + 1] END AS name,
    CASE WHEN n % 7 < 2 THEN 'resolved' WHEN n > {MANY} - 100 THEN 'new' WHEN n % 601 = 0 THEN 'returned'
        ELSE 'ongoing' END AS state)"""

FILTERS = [
    "", "state=open", "state=new", "state=ongoing", "state=returned", "state=acknowledged", "state=muted",
    "state=resolved", "state=all", "check=stale_processing", "check=rare", "severity__exact=3", "severity__exact=1",
    "news=1", "age=day", "age=week", "age=old", "age=month", "assignee=me", "assignee=nobody", "assignee=anybody",
    "q=c81e7", "q=clip 12", "q=nothing", "p=20", "state=all&p=20", "state=resolved&p=20",
    "check=stale_processing&severity__exact=3", "check=rare&state=resolved", "check=rare&assignee=me",
    "severity__exact=1&state=resolved", "age=month&state=all", "age=month&state=resolved", "age=month&check=rare",
    "state=returned&check=rare", "state=acknowledged&check=rare", "news=1&assignee=me", "news=1&state=all",
    *(f"scan={{}}{kind}&{more}" for kind in ("", "-new", "-returned") for more in ("", "state=all", "check=rare")),
    "scan={}&state=all&check=stale_processing", "scan={}&state=resolved", "scan=1&state=all",
]  # fmt: skip
ASKED = [
    "", "state=new", "state=ongoing", "state=returned", "state=resolved", "state=all", "check=rare",
    "check=stale_processing,rare", "severity=error", "severity=info", "severity=warn,error", "assignee=ann",
    "assignee=zed", "silenced=0", "silenced=1", "since=1d", "since=60d", "uuid=c81e7", "name=clip 12",
    "state=all&check=rare", "state=resolved&severity=info", "state=resolved&check=rare", "state=all&silenced=0",
    "severity=error&check=stale_processing", "state=all&since=1h", "state=acknowledged", "state=muted",
    "state=acknowledged&check=rare", "state=acknowledged&silenced=0", "state=muted&silenced=0", "state=muted&since=1d",
    "scan={}", "scan={}&state=all", "scan={}&state=all&check=rare", "scan={}&state=resolved", "scan=1&state=all",
]  # fmt: skip


@pytest.fixture
def many(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    # In proportion: so many are counted in a table that is smaller.
    monkeypatch.setattr(paginator, "MOST", 500)
    with connection.cursor() as cursor:
        cursor.execute(LOAD)
    mute("unregistered_with_uuid", until=in_days(7), by="ann", reason="why")
    analyze()


def analyze() -> None:
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE consistency_anomaly, consistency_scan, consistency_scancheck, consistency_mute")


def plans(statements: list[str]) -> Iterator[dict[str, Any]]:
    """The nodes of each plan, as it went."""
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}")
            yield from nodes(cursor.fetchone()[0][0]["Plan"])


def wrong(ask: Callable[[], Any]) -> list[str]:
    """What is wrong with the questions that this asks; nothing, if each is answered by an index."""
    with CaptureQueriesContext(connection) as asked:
        ask()
    statements = [query["sql"] for query in asked if '"consistency_' in query["sql"] or " consistency_" in query["sql"]]
    found = [f"{len(asked)} queries"] if len(statements) > QUERIES else []
    for node in plans([statement for statement in statements if statement.lstrip().startswith(("SELECT", "WITH"))]):
        sifted = node.get("Rows Removed by Filter", 0) * node["Actual Loops"]
        if sifted > SIFTED:
            found.append(f"{sifted} rows in vain by {node.get('Index Name')}: {node['Filter']}")
        if node["Node Type"] == "Seq Scan" and node["Relation Name"] in OURS:
            found.append(f"reads the table {node['Relation Name']}: {node.get('Filter')}")
    return found


def of_long_ago() -> int:
    """A scan in which some were new or back."""
    return Anomaly.objects.order_by("pk")[MANY // 3].appeared_scan


def page(client: Client, path: str) -> Callable[[], Any]:
    def ask() -> Any:
        answer = client.get(path, secure=True)
        assert answer.status_code == 200, path
        return answer

    return ask


def all_wrong(client: Client, paths: list[str]) -> dict[str, list[str]]:
    told = {path: wrong(page(client, path)) for path in paths}
    return {path: found for path, found in told.items() if found}


@pytest.mark.usefixtures("many", "reviewer")
def test_the_list_of_anomalies_is_read_by_index_however_it_is_filtered_and_searched(client: Client) -> None:
    assert all_wrong(client, [f"{LIST}?{asked.format(of_long_ago())}" for asked in FILTERS]) == {}


@pytest.mark.usefixtures("many", "reviewer")
def test_so_are_the_overview_and_the_other_pages(client: Client) -> None:
    scan = Scan.objects.all()[5]
    of_scans = [f"{OVERVIEW}scan/", f"{OVERVIEW}scan/?complete__exact=0", f"{OVERVIEW}scan/{scan.pk}/change/"]
    assert all_wrong(client, ["/admin/", OVERVIEW, *of_scans, f"{OVERVIEW}mute/"]) == {}
    for one in (Anomaly.objects.all()[3], Anomaly.objects.filter(resolved_at__isnull=False)[3]):
        froms = ("", "state%3Dall", "state%3Dresolved", "check%3Drare", "assignee%3Dme", "state%3Dacknowledged")
        assert all_wrong(client, [f"{page_of(one)}?_changelist_filters={came}" for came in froms]) == {}


@pytest.mark.usefixtures("many", "reviewer")
def test_so_are_the_lists_over_rest_in_both_directions(client: Client) -> None:
    base = "/api/v1/consistency/"
    lists = [f"{base}anomalies?{asked.format(of_long_ago())}" for asked in ASKED]
    for path in (*lists, f"{base}scans", f"{base}scans?complete=0"):
        there = page(client, path)().json()["next"]
        back = page(client, there)().json()["previous"] if there else None
        assert all_wrong(client, [address for address in (path, there, back) if address]) == {}
    assert all_wrong(client, [f"{base}checks"]) == {}


@pytest.mark.usefixtures("many", "reviewer")
def test_so_is_a_list_from_which_all_but_a_few_were_muted_or_acknowledged(client: Client) -> None:
    paths = [LIST, f"{LIST}?severity__exact=2", "/api/v1/consistency/anomalies?silenced=0", OVERVIEW]
    for name in ("stale_processing", "orphaned_processing", "processing_job_done", "retired"):
        mute(name, until=in_days(7), by="ann", reason="why")
    assert all_wrong(client, paths) == {}
    mute("rare", until=in_days(7), by="ann", reason="why")
    assert all_wrong(client, paths) == {}
    Anomaly.objects.filter(resolved_at__isnull=True).update(acknowledged_until=in_days(1))
    analyze()
    assert all_wrong(client, [LIST, f"{LIST}?age=day", "/api/v1/consistency/anomalies?silenced=0"]) == {}


@pytest.mark.usefixtures("many")
def test_the_last_complete_scan_is_found_by_index_even_where_there_is_none() -> None:
    assert wrong(last_complete_scan) == []
    Scan.objects.update(complete=False)
    analyze()
    assert wrong(last_complete_scan) == []


@pytest.mark.usefixtures("many")
def test_what_is_to_be_forgotten_is_found_by_index(settings: Any) -> None:
    settings.CONSISTENCY_KEEP_SCANS, settings.CONSISTENCY_KEEP_RESOLVED = 100, 10
    scans, anomalies = Scan.objects.count(), Anomaly.objects.count()
    assert wrong(prune) == []
    assert Scan.objects.count() < scans
    assert Anomaly.objects.count() < anomalies


@pytest.mark.usefixtures("many")
def test_without_its_index_a_page_is_wrong_so_these_tests_can_fail(client: Client, person: Callable[..., User]) -> None:
    person(*SEE)
    for index, asked in {
        "anomaly_open_state": "state=returned",
        "anomaly_assignee": "assignee=me",
        "anomaly_resolved_severity": "severity__exact=1&state=resolved",
        "anomaly_file_name": "q=clip 12",
        "anomaly_appeared": "state=all",
        "anomaly_news_of_scan": "scan=1&state=all",
    }.items():
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(f"DROP INDEX {index}")
            assert wrong(page(client, f"{LIST}?{asked}")) != [], index
            transaction.set_rollback(True)
