"""Behind a pooler that gives each transaction whichever connection is free, all is as without one."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psycopg
import pytest
from django.contrib.auth.models import User

from config.demo.process import free_port, until
from consistency.admin.background import Background
from consistency.admin.base import log
from consistency.admin.export import exported
from consistency.history.silence import acknowledge
from consistency.models.history import Anomaly, Scan
from tests.consistency.conftest import moved_to
from tests.consistency.history.data import in_days, recorded
from tests.consistency.history.test_processes import RECORDS, asked, when
from tests.consistency.processes import manage, manage_each, started
from tests.consistency.test_stream import many_stale

pytestmark = pytest.mark.needs("pgbouncer")
CONFIGURATION = """
[databases]
{database} = host={host} port={port} user={user} password={password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listening}
unix_socket_dir =
auth_type = any
pool_mode = transaction
# The one that waited longest: what leans on a connection of its own meets another.
server_round_robin = 1
{root}
"""


@pytest.fixture
def pooled_url(database_url: str, tmp_path: Path) -> Iterator[str]:
    server, listening = urlsplit(database_url), free_port()
    database = server.path.lstrip("/")
    options = {
        "database": database,
        "host": server.hostname,
        "port": server.port or 5432,
        "user": unquote(server.username or ""),
        "password": unquote(server.password or ""),
        "listening": listening,
        # It does not run as root.
        "root": "user = nobody" if os.geteuid() == 0 else "",
    }
    configuration = tmp_path / "pgbouncer.ini"
    configuration.write_text(CONFIGURATION.format(**options))
    url = f"postgres://anybody@127.0.0.1:{listening}/{database}"
    with subprocess.Popen(["pgbouncer", "-q", configuration], stderr=subprocess.PIPE, text=True) as pooler:
        try:
            for _ in until(10):
                if pooler.poll() is not None or _answers(url):
                    break
            assert pooler.poll() is None, pooler.stderr and pooler.stderr.read()
            _widen(url)
            yield url
        finally:
            pooler.terminate()


def _widen(url: str) -> None:
    """Transactions at once, so that there are several connections to choose from."""
    with ExitStack() as clients:
        for _ in range(3):
            clients.enter_context(psycopg.connect(url)).execute("SELECT 1")


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return False
    return True


def test_one_scan_keeps_another_out_until_it_ends_however_it_ends(pooled_url: str) -> None:
    many_stale(3)
    scan = ("check_consistency", "stale_processing", "--quiet")
    with started(*scan, "--confirm", "60s", stdout=subprocess.DEVNULL, url=pooled_url):
        when(RECORDS)
        second = manage(*scan, database_url=pooled_url)
        assert (second.returncode, Scan.objects.count()) == (3, 0)
        assert "another scan of database 'default' is under way" in second.stderr
    when(RECORDS, so=False)
    ended = manage_each(*[list(scan)] * 4, database_url=pooled_url)
    assert [scan.code for scan in ended] == [1, 1, 1, 1]
    assert asked(RECORDS) is None, "the pooler's connection still holds it"
    assert list(Scan.objects.values_list("new", "ongoing")) == [(0, 3), (0, 3), (0, 3), (3, 0)]


def test_an_act_on_all_reaches_each_of_them_and_an_export_has_them(pooled_url: str) -> None:
    many = 10_001
    many_stale(many)
    with moved_to(pooled_url):
        recorded("stale_processing")
        [entry] = log(User.objects.create(username="ann").pk, Anomaly, "Acknowledged")
        change = partial(acknowledge, until=in_days(1), by="ann", reason="why")
        Background(entry, Anomaly.objects.all(), change).start().join()
        entry.refresh_from_db()
        assert entry.change_message == f"{many:,} Acknowledged"
        *_, last = b"".join(exported(Anomaly.objects.filter(acknowledged_by="ann"), "csv")).decode().splitlines()
        assert last == f"# complete: true, rows: {many}"
