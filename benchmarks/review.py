"""Measure the pages of review at a million anomalies and 200,000 files: lists, searches, groups, overview and REST.

Run from the project's folder: python -m benchmarks.review [ROWS [SCANS]]; a million and 99,000 by default. SCANS is a
multiple of three. The history is that of the tests of plans: one check has 95 of 100 anomalies, another all new ones.
Two of five anomalies are open; then all are opened, and the pages of open anomalies are measured again.

A page passes if its median is at most a second and its status is 200. Exit code 1: a page does not pass.
"""

import sys
from collections.abc import Callable
from statistics import median

from django.conf import settings
from django.db import connection

from benchmarks.recording import database, seconds

ROWS, SCANS, FILES, COMMENTS, ROUNDS, LIMIT = 1_000_000, 99_000, 200_000, 50_000, 5, 1.0
SMALL = "/admin/consistency/mute/"
"""A list of one row: the cost of any page."""
LIST, REST = "/admin/consistency/anomaly/?", "/api/v1/consistency/anomalies?"
FILE = "/admin/consistency/file/"
OPEN_PAGES = {
    "list": LIST,
    "list, needs review": f"{LIST}review=needed",
    "list, last 7 days": f"{LIST}age=week",
    "list by severity": f"{LIST}o=3",
    "list by file": f"{LIST}o=1",
    "list by first seen": f"{LIST}o=4",
    "list by last new": f"{LIST}o=-5",
    "list, of the largest check by file": f"{LIST}check=stale_processing&o=1",
    "list, of a cause": f"{LIST}check=stale_processing&cause=job+_+is+failed",
    "causes of the largest check": "/admin/consistency/anomaly/causes/?check=stale_processing",
    "overview": "/admin/consistency/",
}
PAGES = OPEN_PAGES | {
    "list, all": f"{LIST}state=all",
    "list, all by file": f"{LIST}state=all&o=1",
    "list, page 300": f"{LIST}state=all&p=300",
    "list, new of the largest check": f"{LIST}check=stale_processing&state=new",
    "list, of a small check": f"{LIST}check=rare",
    "list, needs review": f"{LIST}review=needed",
    "list, by file": f"{LIST}o=1",
    "list, least severe first": f"{LIST}o=3",
    "list, first seen first": f"{LIST}o=4",
    "list, mine": f"{LIST}assignee=me",
    "list, resolved": f"{LIST}state=resolved",
    "list, resolved in the last 7 days": f"{LIST}state=resolved&resolved_since=7d",
    "list, resolved and assigned": f"{LIST}state=resolved&assignee=anybody",
    "list, new since the last scan": f"{LIST}news=1",
    "list, returned in a scan of very many": f"{LIST}state=all&scan={{mass}}-returned",
    "list, found by a scan of very many": f"{LIST}state=all&scan={{mass}}-new",
    "list, resolved by a scan of very many": f"{LIST}state=all&scan={{mass}}-resolved",
    "list, resolved by a scan of very many, page 300": f"{LIST}state=all&scan={{mass}}-resolved&p=300",
    "list, of a small check, resolved by a scan of very many": f"{LIST}check=rare&state=all&scan={{mass}}-resolved",
    "list, resolved lately": f"{LIST}state=resolved&resolved_since=30d",
    "list, five filters": f"{LIST}check=stale_processing&severity__exact=2&state=ongoing&age=month&assignee=nobody",
    "search by uuid": f"{LIST}q=c81e728d",
    "search by part of a name": f"{LIST}q=LIP 1234",
    "search by path": f"{LIST}q=/srv/media/2026/clip 1234.mp4",
    "search by job": f"{LIST}q=job 123456",
    "search by comment": f"{LIST}q=ticket 4711",
    "search by assignee": f"{LIST}q=bob",
    "search for a part of very many names": f"{LIST}q=clip 1",
    "search for a part of all names": f"{LIST}q=mp4",
    "search for two letters": f"{LIST}q=Cl",
    "search in vain": f"{LIST}q=nothing at all",
    "search in one state, by file": f"{LIST}q=clip 12&state=resolved&o=1",
    "actions of people": "/admin/consistency/anomalyevent/",
    "scans": "/admin/consistency/scan/",
    "scan": "/admin/consistency/scan/{mass}/change/",
    "files": FILE,
    "files, searched": f"{FILE}?q=clip 12",
    "file": f"{FILE}c81e728d9d4c2f636f067f89cc14862c/change/",
    "REST": REST,
    "REST, needs review": f"{REST}review=needed",
    "REST, three filters": f"{REST}check=stale_processing&state=new&silenced=0",
    "REST, resolved": f"{REST}state=resolved",
    "REST, resolved lately": f"{REST}resolved_since=30d",
}
MEDIA = """
INSERT INTO monitor_jobs (id, file_uuid, status, created_at, updated_at)
SELECT n, md5(n::text), CASE n %% 5 WHEN 0 THEN 'failed' ELSE 'completed' END, now(), now()
FROM generate_series(1, %(files)s) n;
INSERT INTO files (file_uuid, file_name, status, job_id)
SELECT md5(n::text), 'clip ' || n || '.mp4', CASE n %% 5 WHEN 0 THEN 'processing' ELSE 'completed' END, n
FROM generate_series(1, %(files)s) n;
INSERT INTO consistency_anomalyevent (anomaly_id, kind, at, by, text)
SELECT id, 'commented', now(), 'ann', 'see ticket ' || id FROM consistency_anomaly ORDER BY id LIMIT %(comments)s;
VACUUM ANALYZE files;
VACUUM ANALYZE monitor_jobs;
VACUUM ANALYZE consistency_anomalyevent"""
REOPEN = """
UPDATE consistency_anomaly SET resolved_at = NULL, resolved_event = NULL WHERE resolved_at IS NOT NULL;
VACUUM ANALYZE consistency_anomaly"""


def execute(statements: str) -> None:
    """Run statements, each by itself."""
    with connection.cursor() as cursor:
        # A page has left the limits of its request in the session.
        for statement in ("RESET statement_timeout", *statements.split(";")):
            cursor.execute(statement, {"files": FILES, "comments": COMMENTS})


def visitor() -> Callable[[str], int]:
    """Return a function that visits a page as a person who may only view, and returns the status."""
    from django.contrib.auth.models import Permission, User
    from django.test import Client

    user = User.objects.create_user("ann", is_staff=True)
    user.user_permissions.set(
        Permission.objects.filter(content_type__app_label="consistency", codename__contains="view")
    )
    settings.ALLOWED_HOSTS = ["testserver"]
    client = Client(raise_request_exception=False)
    client.force_login(user)
    return lambda url: client.get(url, secure=True).status_code


def measure(visit: Callable[[str], int], pages: dict[str, str]) -> int:
    """Print the median of each page, its ratio to the small page, the queries and the verdict; return the misses."""
    from django.test.utils import CaptureQueriesContext

    first: dict[str, tuple[int, int]] = {}
    taken: dict[str, list[float]] = {name: [] for name in pages}
    for name, url in pages.items():
        with CaptureQueriesContext(connection) as queries:
            first[name] = visit(url), len(queries)
    for _ in range(ROUNDS):
        for name, url in pages.items():
            taken[name].append(seconds(lambda url=url: visit(url)))  # type: ignore[misc]
    medians = {name: median(times) for name, times in taken.items()}
    small, misses = next(iter(medians.values())), 0
    for name, (status, number) in first.items():
        passed = status == 200 and medians[name] <= LIMIT
        misses += not passed
        text = f"{medians[name] * 1000:.0f} ms, x{medians[name] / small:.2f}, {number} queries, status {status}"
        sys.stdout.write(f"{'PASS' if passed else 'FAIL'} {name}: {text}\n")
    return misses


def main() -> None:
    """Measure all pages, then the pages of open anomalies with every anomaly open."""
    rows, scans = (int(given) for given in (*sys.argv[1:], *(str(size) for size in (ROWS, SCANS)[len(sys.argv) - 1 :])))
    with database():
        from tests.consistency.api.correlated import load, mass

        load(rows, scans)
        execute(MEDIA)
        visit, small = visitor(), {"list of one mute": SMALL}
        sys.stdout.write(f"{rows:,} anomalies, {scans:,} scans, {FILES:,} files\n")
        misses = measure(visit, small | {name: url.format(mass=mass(scans)) for name, url in PAGES.items()})
        execute(REOPEN)
        sys.stdout.write(f"{rows:,} open anomalies\n")
        misses += measure(visit, small | OPEN_PAGES)
    sys.exit(1 if misses else 0)


if __name__ == "__main__":
    main()
