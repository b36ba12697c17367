"""On a standby a scan has the time of the last replayed commit, so an older view is not recorded over a newer one."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import dj_database_url
import pytest
from django.db import connection, connections, transaction
from django.test.utils import CaptureQueriesContext

from consistency.history.write import OlderSnapshotError
from consistency.models.history import Anomaly, Scan
from consistency.registry import CHECKS
from consistency.scan.engine import Engine
from consistency.scan.passes import collect
from consistency.scan.report import Report
from consistency.scan.snapshot import begin_snapshot
from tests.consistency.history.data import STALE, changes, outcome, recorded
from tests.consistency.platforms import OWN_STYLE
from tests.consistency.standbys import Pair, standing_by

pytestmark = pytest.mark.usefixtures("transactional_db")

READER = """
CREATE ROLE reader LOGIN PASSWORD 'reads';
GRANT SELECT ON files, monitor_jobs TO reader"""
BREAKS = "INSERT INTO files (file_uuid, file_name, status) VALUES ('{}', 'x', 'processing')"


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with standing_by(tmp_path_factory.mktemp("pair")) as pair:
        pair.on_primary(OWN_STYLE)
        pair.on_primary(READER)
        yield pair


@pytest.fixture
def pair(servers: Pair) -> Pair:
    """A standby that has all that its primary has: one broken file."""
    servers.on_standby("SELECT pg_wal_replay_resume()")
    servers.on_primary(f"TRUNCATE files; {BREAKS.format('first')}")
    servers.replayed()
    return servers


@pytest.fixture
def replica(monkeypatch: pytest.MonkeyPatch, pair: Pair) -> Iterator[None]:
    """The database `replica`, which is the standby, for a role with no rights but to read."""
    with meaning(monkeypatch, pair.reader):
        yield


@contextmanager
def meaning(monkeypatch: pytest.MonkeyPatch, url: str) -> Iterator[None]:
    """While `replica` is the server at this address."""
    home = connections.databases["default"]
    parsed = dj_database_url.parse(url, engine=home["ENGINE"])
    with monkeypatch.context() as patch:
        patch.setitem(connections.databases, "replica", home | {"OPTIONS": {}} | parsed)
        forget()
        try:
            yield
        finally:
            forget()


def forget() -> None:
    """Let the next query go where `replica` is now."""
    connections["replica"].close()
    del connections["replica"]


def scanned(count: int) -> Report:
    """Scan the replica, which shows `count` broken files."""
    engine = Engine([CHECKS[STALE]], database="replica")
    report = collect(engine, engine)
    assert report.outcomes[0].count == count, report.outcomes[0].error
    return report


def lag(pair: Pair) -> datetime:
    """Break another file on the primary after the standby has paused; return a time before that."""
    pair.on_standby("SELECT pg_wal_replay_pause()")
    before = datetime.now(UTC)
    pair.on_primary(BREAKS.format("second"))
    pair.received()
    return before


def replayed_at(pair: Pair) -> datetime:
    at: datetime = pair.on_standby("SELECT pg_last_xact_replay_timestamp()")
    return at


def test_a_scan_is_as_old_as_the_last_replayed_commit(pair: Pair, replica: None) -> None:
    # The server's own work, such as autovacuum, may commit too.
    first = replayed_at(pair)
    assert first <= scanned(1).checked_at <= replayed_at(pair)
    before = lag(pair)
    assert scanned(1).checked_at == replayed_at(pair) < before
    pair.on_standby("SELECT pg_wal_replay_resume()")
    pair.replayed()
    assert before < scanned(2).checked_at <= replayed_at(pair)


def test_a_commit_that_is_replayed_while_the_snapshot_begins_is_shown(pair: Pair, replica: None) -> None:
    """The time is read first, so the snapshot may hold more than that commit, and never less."""
    before = lag(pair)
    engine = Engine([CHECKS[STALE]], database="replica")

    def catch_up(execute: Any, sql: str, *rest: Any) -> Any:
        answer = execute(sql, *rest)
        if "pg_is_in_recovery()" in sql:
            pair.on_standby("SELECT pg_wal_replay_resume()")
            pair.replayed()
        return answer

    with engine.connection.execute_wrapper(catch_up):
        report = collect(engine, engine)
    assert report.outcomes[0].count == 2
    assert report.checked_at < before


def test_an_older_view_resolves_nothing(pair: Pair, replica: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert changes(database="replica") == (1, 0, 0, 0)
    lag(pair)
    with meaning(monkeypatch, pair.primary.url):
        assert changes(database="replica") == (1, 0, 0, 1)
    with pytest.raises(OlderSnapshotError, match="a replica is behind"):
        recorded(database="replica")
    assert (Scan.objects.count(), Anomaly.objects.filter(resolved_at__isnull=True).count()) == (2, 2)
    pair.on_standby("SELECT pg_wal_replay_resume()")
    # A commit after the scan of the primary makes the standby the newer one.
    pair.on_primary("UPDATE files SET file_name = 'renamed'")
    pair.replayed()
    assert changes(database="replica") == (0, 0, 0, 2)


def test_the_same_lagging_view_may_be_recorded_again(pair: Pair, replica: None) -> None:
    lag(pair)
    assert [outcome(recorded(database="replica")).count for _ in range(2)] == [1, 1]
    first, second = Scan.objects.values_list("snapshot_at", flat=True)
    assert first == second


def test_a_standby_without_a_primary_keeps_the_time_of_its_data(
    pair: Pair, replica: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair.primary.stop()
    pair.cut_off()
    stopped = datetime.now(UTC)
    try:
        assert scanned(1).checked_at < stopped
        pair.standby.stop()
        pair.start_standby()
        assert pair.on_standby("SELECT pg_last_xact_replay_timestamp()") is None
        with meaning(monkeypatch, pair.reader):
            assert scanned(1).checked_at < stopped
    finally:
        pair.start_primary()


def test_the_snapshot_of_a_standby_has_the_settings_of_every_snapshot(pair: Pair, replica: None) -> None:
    engine = Engine([CHECKS[STALE]], database="replica", limit=None, idle_timeout=7)
    names = ("lock_timeout", "timezone", "idle_in_transaction_session_timeout")
    settings = {}
    for chunk in engine:
        with engine.connection.cursor() as cursor:
            for name in ("transaction_isolation", "transaction_read_only", *names):
                cursor.execute("SELECT current_setting(%s)", [name])
                [settings[name]] = cursor.fetchone()
        assert [row["file_uuid"] for row in chunk.rows] == ["first"]
    assert list(settings.values()) == ["repeatable read", "on", "1s", "UTC", "7s"]


def test_a_primary_begins_a_snapshot_with_three_statements(transactional_db: None) -> None:
    with transaction.atomic(), CaptureQueriesContext(connection) as queries:
        begin_snapshot(connection, 5)
    assert len(queries) == 3
