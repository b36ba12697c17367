"""What review costs at a million anomalies: lists, filtered and searched, and the overview, against a list of one row.

Run from the project's folder: python -m benchmarks.review [ROWS [SCANS]], a million and 99,000 unless given (scans by
threes). The memory is that of the tests of plans, where everything goes together: one check has 95 in 100 of all
anomalies, another all that are new, and so on.

Measured at a million and 9,000 scans on two cores that others used too (PostgreSQL 18, medians of fifteen rounds):
every list, filtered or searched, 31 to 63 ms in 11 or 12 questions, x2.7 to x5.5 of the page of one mute; REST x2.6 to
x2.8 in 6; the overview 75 ms, x6.6, in 11. A search by what very many begin with goes through the list: 0.7 s, x61.
"""

import sys
from collections.abc import Callable
from statistics import median

from django.conf import settings
from django.db import connection

from benchmarks.recording import database, seconds

ROWS, SCANS, ROUNDS = 1_000_000, 99_000, 15
SMALL = "/admin/consistency/mute/"
"""The same kind of page, of one mute: what such a page costs whatever it shows."""
LIST, REST = "/admin/consistency/anomaly/?", "/api/v1/consistency/anomalies?"
ASKED = {
    "list": LIST,
    "list, all": f"{LIST}state=all",
    "list, page 300": f"{LIST}state=all&p=300",
    "list, new of the largest check": f"{LIST}check=stale_processing&state=new",
    "list, of a small check": f"{LIST}check=rare",
    "list, mine": f"{LIST}assignee=me",
    "list, resolved and assigned": f"{LIST}state=resolved&assignee=anybody",
    "list, new since the last scan": f"{LIST}news=1",
    "list, returned in a scan of very many": f"{LIST}state=all&scan={{mass}}-returned",
    "list, five filters": f"{LIST}check=stale_processing&severity__exact=2&state=ongoing&age=month&assignee=nobody",
    "list, searched by uuid": f"{LIST}q=c81e728d",
    "list, searched by name": f"{LIST}state=all&q=clip 1234",
    "list, searched by what very many begin with": f"{LIST}q=clip 1",
    "REST": REST,
    "REST, three filters": f"{REST}check=stale_processing&state=new&silenced=0",
    "REST, resolved": f"{REST}state=resolved",
    "overview": "/admin/consistency/",
}


def visits(mass: int) -> dict[str, tuple[Callable[[], object], int]]:
    """What is asked by who may only see, and with how many questions to the database."""
    from django.contrib.auth.models import Permission, User
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    user = User.objects.create_user("ann", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=("view_anomaly", "view_scan", "view_mute")))
    settings.ALLOWED_HOSTS = ["testserver"]
    client = Client()
    client.force_login(user)

    def visit(address: str) -> Callable[[], object]:
        def visited() -> object:
            answer = client.get(address, secure=True)
            assert answer.status_code == 200, (address, answer.status_code)  # noqa: S101 - a benchmark
            return answer

        return visited

    found: dict[str, tuple[Callable[[], object], int]] = {}
    for name, address in ({"": SMALL} | ASKED).items():
        asking = visit(address.format(mass=mass))
        with CaptureQueriesContext(connection) as asked:
            asking()
        found[name] = asking, len(asked)
    return found


def main() -> None:
    """Print of each page the median, its ratio to the small one, and how many questions it asked."""
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
    for name, (_, questions) in pages.items():
        took = median(taken[name])
        told = f"{took * 1000:.0f} ms, x{took / small:.2f}, {questions} questions"
        sys.stdout.write(f"{name or 'list of one mute'}: {told}\n")


if __name__ == "__main__":
    main()
