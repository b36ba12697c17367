"""A list that is read kind by kind, in parts and by cursors in both directions, is the plain QuerySet's."""

import random
from datetime import UTC, datetime, timedelta
from functools import reduce
from itertools import chain, islice
from operator import and_, or_
from typing import Any

import pytest
from django.db.models import Q, QuerySet
from django.http import QueryDict
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from consistency.api.query import STATES, anomalies
from consistency.history import kinds, order
from consistency.history.kinds import Listed
from consistency.history.lists import agreed, page
from consistency.history.order import after, before, pieces
from consistency.history.silence import mute
from consistency.models.history import AGREED, OPEN, Anomaly, State
from tests.consistency.history.data import REST, STALE, in_days

ROWS = 80
NEWS, RESOLVED = ("-appeared_at", "-id"), ("-resolved_at", "-appeared_at", "-id")
THEN = datetime(2026, 5, 18, tzinfo=UTC)
CHECKS, DATABASES, PEOPLE = (STALE, "long_gone"), ("default", "olddb"), ("ann", "ann|b", "")
Found = QuerySet[Anomaly]


@pytest.fixture(params=[0, kinds.FEW], ids=["of many kinds", "of few kinds"])
def remembered(request: Any, db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few values of each: rows share times and kinds, and what is asked finds some."""
    monkeypatch.setattr(kinds, "FEW", request.param)
    chance = random.Random(2026)  # noqa: S311 - data
    Anomaly.objects.bulk_create(_row(chance, number) for number in range(ROWS))
    monkeypatch.setattr(order, "PIECE", 7)
    mute("long_gone", until=in_days(1), by="ann", reason="x", sticky=True)


def _row(chance: random.Random, number: int) -> Anomaly:
    def some(*values: Any) -> Any:
        # Every other is of one kind, which so has more than are wanted.
        return values[0] if number % 2 else chance.choice(values)

    def day() -> datetime:
        return THEN + timedelta(days=chance.randrange(4))

    state = some(State.ONGOING, State.NEW, State.RETURNED, State.RESOLVED)
    return Anomaly(
        check_name=some(*CHECKS),
        database=some(*DATABASES),
        object_type="file",
        object_id=str(number),
        severity=some(2, 3),
        detail="x",
        file_name=chance.choice([None, "a", "ab"]),
        state=state,
        first_seen=THEN,
        appeared_at=day(),
        appeared_scan=chance.choice([1, 2]),
        last_seen=THEN,
        last_scan=2,
        times_seen=1,
        resolved_at=day() if state == State.RESOLVED else None,
        returned_count=some(0, 0, 1, 2),
        acknowledged_until=some(None, in_days(-1), in_days(1)),
        assignee=some(None, *PEOPLE),
    )


# --- What is asked -----------------------------------------------------------------------------------------
def one_of(name: str, *values: Any) -> Any:
    return st.sampled_from(values).map(lambda value: Q((name, value)))


def some_of(name: str, *values: Any) -> Any:
    return st.lists(st.sampled_from(values), max_size=2).map(lambda some: Q((f"{name}__in", some)))


conditions = st.one_of(
    st.sampled_from([Q(), OPEN, AGREED, Q(pk__in=[]), Q(acknowledged_until__lte=in_days(0))]),
    one_of("check_name", *CHECKS),
    some_of("check_name", *CHECKS),
    one_of("database", *DATABASES),
    one_of("severity", 2, "3"),
    some_of("severity", 1, 2, 3),
    one_of("state", *State.values),
    one_of("acknowledged_until__isnull", True, False),
    one_of("assignee", None, *PEOPLE),
    some_of("assignee", *PEOPLE),
    one_of("assignee__isnull", True, False),
    one_of("returned_count", 0, 1),
    one_of("returned_count__gt", 0, 1),
    one_of("appeared_at__gte", THEN + timedelta(days=1)),
    one_of("appeared_scan", 1),
    one_of("file_name__startswith", "a", "ab"),
)
trees = st.recursive(
    conditions,
    lambda inner: st.one_of(
        inner.map(lambda one: ~one),
        st.builds(reduce, st.sampled_from([and_, or_]), st.lists(inner, min_size=2, max_size=3)),
    ),
    max_leaves=5,
)
words = st.fixed_dictionaries(
    {},
    optional={
        "check": st.sampled_from([*CHECKS, REST, ",".join(CHECKS)]),
        "severity": st.sampled_from(["warn", "info,error"]),
        "state": st.sampled_from(STATES),
        "silenced": st.sampled_from("01"),
        "assignee": st.sampled_from(PEOPLE),
        "database": st.sampled_from(DATABASES),
        "since": st.sampled_from(["1h", "2026-05-19T00:00:00Z"]),
        "scan": st.sampled_from("123"),
        "name": st.sampled_from(["ab", "b"]),
    },
)
tried = settings(
    max_examples=60, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
starts, sizes = st.integers(0, 30), st.integers(3, 25)


# --- How it may be read --------------------------------------------------------------------------------------
def differing(found: Found, start: int, size: int) -> str | None:
    """Which way of reading gives something else, if one does."""
    # A QuerySet that has its rows would answer by itself.
    plain = list(found.all())
    for number in (1, size):
        if Listed(found).rows(start, start + number) != plain[start : start + number]:
            return "rows"
    if Listed(found).count(size) != min(len(plain), size):
        return "count"
    if list(islice(chain.from_iterable(pieces(found)), ROWS + 1)) != plain:
        return "pieces"
    if row := next(iter(plain[start:]), None):
        if Listed(before(found, row)).rows(0, size) != plain[:start][::-1][:size]:
            return "before"
        if Listed(after(found, row)).rows(0, size) != plain[start + 1 :][:size]:
            return "after"
    return _by_cursors(found, plain, size)


def _by_cursors(found: Found, plain: list[Anomaly], size: int) -> str | None:
    pages = [page(found, cursor=None, limit=size)]
    while pages[-1].next and len(pages) <= len(plain):
        pages.append(page(found, cursor=pages[-1].next, limit=size))
    if [one.rows for one in pages] != [plain[at : at + size] for at in range(0, len(plain), size)] and plain:
        return "forwards"
    back = pages[-1:]
    while back[-1].previous and len(back) <= len(plain):
        back.append(page(found, cursor=back[-1].previous, limit=size))
    if [one.rows for one in back] != [one.rows for one in reversed(pages)]:
        return "backwards"
    return None if all(one.next for one in back[1:]) else "no way on from the way back"


# Of each check another question, of one shape.
EACH_ITS_OWN = Q(check_name=STALE, file_name__startswith="a") | Q(check_name="long_gone", file_name__startswith="ab")


@tried
@example(EACH_ITS_OWN, Q(), NEWS, 0, 9)
@given(trees, trees, st.sampled_from([NEWS, RESOLVED]), starts, sizes)
def test_whatever_is_filtered(remembered: None, one: Q, other: Q, by: tuple[str, ...], start: int, size: int) -> None:
    found = Anomaly.objects.filter(one).filter(other).order_by(*by)
    # No list goes by when they were resolved with some that are not.
    found = found.exclude(OPEN) if by == RESOLVED else found
    assert differing(found, start, size) is None, found.query


@tried
@given(words, starts, sizes)
def test_whatever_is_asked_over_rest(remembered: None, asked: dict[str, str], start: int, size: int) -> None:
    query = QueryDict(mutable=True)
    query.update(asked)
    found = anomalies(query, agreed())
    assert differing(found, start, size) is None, found.query
