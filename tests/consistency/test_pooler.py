"""Behind PgBouncer, which gives each transaction any free connection, scans and bulk actions work as without."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psycopg
import pytest
from django.utils import timezone

from common.postgres.deadline import deadline
from common.postgres.parameters import LIMITS
from config.demo.process import free_port, until
from consistency.admin.background import _apply_in_batches
from consistency.admin.export import FORMATS, _Rows
from consistency.admin.forms import ACTIONS
from consistency.history.queries import with_comments
from consistency.history.tasks import start_task
from consistency.models.history import Anomaly, AnomalyEvent, Scan
from tests.consistency.conftest import moved_to
from tests.consistency.history.data import recorded
from tests.consistency.history.test_processes import RECORDS, asked, when
from tests.consistency.processes import manage, manage_each, started
from tests.consistency.test_formats import many_stale

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


def test_one_scan_keeps_another_out_until_its_end_also_when_killed(pooled_url: str) -> None:
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


def test_a_bulk_action_changes_every_anomaly_and_an_export_has_them(pooled_url: str) -> None:
    many = 10_001
    many_stale(many)
    with moved_to(pooled_url):
        recorded("stale_processing")
        form = ACTIONS["acknowledge"]({"category": "later", "length": "1d", "reason": "why"})
        assert form.is_valid()
        work = partial(_apply_in_batches, form=form, by="ann", anomalies=Anomaly.objects.all())
        task, thread = start_task(work, title="Acknowledge", by="ann")
        thread.join()
        task.refresh_from_db()
        assert (task.failed, task.done, task.total) == (False, many, many)
        assert AnomalyEvent.objects.filter(kind="acknowledged").count() == many
        write, _ = FORMATS["csv"]
        rows = _Rows(with_comments(Anomaly.objects.filter(acknowledged_by="ann")))
        *_, last = "".join(write(rows)).splitlines()
        assert last == f"# complete: true, rows: {many}"


@pytest.fixture
def german(database_url: str) -> Iterator[None]:
    """Let every connection of the pool begin with German dates."""
    name = urlsplit(database_url).path.lstrip("/")
    with psycopg.connect(database_url, autocommit=True) as owner:
        owner.execute(f"ALTER DATABASE {name} SET datestyle = German")
        yield
        owner.execute(f"ALTER DATABASE {name} RESET datestyle")


def test_the_timeouts_of_a_caller_reach_no_other_client_of_the_pool(pooled_url: str) -> None:
    with moved_to(pooled_url), deadline(3):
        for _ in range(8):
            Scan.objects.count()
    with psycopg.connect(pooled_url, autocommit=True) as other:
        values = {other.execute(f"SHOW {name}").fetchone() for name in LIMITS for _ in range(8)}
    assert values == {("0",)}


def test_dates_of_any_default_style_are_read_from_every_connection(german: None, pooled_url: str) -> None:
    with moved_to(pooled_url):
        recorded()
        # Each query runs on a different connection of the pool.
        assert {scan.recorded_at.year for _ in range(8) for scan in Scan.objects.all()} == {timezone.now().year}
