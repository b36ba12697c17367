"""Any sequence of repairs, failures, scans, acknowledgements, mutes and passing time, held against a small model."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import F, TextField, Value
from django.db.models.functions import Coalesce
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from consistency.memory_models import Anomaly, Mute, Scan
from consistency.models import File
from consistency.recorder import look
from consistency.registry import CheckError
from consistency.silence import acknowledge, end_acknowledgement, mute, unmute
from tests.consistency.conftest import Define
from tests.consistency.memory import in_days, outcome, recorded

NAME = "machine"
FILES = st.sampled_from("ab")
DAYS = st.sampled_from([1, 3])


class Memory(RuleBasedStateMachine):
    """`truth` is what the files hold; the rest is what the memory should say after the last completed scan."""

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
        self.truth: dict[str, str] = {}
        self.known: dict[str, dict[str, Any]] = {}
        self.acknowledged: dict[str, tuple[int, str]] = {}
        self.muted: dict[str, Any] | None = None
        self.last_count: int | None = None
        self.scans = 0

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
        self.acknowledged = {name: (left - days, detail) for name, (left, detail) in self.acknowledged.items()}
        if self.muted:
            self.muted["left"] -= days

    @rule(name=FILES, days=DAYS)
    def is_acknowledged(self, name: str, days: int) -> None:
        found = Anomaly.objects.filter(object_id=name).values_list("pk", flat=True)
        done = acknowledge(list(found), until=in_days(days - 0.1), by="ana", reason="known")
        assert done == self._is_open(name)
        if done:
            self.acknowledged[name] = (days, self.known[name]["detail"])

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

    @rule(name=FILES)
    def more_and_then_fewer_under_a_mute(self, name: str) -> None:
        self.both_are_open()
        self.is_repaired(name, scanned=True)
        self.is_muted(3, sticky=False)
        self.breaks(name, "x", scanned=True)
        self.is_as_modelled()
        self.is_repaired(name, scanned=False)

    @rule()
    def clean_and_then_some_under_a_mute(self) -> None:
        self.both_are_open()
        self.is_muted(3, sticky=False)
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
        end_acknowledgement(list(Anomaly.objects.filter(object_id=name).values_list("pk", flat=True)))
        self.acknowledged.pop(name, None)

    @precondition(lambda self: self.last_count != 0)
    @rule(days=DAYS, sticky=st.booleans())
    def is_muted(self, days: int, sticky: bool) -> None:
        mute(NAME, until=in_days(days - 0.1), by="ana", reason="known", sticky=sticky)
        self.muted = {"left": days, "sticky": sticky, "mark": self.last_count}

    @rule()
    def is_unmuted(self) -> None:
        assert unmute(NAME) is (self.muted is not None and self.muted["left"] > 0)
        self.muted = None

    @rule()
    def is_scanned(self) -> None:
        done = recorded(NAME)
        self.scans += 1
        if not self.fails:
            expected = self._remember()
            news = done.scan and done.scan.news
            assert news
            assert {"new": news.new, "returned": news.returned, "resolved": news.resolved, "ongoing": news.ongoing} == (
                expected
            )
        assert Scan.objects.count() == self.scans
        assert (outcome(done, NAME).error is not None) is self.fails

    def _remember(self) -> dict[str, int]:
        count = dict.fromkeys(("new", "returned", "resolved", "ongoing"), 0)
        for name in set(self.truth) | set(self.known):
            state = self._next(name)
            if state:
                count[state] += 1
        self.last_count = len(self.truth)
        if self.muted and not self._mute_holds():
            self.muted = None
        if self.muted:
            mark = self.muted["mark"]
            self.muted["mark"] = self.last_count if mark is None else min(mark, self.last_count)
        return count

    def _next(self, name: str) -> str | None:
        before = self.known.get(name)
        gone = before is None or before["state"] == "resolved"
        if name not in self.truth:
            if gone:
                return None
            self.known[name] = dict(before or {}, state="resolved")
            return "resolved"
        state = "new" if before is None else "returned" if gone else "ongoing"
        times, returned = (before["times"], before["returned"]) if before else (0, 0)
        self.known[name] = {
            "state": state,
            "detail": self.truth[name],
            "times": times + 1,
            "returned": returned + (state == "returned"),
        }
        left, detail = self.acknowledged.get(name, (0, ""))
        if gone or left <= 0 or detail != self.truth[name]:
            self.acknowledged.pop(name, None)
        return state

    def _mute_holds(self) -> bool:
        assert self.muted
        if self.muted["left"] <= 0:
            return False
        mark = self.muted["mark"]
        return self.muted["sticky"] or (len(self.truth) > 0 and (mark is None or len(self.truth) <= mark))

    # --- What always holds -------------------------------------------------------------------------------
    @invariant()
    def is_as_modelled(self) -> None:
        self.it_remembers_what_the_model_does()
        self.it_is_as_silent_as_the_model()
        self.a_look_tells_the_truth_and_writes_nothing()

    def it_remembers_what_the_model_does(self) -> None:
        stored = {
            found.object_id: {
                "state": found.state,
                "detail": found.detail,
                "times": found.times_seen,
                "returned": found.returned_count,
            }
            for found in Anomaly.objects.all()
        }
        assert stored == self.known
        for found in Anomaly.objects.all():
            assert (found.resolved_at is not None) is (found.state == "resolved")
            assert found.first_seen <= found.last_seen

    def it_is_as_silent_as_the_model(self) -> None:
        now = timezone.now()
        acknowledged = Anomaly.objects.filter(acknowledged_until__gt=now, resolved_at=None)
        assert set(acknowledged.values_list("object_id", flat=True)) == {
            name for name, (left, _) in self.acknowledged.items() if left > 0 and self._is_open(name)
        }
        mutes = list(Mute.objects.filter(ended_at=None, until__gt=now).values("sticky", "mark"))
        muted = self.muted if self.muted and self.muted["left"] > 0 else None
        assert mutes == ([{"sticky": muted["sticky"], "mark": muted["mark"]}] if muted else [])

    def _is_open(self, name: str) -> bool:
        return name in self.known and self.known[name]["state"] != "resolved"

    def a_look_tells_the_truth_and_writes_nothing(self) -> None:
        [told] = look([self.check]).outcomes
        if self.fails:
            assert (told.count, told.acknowledged, told.muted) == (None, 0, 0)
            return
        silent = {
            name
            for name, (left, detail) in self.acknowledged.items()
            if left > 0 and self.truth.get(name) == detail and self._is_open(name)
        }
        holds = bool(self.muted and self._mute_holds())
        assert (told.count, told.acknowledged) == (len(self.truth), len(silent))
        assert told.muted == (len(self.truth) - len(silent) if holds else 0)


@pytest.fixture
def machine(transactional_db: None, define: Define) -> Iterator[type[Memory]]:
    def rows() -> Any:
        if Memory.fails:
            raise CheckError("not today")
        return File.objects.processing()

    Memory.check = define(NAME, rows, detail=Coalesce("file_path", Value(""), output_field=TextField()))
    yield Memory
    Memory.check = None


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
