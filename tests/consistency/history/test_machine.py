"""Any sequence of repairs, failures, scans, acknowledgements, mutes and passing time, compared with a small model."""

from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any
from unittest import mock

import pytest
from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.db.models import F, QuerySet, TextField, Value
from django.db.models.functions import Coalesce
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from consistency.history.overview import overview
from consistency.history.queries import active_mutes, in_state
from consistency.history.scanning import Recorded, read_scan
from consistency.history.suppression import acknowledge, end_acknowledgement, mute, unmute
from consistency.history.write import OlderSnapshotError
from consistency.models import File
from consistency.models.history import Anomaly, Mute, Scan, ScanCheck
from consistency.notices.notice import notice_of
from consistency.registry import CHECKS, CheckError
from tests.consistency.conftest import Define
from tests.consistency.data import delete_files
from tests.consistency.history.data import REST, in_days, outcome, recorded
from tests.consistency.history.invariants import check_events, check_times
from tests.consistency.history.model import CHANGES, Findings, ModelAnomaly, ModelHistory, ModelMute

NAME, OTHER = "machine", "other"
FILES = st.sampled_from("ab")
DAYS = st.sampled_from([1, 3])


class HistoryMachine(RuleBasedStateMachine):
    """Two names of one database have a history each. `findings` is the current state of the files."""

    check: Any = None
    fails = False

    def __init__(self) -> None:
        super().__init__()
        type(self).fails = False
        with connection.cursor() as cursor:
            # DELETE takes a tenth of the time of TRUNCATE for some rows.
            cursor.execute(
                "DELETE FROM consistency_scancheck; DELETE FROM consistency_scan; DELETE FROM consistency_anomalyevent;"
                "DELETE FROM consistency_anomaly; DELETE FROM consistency_mute; DELETE FROM files"
            )
        self.findings: Findings = {}
        self.models = {name: ModelHistory() for name in (DEFAULT_DB_ALIAS, OTHER)}
        self.database = DEFAULT_DB_ALIAS
        self.scans = 0

    @property
    def model(self) -> ModelHistory:
        return self.models[self.database]

    def anomalies(self, **conditions: Any) -> "QuerySet[Anomaly]":
        return Anomaly.objects.filter(database=self.database, check_name=NAME, **conditions)

    def keys(self, name: str) -> list[int]:
        return list(self.anomalies(object_id=name).values_list("pk", flat=True))

    # --- Files and scans ---------------------------------------------------------------------------------
    @rule(name=FILES, detail=st.sampled_from("xy"), scanned=st.booleans())
    def break_file(self, name: str, detail: str, scanned: bool) -> None:
        self.findings[name] = detail
        File.objects.update_or_create(
            file_uuid=name, defaults={"file_name": name, "file_path": detail, "status": "processing"}
        )
        if scanned:
            self.scan()

    @rule(name=FILES, scanned=st.booleans())
    def repair_file(self, name: str, scanned: bool) -> None:
        self.findings.pop(name, None)
        delete_files(pk=name)
        if scanned:
            self.scan()

    @rule()
    def scan(self) -> None:
        self._record(self.findings)

    @rule(name=FILES, detail=st.sampled_from("xy"), appears=st.booleans())
    def scan_in_two_passes_with_a_change_between(self, name: str, detail: str, appears: bool) -> None:
        first = dict(self.findings)
        act = partial(self.break_file, name, detail, False) if appears else partial(self.repair_file, name, False)
        with mock.patch("consistency.scan.passes.sleep", side_effect=lambda seconds: act()):
            self._record(self.findings, first=first, confirm=1.0)

    @rule()
    def scan_while_the_check_fails(self) -> None:
        type(self).fails = True
        self.reading_scan_agrees()
        self.scan()
        type(self).fails = False
        self.history_agrees()

    @rule(retired=st.booleans())
    def scan_another_check(self, retired: bool) -> None:
        """Scan another check: this check's history stays, also while the check is not defined."""
        check = CHECKS.pop(NAME) if retired else CHECKS[NAME]
        recorded(REST, database=self.database)
        self.scans += 1
        assert {anomaly.retired for anomaly in self.anomalies()} <= {retired}
        CHECKS[NAME] = check

    @rule()
    def refuse_older_snapshot(self) -> None:
        for scan in Scan.objects.filter(database=self.database)[:1]:
            Scan.objects.filter(pk=scan.pk).update(snapshot_at=in_days(1))
            with pytest.raises(OlderSnapshotError):
                recorded(NAME, database=self.database)
            scan.save()

    @rule()
    def switch_database(self) -> None:
        self.database = OTHER if self.database == DEFAULT_DB_ALIAS else DEFAULT_DB_ALIAS

    def _record(self, findings: Findings, first: Findings | None = None, **options: Any) -> None:
        result = recorded(NAME, database=self.database, **options)
        self.scans += 1
        assert Scan.objects.count() == self.scans
        assert (outcome(result, NAME).error is not None) is self.fails
        if self.fails:
            assert self._notice(result) == self.model.could_not_run()
            return
        before = findings if first is None else first
        confirmed = dict(findings.items() & before.items())
        expected = self.model.run(confirmed, (findings.keys() | before.keys()) - confirmed.keys())
        assert result.scan
        assert {word: getattr(result.scan.changes, word) for word in CHANGES} == expected.changes
        assert self._notice(result) == expected.notice
        self._is_stored_and_shown(result)

    def _notice(self, result: Recorded) -> str | None:
        notice = notice_of(result)
        return notice.checks[0].kind if notice else None

    def _is_stored_and_shown(self, result: Recorded) -> None:
        assert result.scan
        run = ScanCheck.objects.get(scan=result.scan.id)
        assert run.count == run.new + run.returned + run.ongoing == self.model.last_count
        card = next(card for card in overview(self.database).cards if card.name == NAME)
        assert (card.open, card.acknowledged) == (run.count, len(self.model.acknowledged_now()))
        if not result.scan.changes.kept:
            assert card.muted == outcome(result, NAME).muted
        for state in ("new", "returned", "ongoing", "resolved"):
            listed = self.anomalies().filter(in_state(state)).values_list("object_id", flat=True)
            assert set(listed) == {name for name, known in self.model.anomalies.items() if known.state == state}

    # --- Acknowledgements, mutes and time ----------------------------------------------------------------
    @rule(days=DAYS)
    def pass_time(self, days: int) -> None:
        """Bring every end nearer."""
        Anomaly.objects.update(acknowledged_until=F("acknowledged_until") - timedelta(days=days))
        Mute.objects.filter(ended_at=None).update(until=F("until") - timedelta(days=days))
        for model in self.models.values():
            model.pass_time(days)

    @rule(name=FILES, days=DAYS)
    def acknowledge(self, name: str, days: int) -> None:
        changed = acknowledge(self.keys(name), until=in_days(days - 0.1), by="ana", reason="known")
        assert changed == self.model.acknowledge(name, days)

    @rule(name=FILES)
    def end_acknowledgement(self, name: str) -> None:
        assert end_acknowledgement(self.keys(name)) == self.model.end_acknowledgement(name)

    @precondition(lambda self: self.model.last_count != 0)
    @rule(days=DAYS, sticky=st.booleans())
    def mute(self, days: int, sticky: bool) -> None:
        mute(NAME, until=in_days(days - 0.1), by="ana", reason="known", sticky=sticky, database=self.database)
        self.model.mute = ModelMute(days, sticky, self.model.last_count)

    @rule()
    def unmute(self) -> None:
        assert unmute(NAME, database=self.database) is (self.model.mute is not None and self.model.mute.days > 0)
        self.model.mute = None

    # --- Sequences that chance alone rarely finds ----------------------------------------------------------
    @rule(name=FILES, detail=st.sampled_from("xy"))
    def change_the_detail_of_an_acknowledged_file(self, name: str, detail: str) -> None:
        self._break_and_acknowledge(name, detail)
        self.break_file(name, "y" if detail == "x" else "x", scanned=False)
        self.history_agrees()
        self.scan()

    @rule(name=FILES, detail=st.sampled_from("xy"), fails=st.booleans())
    def repair_and_break_an_acknowledged_file(self, name: str, detail: str, fails: bool) -> None:
        self._break_and_acknowledge(name, detail)
        self.repair_file(name, scanned=False)
        if fails:
            self.scan_while_the_check_fails()
        else:
            self.scan()
        self.break_file(name, detail, scanned=True)
        self.history_agrees()

    @rule(name=FILES, scanned=st.booleans())
    def fewer_and_then_more_under_a_mute(self, name: str, scanned: bool) -> None:
        self._break_both()
        self.mute(3, sticky=False)
        self.repair_file(name, scanned=True)
        self.history_agrees()
        self.break_file(name, "x", scanned)

    @rule(name=FILES, sticky=st.booleans())
    def more_and_then_fewer_under_a_mute(self, name: str, sticky: bool) -> None:
        self._break_both()
        self.repair_file(name, scanned=True)
        self.mute(3, sticky=sticky)
        self.break_file(name, "x", scanned=True)
        self.history_agrees()
        self.repair_file(name, scanned=False)

    @rule(sticky=st.booleans())
    def clean_and_then_some_under_a_mute(self, sticky: bool) -> None:
        self._break_both()
        self.mute(3, sticky=sticky)
        self.repair_file("a", scanned=False)
        self.repair_file("b", scanned=True)
        self.history_agrees()
        self.break_file("a", "x", scanned=False)

    def _break_and_acknowledge(self, name: str, detail: str) -> None:
        self.break_file(name, detail, scanned=True)
        self.acknowledge(name, 3)
        self.history_agrees()

    def _break_both(self) -> None:
        self.break_file("a", "x", scanned=False)
        self.break_file("b", "x", scanned=True)

    # --- Invariants --------------------------------------------------------------------------------------
    @invariant()
    def history_agrees(self) -> None:
        for _ in self.models:
            self.switch_database()
            stored = list(self.anomalies().prefetch_related("events"))
            events = {anomaly.object_id: list(anomaly.events.all())[::-1] for anomaly in stored}
            assert self.model.anomalies == {
                anomaly.object_id: ModelAnomaly(
                    anomaly.state,
                    anomaly.detail,
                    anomaly.times_seen,
                    anomaly.returned_count,
                    [event.kind for event in events[anomaly.object_id]],
                )
                for anomaly in stored
            }
            for anomaly in stored:
                check_times(anomaly)
                check_events(anomaly, events[anomaly.object_id])
                acknowledged = anomaly.object_id in self.model.acknowledged
                assert (anomaly.acknowledged_until is not None) is acknowledged
            self._suppressions_agree(stored)
        self.reading_scan_agrees()

    def _suppressions_agree(self, stored: list[Anomaly]) -> None:
        acknowledged = {anomaly.object_id for anomaly in stored if anomaly.is_acknowledged}
        assert acknowledged == self.model.acknowledged_now()
        expected = self.model.mute if self.model.mute and self.model.mute.days > 0 else None
        mutes = [(mute.sticky, mute.mark) for mute in active_mutes(self.database)]
        assert mutes == ([(expected.sticky, expected.mark)] if expected else [])

    def reading_scan_agrees(self) -> None:
        """A scan that records nothing counts as the model does, and changes nothing."""
        [result] = read_scan([self.check], database=self.database).outcomes
        if self.fails:
            assert (result.count, result.acknowledged, result.muted) == (None, 0, 0)
            return
        acknowledged, muted = len(self.model.acknowledged_in(self.findings)), self.model.muted_in(self.findings)
        assert (result.count, result.acknowledged, result.muted) == (len(self.findings), acknowledged, muted)


@pytest.fixture
def machine(transactional_db: None, define: Define) -> Iterator[type[HistoryMachine]]:
    def rows() -> Any:
        if HistoryMachine.fails:
            raise CheckError("not today")
        return File.objects.processing()

    connections.databases[OTHER] = connections.databases[DEFAULT_DB_ALIAS]
    HistoryMachine.check = define(NAME, rows, detail=Coalesce("file_path", Value(""), output_field=TextField()))
    yield HistoryMachine
    HistoryMachine.check = None
    connections[OTHER].close()
    del connections.databases[OTHER], connections[OTHER]


def test_history_agrees_with_the_model_after_any_sequence(machine: type[HistoryMachine]) -> None:
    options: dict[str, Any] = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}
    # Shrinking takes minutes.
    chosen = settings(max_examples=12, stateful_step_count=16, derandomize=True, phases=[Phase.generate], **options)
    run_state_machine_as_test(machine, settings=chosen)
