"""The execution of a probe: outcomes, reasons, and the client between runs."""

import threading
import time

import pytest

from health.registry import Degraded, Failed, probe, publish
from tests.health.conftest import PATIENT, Make, Registry, Values, eventually


def test_returning_is_healthy(registry: Registry, snapshot_of: Make) -> None:
    @probe("well", ttl=1.0, section="well", registry=registry)
    def well() -> Values:
        """Well."""
        return {"answer": 42}

    result = snapshot_of(registry).refresh(budget=PATIENT)["well"]
    assert (result.status, result.reason, result.value) == ("ok", None, {"answer": 42})
    assert result.latency_ms >= 1
    assert result.known


@pytest.mark.parametrize(("outcome", "status"), [(Degraded, "degraded"), (Failed, "error")])
def test_a_probe_may_raise_a_public_reason_with_known_values(
    registry: Registry, snapshot_of: Make, outcome: type[Degraded] | type[Failed], status: str
) -> None:
    @probe("ill", ttl=1.0, section="ill", registry=registry)
    def ill() -> Values:
        """Ill."""
        raise outcome("it has a cold", {"answer": 41})

    result = snapshot_of(registry).refresh(budget=PATIENT)["ill"]
    assert (result.status, result.reason, result.value) == (status, "it has a cold", {"answer": 41})
    assert result.known


@pytest.mark.parametrize("problem", [Failed("it has a cold"), KeyError("a bug")])
def test_published_values_are_known_in_spite_of_an_error_of_the_same_run(
    registry: Registry, snapshot_of: Make, problem: Exception
) -> None:
    published: list[dict[str, int]] = [{"answer": 40}, {"answer": 41}, {}]

    @probe("ill", ttl=1.0, section="ill", registry=registry, known=lambda: {"from settings": True})
    def ill() -> Values:
        """Ill."""
        publish(published.pop(0))
        raise problem

    snapshot = snapshot_of(registry)
    values = [snapshot.refresh(budget=PATIENT, fresh=True)["ill"].value for _ in range(3)]
    settings = {"from settings": True}
    assert values == [settings | {"answer": 40}, settings | {"answer": 41}, settings]


def test_values_that_a_probe_raises_replace_published_values(registry: Registry, snapshot_of: Make) -> None:
    @probe("ill", ttl=1.0, section="ill", registry=registry)
    def ill() -> Values:
        """Ill."""
        publish({"answer": 40})
        raise Degraded("it has a cold", {"answer": 41})

    assert snapshot_of(registry).refresh(budget=PATIENT)["ill"].value == {"answer": 41}


def test_any_other_exception_is_logged_once_and_stays_secret(
    registry: Registry, snapshot_of: Make, caplog: pytest.LogCaptureFixture
) -> None:
    @probe("bug", ttl=0.01, registry=registry)
    def bug() -> None:
        """Bug."""
        raise KeyError("password=hunter2 host=10.0.0.7")

    snapshot = snapshot_of(registry)
    for _ in range(3):
        result = snapshot.refresh(budget=PATIENT, fresh=True)["bug"]
        assert (result.status, result.reason, result.known) == ("error", "unexpected error", False)
    assert sum("failed unexpectedly" in record.message for record in caplog.records) == 1
    assert "hunter2" in caplog.text


def test_slow_three_times_in_a_row_is_degraded(
    registry: Registry, snapshot_of: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("health.runs.executor.SLOW_MS", 20)
    pace = {"seconds": 0.03}

    @probe("slow", ttl=1.0, registry=registry)
    def slow() -> None:
        """Slow."""
        time.sleep(pace["seconds"])

    snapshot = snapshot_of(registry)
    statuses = [snapshot.refresh(budget=PATIENT, fresh=True)["slow"].status for _ in range(4)]
    assert statuses == ["ok", "ok", "degraded", "degraded"]
    pace["seconds"] = 0.0
    assert snapshot.refresh(budget=PATIENT, fresh=True)["slow"].status == "ok"


def test_the_latency_does_not_count_the_creation_of_the_client(registry: Registry, snapshot_of: Make) -> None:
    def import_something_big() -> object:
        time.sleep(0.6)
        return object()

    @probe("big", ttl=1.0, deadline=0.3, registry=registry, client=import_something_big)
    def big(client: object) -> None:
        """Big."""

    result = snapshot_of(registry).refresh(budget=PATIENT)["big"]
    assert result.status == "ok"
    assert result.latency_ms < 300


def test_a_fresh_run_uses_a_new_client(registry: Registry, snapshot_of: Make) -> None:
    made: list[object] = []

    def memory() -> object:
        made.append(object())
        return made[-1]

    @probe("kept", ttl=0.01, registry=registry, client=memory)
    def kept(client: object) -> None:
        """Kept."""
        assert client is made[-1]

    snapshot = snapshot_of(registry)
    for _ in range(3):
        assert snapshot.refresh(budget=PATIENT)["kept"].status == "ok"
        time.sleep(0.05)
    assert len(made) == 1
    snapshot.refresh(budget=PATIENT, fresh=True)
    assert len(made) == 2


def test_a_client_is_closed_after_an_error_and_created_again(registry: Registry, snapshot_of: Make) -> None:
    class Client:
        closed = False

        def close(self) -> None:
            self.closed = True

    made: list[Client] = []

    def connect() -> Client:
        made.append(Client())
        return made[-1]

    @probe("shaky", ttl=0.01, registry=registry, client=connect)
    def shaky(client: Client) -> None:
        """Shaky."""
        if client is made[0]:
            raise ConnectionResetError(104, "reset by peer")

    snapshot = snapshot_of(registry)
    assert snapshot.refresh(budget=PATIENT)["shaky"].reason == "connection reset by peer"
    time.sleep(0.05)
    assert snapshot.refresh(budget=PATIENT)["shaky"].status == "ok"
    assert [client.closed for client in made] == [True, False]


def test_the_client_of_an_overdue_run_is_closed_by_the_refresher(registry: Registry, snapshot_of: Make) -> None:
    class Client:
        def __init__(self) -> None:
            self.closed = threading.Event()

        def close(self) -> None:
            self.closed.set()

    @probe("drip", ttl=1.0, deadline=0.1, registry=registry, client=Client)
    def drip(client: Client) -> None:
        """Drip."""
        assert client.closed.wait(PATIENT)
        raise OSError("closed under me")

    snapshot = snapshot_of(registry)
    snapshot.refresh(budget=PATIENT)
    assert eventually(lambda: snapshot.result("drip").reason == "no answer within 0.1 s")
