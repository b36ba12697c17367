"""A standby shows what its primary had some time ago: a snapshot's time is its data's, whatever the clock says."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import dj_database_url
import pytest
from django.db import connection, connections, transaction
from django.test.utils import CaptureQueriesContext

from consistency.history.writing import OlderSnapshotError
from consistency.models.history import Anomaly, Scan
from consistency.registry import CHECKS
from consistency.scan.report import Report
from consistency.scan.scanner import scan
from consistency.scan.stream import Stream
from consistency.scan.transaction import begin
from tests.consistency.history.data import STALE, news, outcome, recorded
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
    """Let the next question go where `replica` is now."""
    connections["replica"].close()
    del connections["replica"]


def looked(number: int) -> Report:
    """Scan the replica, which shows so many broken files."""
    report = scan([CHECKS[STALE]], database="replica")
    assert report.outcomes[0].count == number, report.outcomes[0].error
    return report


def lags(pair: Pair) -> datetime:
    """Let another file break on the primary after the standby has stopped to replay; returns when it had not yet."""
    pair.on_standby("SELECT pg_wal_replay_pause()")
    before = datetime.now(UTC)
    pair.on_primary(BREAKS.format("second"))
    pair.received()
    return before


def test_a_standby_that_has_all_is_as_young_as_its_primary_however_long_nothing_happened(
    pair: Pair, replica: None
) -> None:
    for paused in (False, True):
        if paused:
            pair.on_standby("SELECT pg_wal_replay_pause()")
        before = datetime.now(UTC)
        assert before < looked(1).checked_at < datetime.now(UTC)


def test_one_that_lags_is_as_old_as_the_last_commit_that_it_shows(pair: Pair, replica: None) -> None:
    before = lags(pair)
    assert looked(1).checked_at == pair.on_standby("SELECT pg_last_xact_replay_timestamp()") < before
    pair.on_standby("SELECT pg_wal_replay_resume()")
    pair.replayed()
    assert before < looked(2).checked_at


@contextmanager
def catching_up_after(pair: Pair, words: str) -> Iterator[None]:
    """Let it replay all that there is right after the first question with these words."""
    asked: list[str] = []

    def hook(execute: Any, sql: str, *rest: Any) -> Any:
        answer = execute(sql, *rest)
        if words in sql and not asked:
            asked.append(sql)
            pair.on_standby("SELECT pg_wal_replay_resume()")
            pair.replayed()
        return answer

    with connections["replica"].execute_wrapper(hook):
        yield
    assert asked


def test_what_it_replays_while_it_is_asked_is_shown(pair: Pair, replica: None) -> None:
    before = lags(pair)
    with catching_up_after(pair, "pg_is_in_recovery()"):
        assert before < looked(2).checked_at


def test_what_arrived_a_moment_ago_is_waited_for_a_moment(pair: Pair, replica: None) -> None:
    before = lags(pair)
    with catching_up_after(pair, "pg_last_xact_replay_timestamp()"):
        assert before < looked(2).checked_at > pair.on_standby("SELECT pg_last_xact_replay_timestamp()")


def test_what_an_older_view_does_not_show_is_not_resolved(
    pair: Pair, replica: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert news(database="replica") == (1, 0, 0, 0)
    lags(pair)
    with meaning(monkeypatch, pair.primary.url):
        assert news(database="replica") == (1, 0, 0, 1)
    with pytest.raises(OlderSnapshotError, match="is a replica behind"):
        recorded(database="replica")
    assert (Scan.objects.count(), Anomaly.objects.filter(resolved_at__isnull=True).count()) == (2, 2)
    pair.on_standby("SELECT pg_wal_replay_resume()")
    pair.replayed()
    assert news(database="replica") == (0, 0, 0, 2)


def test_the_same_lagging_view_may_be_recorded_again(pair: Pair, replica: None) -> None:
    lags(pair)
    assert [outcome(recorded(database="replica")).count for _ in range(2)] == [1, 1]
    first, second = Scan.objects.values_list("snapshot_at", flat=True)
    assert first == second


def test_one_that_nothing_comes_to_any_more_is_no_younger_for_being_asked(
    pair: Pair, replica: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair.primary.stop()
    pair.cut_off()
    stopped = datetime.now(UTC)
    try:
        assert looked(1).checked_at < stopped
        pair.standby.stop()
        pair.start_standby()
        assert pair.on_standby("SELECT pg_last_xact_replay_timestamp()") is None
        with meaning(monkeypatch, pair.reader):
            assert looked(1).checked_at < stopped
    finally:
        pair.start_primary()


def test_where_the_server_does_not_say_its_clock_has_to_do(pair: Pair, replica: None) -> None:
    pair.on_primary("REVOKE EXECUTE ON FUNCTION pg_last_wal_receive_lsn() FROM PUBLIC")
    try:
        lags(pair)
        before = datetime.now(UTC)
        assert before < looked(1).checked_at < datetime.now(UTC)
    finally:
        pair.on_primary("GRANT EXECUTE ON FUNCTION pg_last_wal_receive_lsn() TO PUBLIC")


def test_the_snapshot_of_a_standby_has_all_that_another_has(pair: Pair, replica: None) -> None:
    stream = Stream([CHECKS[STALE]], database="replica", patience=7)
    with stream.connection.cursor() as cursor:
        settings = {}
        for name in ("isolation", "read_only"):
            cursor.execute(f"SHOW transaction_{name}")
            [settings[name]] = cursor.fetchone()
        for name in ("lock_timeout", "timezone", "idle_in_transaction_session_timeout"):
            cursor.execute("SELECT current_setting(%s)", [name])
            [settings[name]] = cursor.fetchone()
    assert list(settings.values()) == ["repeatable read", "on", "1s", "UTC", "7s"]
    pair.on_primary(BREAKS.format("meanwhile"))
    pair.replayed()
    [(_, rows)] = list(stream)
    assert [row["file_uuid"] for row in rows] == ["first"]


def test_a_primary_is_asked_in_the_same_statement(transactional_db: None) -> None:
    with transaction.atomic(), CaptureQueriesContext(connection) as asked:
        begin(connection, 5)
    assert len(asked) == 2
