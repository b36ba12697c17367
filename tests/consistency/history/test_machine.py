"""Any sequence of repairs, failures, scans, acknowledgements, mutes and passing time, held against a small model."""

from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any
from unittest import mock

import pytest
from django.db import connection, connections
from django.db.models import F, QuerySet, TextField, Value
from django.db.models.functions import Coalesce
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from consistency.history.lists import in_force
from consistency.history.overview import overview
from consistency.history.recorder import Recorded, look
from consistency.history.silence import MEMORY, acknowledge, end_acknowledgement, mute, unmute
from consistency.history.writing import OlderSnapshotError
from consistency.models import File
from consistency.models.history import Anomaly, Mute, Scan
from consistency.notices.notice import notice_of
from consistency.registry import CHECKS, CheckError
from consistency.scan.report import Outcome
from tests.consistency.conftest import Define
from tests.consistency.history.data import REST, in_days, outcome, recorded
from tests.consistency.history.model import NEWS, Known, Muted, Place, Truth

NAME, OTHER = "machine", "other"
FILES = st.sampled_from("ab")
DAYS = st.sampled_from([1, 3])


class Memory(RuleBasedStateMachine):
    """`truth` is what the files hold, whichever of two names their database is scanned by; `here` is what is
    remembered of the one that things happen to now.
    """

    check: Any = None
    fails = False

    def __init__(self) -> None:
        super().__init__()
        type(self).fails = False
        with connection.cursor() as cursor:
            # Some rows: DELETE takes a tenth of what TRUNCATE does.
            cursor.execute(
                "DELETE FROM consistency_scancheck; DELETE FROM consistency_scan; DELETE FROM consistency_anomaly;"
                "DELETE FROM consistency_mute; DELETE FROM files"
            )
        self.truth: Truth = {}
        self.places = {name: Place() for name in (MEMORY, OTHER)}
        self.database = MEMORY
        self.scans = 0

    @property
    def here(self) -> Place:
        return self.places[self.database]

    def anomalies(self, **those: Any) -> "QuerySet[Anomaly]":
        return Anomaly.objects.filter(database=self.database, check_name=NAME, **those)

    # --- What happens ------------------------------------------------------------------------------------
    @rule(name=FILES, detail=st.sampled_from("xy"), scanned=st.booleans())
    def breaks(self, name: str, detail: str, scanned: bool) -> None:
        self.truth[name] = detail
        File.objects.update_or_create(
            file_uuid=name, defaults={"file_name": name, "file_path": detail, "status": "processing"}
        )
        if scanned:
            self.is_scanned()

    @rule(name=FILES, scanned=st.booleans())
    def is_repaired(self, name: str, scanned: bool) -> None:
        self.truth.pop(name, None)
        File.objects.filter(pk=name).delete()
        if scanned:
            self.is_scanned()

    @rule()
    def check_fails_for_once(self) -> None:
        type(self).fails = True
        self.a_look_tells_the_truth_and_writes_nothing()
        self.is_scanned()
        type(self).fails = False
        self.is_as_modelled()

    @rule(days=DAYS)
    def time_passes(self, days: int) -> None:
        """Everything that has an end comes nearer to it."""
        Anomaly.objects.update(acknowledged_until=F("acknowledged_until") - timedelta(days=days))
        Mute.objects.filter(ended_at=None).update(until=F("until") - timedelta(days=days))
        for place in self.places.values():
            place.time_passes(days)

    @rule(name=FILES, days=DAYS)
    def is_acknowledged(self, name: str, days: int) -> None:
        found = self.anomalies(object_id=name).values_list("pk", flat=True)
        done = acknowledge(list(found), until=in_days(days - 0.1), by="ana", reason="known")
        assert done == self.here.is_open(name)
        if done:
            self.here.acknowledged[name] = (days, self.here.known[name].detail)

    # --- What chance alone rarely leads to: silence, and right after it what ends it -------------------------
    @rule(name=FILES, detail=st.sampled_from("xy"))
    def another_detail_under_an_acknowledgement(self, name: str, detail: str) -> None:
        self.is_open_and_acknowledged(name, detail)
        self.breaks(name, "y" if detail == "x" else "x", scanned=False)
        self.is_as_modelled()
        self.is_scanned()

    @rule(name=FILES, detail=st.sampled_from("xy"), fails=st.booleans())
    def repaired_and_broken_under_an_acknowledgement(self, name: str, detail: str, fails: bool) -> None:
        self.is_open_and_acknowledged(name, detail)
        self.is_repaired(name, scanned=False)
        if fails:
            self.check_fails_for_once()
        else:
            self.is_scanned()
        self.breaks(name, detail, scanned=True)
        self.is_as_modelled()

    @rule(name=FILES, scanned=st.booleans())
    def fewer_and_then_more_under_a_mute(self, name: str, scanned: bool) -> None:
        self.both_are_open()
        self.is_muted(3, sticky=False)
        self.is_repaired(name, scanned=True)
        self.is_as_modelled()
        self.breaks(name, "x", scanned)

    @rule(name=FILES, sticky=st.booleans())
    def more_and_then_fewer_under_a_mute(self, name: str, sticky: bool) -> None:
        self.both_are_open()
        self.is_repaired(name, scanned=True)
        self.is_muted(3, sticky=sticky)
        self.breaks(name, "x", scanned=True)
        self.is_as_modelled()
        self.is_repaired(name, scanned=False)

    @rule(sticky=st.booleans())
    def clean_and_then_some_under_a_mute(self, sticky: bool) -> None:
        self.both_are_open()
        self.is_muted(3, sticky=sticky)
        self.is_repaired("a", scanned=False)
        self.is_repaired("b", scanned=True)
        self.is_as_modelled()
        self.breaks("a", "x", scanned=False)

    def is_open_and_acknowledged(self, name: str, detail: str) -> None:
        self.breaks(name, detail, scanned=True)
        self.is_acknowledged(name, 3)
        self.is_as_modelled()

    def both_are_open(self) -> None:
        self.breaks("a", "x", scanned=False)
        self.breaks("b", "x", scanned=True)

    # --- And alone ---------------------------------------------------------------------------------------
    @rule(name=FILES)
    def is_heard_again(self, name: str) -> None:
        end_acknowledgement(list(self.anomalies(object_id=name).values_list("pk", flat=True)))
        self.here.acknowledged.pop(name, None)

    @precondition(lambda self: self.here.last_count != 0)
    @rule(days=DAYS, sticky=st.booleans())
    def is_muted(self, days: int, sticky: bool) -> None:
        mute(NAME, until=in_days(days - 0.1), by="ana", reason="known", sticky=sticky, database=self.database)
        self.here.muted = Muted(days, sticky, self.here.last_count)

    @rule()
    def is_unmuted(self) -> None:
        assert unmute(NAME, database=self.database) is (self.here.muted is not None and self.here.muted.left > 0)
        self.here.muted = None

    @rule()
    def is_scanned(self) -> None:
        self._is_recorded(self.truth)

    @rule(name=FILES, detail=st.sampled_from("xy"), appears=st.booleans())
    def is_scanned_twice_and_changes_between(self, name: str, detail: str, appears: bool) -> None:
        first = dict(self.truth)
        change = partial(self.breaks, name, detail, False) if appears else partial(self.is_repaired, name, False)
        with mock.patch("time.sleep", side_effect=lambda seconds: change()):
            self._is_recorded(self.truth, seen_before=first, confirm=1.0)

    @rule(retired=st.booleans())
    def another_check_is_scanned(self, retired: bool) -> None:
        """Nothing of this one changes, be it still defined or not."""
        defined = CHECKS.pop(NAME) if retired else CHECKS[NAME]
        recorded(REST, database=self.database)
        self.scans += 1
        assert {found.retired for found in self.anomalies()} <= {retired}
        CHECKS[NAME] = defined

    @rule()
    def what_is_older_than_the_last_scan_is_refused(self) -> None:
        for scan in Scan.objects.filter(database=self.database)[:1]:
            Scan.objects.filter(pk=scan.pk).update(snapshot_at=in_days(1))
            with pytest.raises(OlderSnapshotError):
                recorded(NAME, database=self.database)
            scan.save()

    @rule()
    def the_other_database_is_turned_to(self) -> None:
        self.database = OTHER if self.database == MEMORY else MEMORY

    def _is_recorded(self, truth: Truth, seen_before: Truth | None = None, **more: Any) -> None:
        done = recorded(NAME, database=self.database, **more)
        self.scans += 1
        if not self.fails:
            before = truth if seen_before is None else seen_before
            agreed = dict(truth.items() & before.items())
            expected = self.here.remember(agreed, doubted=(truth.keys() | before.keys()) - agreed.keys())
            news = done.scan and done.scan.news
            assert news
            assert {name: getattr(news, name) for name in NEWS} == expected.news
            assert self._told(done) == expected.told
            self.it_is_shown_as_it_was_reported(outcome(done, NAME))
        else:
            assert self._told(done) == self.here.could_not_run()
        assert Scan.objects.count() == self.scans
        assert (outcome(done, NAME).error is not None) is self.fails

    def _told(self, done: Recorded) -> str | None:
        assert done.scan
        notice = notice_of(done.report, done.scan, self.database)
        return notice.changes[0].kind if notice else None

    def it_is_shown_as_it_was_reported(self, found: Outcome) -> None:
        card = next(card for card in overview(self.database).cards if card.name == NAME)
        assert (card.open, card.acknowledged, card.muted) == (found.count, found.acknowledged, found.muted)

    # --- What always holds -------------------------------------------------------------------------------
    @invariant()
    def is_as_modelled(self) -> None:
        for _ in self.places:
            self.the_other_database_is_turned_to()
            self.it_remembers_what_the_model_does()
            self.it_is_as_silent_as_the_model()
        self.a_look_tells_the_truth_and_writes_nothing()

    def it_remembers_what_the_model_does(self) -> None:
        stored = list(self.anomalies())
        assert self.here.known == {
            found.object_id: Known(found.state, found.detail, found.times_seen, found.returned_count)
            for found in stored
        }
        for found in stored:
            assert (found.resolved_at is not None) is (found.state == "resolved")
            assert found.first_seen <= found.appeared_at <= found.last_seen
            assert (found.appeared_at > found.first_seen) is (found.returned_count > 0)
            assert (found.appeared_scan == found.last_scan) is (found.appeared_at == found.last_seen)
            assert found.state not in ("new", "returned") or found.appeared_scan == found.last_scan

    def it_is_as_silent_as_the_model(self) -> None:
        now = timezone.now()
        acknowledged = self.anomalies(acknowledged_until__gt=now, resolved_at=None)
        assert set(acknowledged.values_list("object_id", flat=True)) == self.here.silent()
        mutes = Mute.objects.filter(database=self.database, ended_at=None, until__gt=now)
        muted = self.here.muted if self.here.muted and self.here.muted.left > 0 else None
        assert [(mute.sticky, mute.mark) for mute in mutes] == ([(muted.sticky, muted.mark)] if muted else [])
        assert in_force(self.database) == list(mutes)

    def a_look_tells_the_truth_and_writes_nothing(self) -> None:
        [told] = look([self.check], database=self.database).outcomes
        if self.fails:
            assert (told.count, told.acknowledged, told.muted) == (None, 0, 0)
            return
        silent = len(self.here.counted_silent(self.truth))
        muted = len(self.truth) - silent if self.here.mute_holds(self.truth) else 0
        assert (told.count, told.acknowledged, told.muted) == (len(self.truth), silent, muted)


@pytest.fixture
def machine(transactional_db: None, define: Define) -> Iterator[type[Memory]]:
    def rows() -> Any:
        if Memory.fails:
            raise CheckError("not today")
        return File.objects.processing()

    connections.databases[OTHER] = connections.databases[MEMORY]
    Memory.check = define(NAME, rows, detail=Coalesce("file_path", Value(""), output_field=TextField()))
    yield Memory
    Memory.check = None
    connections[OTHER].close()
    del connections.databases[OTHER], connections[OTHER]


def test_whatever_happens_the_memory_is_right(machine: type[Memory]) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=12,
            stateful_step_count=16,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
