"""Measure the pages of review at a million anomalies: lists, filtered and searched, overview and REST.

Run from the project's folder: python -m benchmarks.review [ROWS [SCANS]]; a million and 99,000 by default. SCANS is a
multiple of three. The history is that of the tests of plans: one check has 95 of 100 anomalies, another all new ones.
"""

import sys
from collections.abc import Callable
from statistics import median

from django.conf import settings
from django.db import connection

from benchmarks.recording import database, seconds

ROWS, SCANS, ROUNDS = 1_000_000, 99_000, 15
SMALL = "/admin/consistency/mute/"
"""A list of one row: the cost of any page."""
LIST, REST = "/admin/consistency/anomaly/?", "/api/v1/consistency/anomalies?"
PAGES = {
    "list": LIST,
    "list, all": f"{LIST}state=all",
    "list, page 300": f"{LIST}state=all&p=300",
    "list, new of the largest check": f"{LIST}check=stale_processing&state=new",
    "list, of a small check": f"{LIST}check=rare",
    "list, mine": f"{LIST}assignee=me",
    "list, resolved and assigned": f"{LIST}state=resolved&assignee=anybody",
    "list, new since the last scan": f"{LIST}news=1",
    "list, returned in a scan of very many": f"{LIST}state=all&scan={{mass}}-returned",
    "list, found by a scan of very many": f"{LIST}state=all&scan={{mass}}-new",
    "list, resolved by a scan of very many": f"{LIST}state=all&scan={{mass}}-resolved",
    "list, resolved by a scan of very many, page 300": f"{LIST}state=all&scan={{mass}}-resolved&p=300",
    "list, of a small check, resolved by a scan of very many": f"{LIST}check=rare&state=all&scan={{mass}}-resolved",
    "list, resolved": f"{LIST}state=resolved",
    "list, resolved lately": f"{LIST}state=resolved&resolved_since=30d",
    "list, five filters": f"{LIST}check=stale_processing&severity__exact=2&state=ongoing&age=month&assignee=nobody",
    "list, searched by uuid": f"{LIST}q=c81e728d",
    "list, searched by name": f"{LIST}state=all&q=clip 1234",
    "list, searched by the prefix of very many names": f"{LIST}q=clip 1",
    "actions of people": "/admin/consistency/anomalyevent/",
    "scans": "/admin/consistency/scan/",
    "REST": REST,
    "REST, three filters": f"{REST}check=stale_processing&state=new&silenced=0",
    "REST, resolved": f"{REST}state=resolved",
    "REST, resolved lately": f"{REST}resolved_since=30d",
    "REST, needs review": f"{REST}review=needed",
    "overview": "/admin/consistency/",
}


def visits(mass: int) -> dict[str, tuple[Callable[[], object], int]]:
    """Return a visit of each page by a person who may only view, and the number of queries."""
    from django.contrib.auth.models import Permission, User
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    user = User.objects.create_user("ann", is_staff=True)
    user.user_permissions.set(
        Permission.objects.filter(content_type__app_label="consistency", codename__contains="view")
    )
    settings.ALLOWED_HOSTS = ["testserver"]
    client = Client()
    client.force_login(user)

    def visit(url: str) -> Callable[[], object]:
        def visited() -> object:
            response = client.get(url, secure=True)
            assert response.status_code == 200, (url, response.status_code)  # noqa: S101 - a benchmark
            return response

        return visited

    pages: dict[str, tuple[Callable[[], object], int]] = {}
    for name, url in ({"": SMALL} | PAGES).items():
        page = visit(url.format(mass=mass))
        with CaptureQueriesContext(connection) as queries:
            page()
        pages[name] = page, len(queries)
    return pages


def main() -> None:
    """Print the median of each page, its ratio to the small page, and the number of queries."""
    rows, scans = (int(given) for given in (*sys.argv[1:], *(str(size) for size in (ROWS, SCANS)[len(sys.argv) - 1 :])))
    with database():
        from tests.consistency.api.correlated import load, mass

        load(rows, scans)
        pages = visits(mass(scans))
        taken: dict[str, list[float]] = {name: [] for name in pages}
        for _ in range(ROUNDS):
            for name, (visit, _) in pages.items():
                taken[name].append(seconds(visit))
    small = median(taken[""])
    sys.stdout.write(f"{rows:,} anomalies, {scans:,} scans\n")
    for name, (_, queries) in pages.items():
        took = median(taken[name])
        text = f"{took * 1000:.0f} ms, x{took / small:.2f}, {queries} queries"
        sys.stdout.write(f"{name or 'list of one mute'}: {text}\n")


if __name__ == "__main__":
    main()
