"""Each page of review is read by index: on many anomalies, no question reads a table or sifts much of it."""

import random
from collections.abc import Callable, Iterator
from functools import reduce
from itertools import chain, product
from operator import and_
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.db import connection, transaction
from django.db.models import QuerySet
from django.http import QueryDict
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from consistency.admin import filters
from consistency.api.query import anomalies
from consistency.history import lists, paginator
from consistency.history.kinds import FEW, Listed, kinds
from consistency.history.lists import Agreed, agreed, last_complete_scan
from consistency.history.retention import BATCH, prune
from consistency.history.silence import mute
from consistency.history.subject import Subject
from consistency.models.history import Anomaly, Scan
from tests.consistency.admin.pages import LIST, OVERVIEW, SEE, page_of
from tests.consistency.api import correlated
from tests.consistency.api.correlated import MANY, mass
from tests.consistency.history.data import in_days
from tests.consistency.test_plans import nodes

SIFTED = MANY // 100
"""Rows that one question may look at in vain."""
READ = MANY // 20
"""Rows that it may look at in all; in proportion, so many are counted."""
QUERIES = 12
MASS = mass()
OURS = {"consistency_anomaly", "consistency_scan", "consistency_scancheck"}

# Each alone, and each with each other.
ADMIN: dict[str, list[str | None]] = {
    "check": [None, "stale_processing", "orphaned_processing", "processing_job_done", "rare"],
    "severity__exact": [None, "2", "3"],
    "state": [None, *filters.StateFilter.words],
    "came": [None, "news=1", "news=seen", "news=resolved", f"scan={MASS}", f"scan={MASS}-new", f"scan={MASS}-returned"],
    "age": [None, "month"],
    "assignee": [None, "me", "nobody", "anybody"],
}
REST: dict[str, list[str | None]] = {
    "check": [None, "stale_processing", "orphaned_processing", "rare", "processing_job_done,rare"],
    "severity": [None, "warn", "error,info"],
    "state": [None, "new", "returned", "resolved", "acknowledged", "muted", "all"],
    "silenced": [None, "0", "1"],
    "came": [None, "since=1d", "since=150d", f"scan={MASS}"],
    "assignee": [None, "bob"],
}
ALONE = [
    "", *(f"state={state}" for state in filters.StateFilter.words), "check=stale_processing", "check=rare",
    "severity__exact=3", "severity__exact=1", "news=1", "news=seen", "news=resolved&state=resolved", "age=day",
    "age=month", "assignee=me", "assignee=nobody", "q=c81e7", "q=clip 123", "q=nothing", "q=clip 123&news=1&state=all",
    "p=20", "state=all&p=20", "state=resolved&p=20", f"scan={MASS}", f"scan={MASS}-returned&state=all",
    "check=stale_processing&state=new&news=1&age=month&assignee=me&severity__exact=2",
]  # fmt: skip


RESOLVED_OF_BOB = "/api/v1/consistency/anomalies?state=resolved&assignee=bob"


@pytest.fixture(scope="module")
def loaded(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    with django_db_blocker.unblock():
        correlated.load()
        yield
        correlated.unload()


@pytest.fixture
def swept(loaded: None, django_db_blocker: Any) -> Iterator[None]:
    """Nothing is left of what a test changed and took back."""
    yield
    with django_db_blocker.unblock():
        correlated.vacuum()


@pytest.fixture
def many(swept: None, db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    # In proportion.
    monkeypatch.setattr(paginator, "MOST", READ // 4)
    monkeypatch.setattr(lists, "FEW", SIFTED)


@pytest.fixture
def visitor(many: None, client: Client) -> User:
    """Somebody who may see, and no more."""
    user = User.objects.create_user("ann", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=SEE))
    client.force_login(user)
    return user


def analyze() -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"ANALYZE {', '.join(correlated.LOADED)}")


def wrong_of(statement: str, parameters: Any = None, read: int = READ) -> Iterator[str]:
    """What is wrong with its plan, as it goes."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {statement}", parameters)
        plan = cursor.fetchone()[0][0]["Plan"]
    for node in nodes(plan):
        loops = node["Actual Loops"]
        in_vain = loops * (node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0))
        if in_vain > SIFTED:
            yield f"{in_vain} rows in vain by {node.get('Index Name')}: {node.get('Filter')}"
        # What is acknowledged is counted to the end, check by check.
        by = {node.get("Index Name"), node.get("Relation Name")} - {None}
        if by and node["Actual Rows"] * loops > read and "anomaly_acknowledged" not in by:
            yield f"{node['Actual Rows'] * loops} rows by {node['Node Type']} {node.get('Index Name')}"
        if node["Node Type"] == "Seq Scan" and node["Relation Name"] in OURS:
            yield f"reads the table {node['Relation Name']}: {node.get('Filter')}"


def wrong(ask: Callable[[], Any], most: int = QUERIES) -> list[str]:
    """What is wrong with the questions that this asks; nothing, if they are few and each is answered by an index."""
    with CaptureQueriesContext(connection) as asked:
        ask()
    # A savepoint is a test's alone, which is one transaction.
    statements = [query["sql"] for query in asked if "SAVEPOINT" not in query["sql"]]
    ours = [sql for sql in statements if '"consistency_' in sql or " consistency_" in sql]
    found = [f"{len(statements)} queries"] if len(statements) > most else []
    return found + [why for sql in ours for why in wrong_of(sql)]


def page(client: Client, path: str) -> Callable[[], Any]:
    def ask() -> Any:
        answer = client.get(path, secure=True)
        assert answer.status_code == 200, path
        return answer

    return ask


def all_wrong(client: Client, paths: list[str]) -> dict[str, list[str]]:
    told = {path: wrong(page(client, path)) for path in paths}
    return {path: found for path, found in told.items() if found}


# --- All that can be asked for at once --------------------------------------------------------------------
class Parts:
    """The questions that lists are put together from: many lists share them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        now = timezone.now()
        monkeypatch.setattr(timezone, "now", lambda: now)
        self.seen: dict[Any, list[str]] = {}

    def wrong(self, found: QuerySet[Anomaly]) -> list[str]:
        told = []
        for sql, parameters in Listed(found)._parts:
            asked = sql, str(parameters)
            if asked not in self.seen:
                self.seen[asked] = list(wrong_of(f"{sql} LIMIT {READ // 4}", parameters))
            told += self.seen[asked]
        return told


class Admins:
    """What the filters of the admin's list make of what is chosen; each is asked once."""

    def __init__(self, user: User) -> None:
        self.user = user
        self.model_admin: Any = admin.site.get_model_admin(Anomaly)
        self.known: dict[tuple[str, str], QuerySet[Anomaly]] = {}

    def found(self, chosen: dict[str, str]) -> QuerySet[Anomaly]:
        some = [self._one(*one) for one in ({"state": ""} | chosen).items()]
        return reduce(and_, some).order_by(*filters.order(RequestFactory().get(LIST, chosen)))

    def _one(self, name: str, value: str) -> QuerySet[Anomaly]:
        if (name, value) not in self.known:
            self.known[name, value] = self._asked(name, value)
        return self.known[name, value]

    def _asked(self, name: str, value: str) -> QuerySet[Anomaly]:
        if name == "severity__exact":
            return Anomaly.objects.filter(severity=value)
        request = RequestFactory().get(LIST)
        request.user = self.user
        [filtering] = [one for one in self.model_admin.list_filter if getattr(one, "parameter_name", "") == name]
        chosen = {name: [value]} if value else {}
        found: QuerySet[Anomaly] = filtering(request, chosen, Anomaly, self.model_admin).queryset(
            request, Anomaly.objects.all()
        )
        return found


def combined(choices: dict[str, list[str | None]]) -> Iterator[dict[str, str]]:
    for values in product(*choices.values()):
        told = dict(zip(choices, values, strict=True))
        name, _, value = (told.pop("came") or "").partition("=")
        yield {name: value for name, value in (told | {name: value}).items() if value}


def test_whatever_is_chosen_at_once_in_the_admin_is_read_by_index(
    visitor: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts, admins = Parts(monkeypatch), Admins(visitor)
    for chosen in combined(ADMIN):
        assert parts.wrong(admins.found(chosen)) == [], chosen
    assert len(parts.seen) > 100


@pytest.mark.usefixtures("many")
def test_so_is_whatever_is_chosen_at_once_over_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    parts, silent = Parts(monkeypatch), agreed()
    for chosen in combined(REST):
        assert parts.wrong(over_rest(chosen, silent)) == [], chosen
    assert len(parts.seen) > 100


def over_rest(chosen: dict[str, str], silent: Agreed) -> QuerySet[Anomaly]:
    asked = QueryDict(mutable=True)
    asked.update(chosen)
    return anomalies(asked, silent)


def test_and_is_just_what_the_conditions_say(visitor: User) -> None:
    admins, silent, numbers = Admins(visitor), agreed(), set()
    for found in (*map(admins.found, few(ADMIN)), *(over_rest(chosen, silent) for chosen in few(REST))):
        first, number = list(found[:60]), found[:900].count()
        listed = Listed(found)
        assert (listed.rows(0, 60), listed.rows(40, 60), listed.count(900)) == (first, first[40:], number), found.query
        numbers.add(number)
    assert len(numbers) > 5


def few(choices: dict[str, list[str | None]]) -> list[dict[str, str]]:
    """Some, of which each leaves something over, as a rule."""
    return random.sample([chosen for chosen in combined(choices) if len(chosen) < 3], 50)


# --- Pages, as they are asked for --------------------------------------------------------------------------
@pytest.mark.usefixtures("visitor")
def test_the_list_of_anomalies_asks_few_questions_however_it_is_filtered_and_searched(client: Client) -> None:
    assert all_wrong(client, [f"{LIST}?{asked}" for asked in ALONE]) == {}
    chosen = [f"{name}={value}" for name, values in ADMIN.items() if name != "came" for value in values if value]
    chosen += [value for value in ADMIN["came"] if value]
    assert all_wrong(client, [f"{LIST}?{one}&state=all" for one in chosen if not one.startswith("state")]) == {}


@pytest.mark.usefixtures("visitor")
def test_so_do_the_overview_and_the_other_pages(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    scan = Scan.objects.all()[5]
    of_scans = [f"{OVERVIEW}scan/", f"{OVERVIEW}scan/?complete__exact=0", f"{OVERVIEW}scan/{scan.pk}/change/"]
    assert all_wrong(client, ["/admin/", OVERVIEW, *of_scans, f"{OVERVIEW}mute/"]) == {}
    # What the file's own tables say has tests of its own.
    monkeypatch.setattr("consistency.admin.pages.subject", lambda anomaly: Subject())
    for one in (Anomaly.objects.all()[3], Anomaly.objects.filter(resolved_at__isnull=False)[3]):
        froms = ("", "state%3Dall", "state%3Dresolved", "check%3Drare", "assignee%3Dme", "state%3Dacknowledged")
        for path in (f"{page_of(one)}?_changelist_filters={came}" for came in froms):
            assert wrong(page(client, path), most=2 * QUERIES) == [], path


@pytest.mark.usefixtures("visitor")
def test_so_do_the_lists_over_rest_in_both_directions(client: Client) -> None:
    base = "/api/v1/consistency/"
    asked = (
        "",
        "state=new",
        "state=all",
        "state=resolved",
        "silenced=1",
        "since=150d",
        f"scan={MASS}&state=all",
        "name=clip 123",
    )
    for path in (*(f"{base}anomalies?{one}" for one in asked), f"{base}scans", f"{base}scans?complete=0"):
        there = page(client, path)().json()["next"]
        back = page(client, there)().json()["previous"] if there else None
        assert all_wrong(client, [address for address in (path, there, back) if address]) == {}
    assert all_wrong(client, [f"{base}checks"]) == {}


@pytest.mark.usefixtures("visitor")
def test_so_does_a_list_from_which_all_but_a_few_were_muted_or_acknowledged(client: Client) -> None:
    paths = [LIST, f"{LIST}?severity__exact=2", "/api/v1/consistency/anomalies?silenced=0", OVERVIEW]
    for name in ("stale_processing", "orphaned_processing", "processing_job_done"):
        mute(name, until=in_days(7), by="ann", reason="why")
    assert all_wrong(client, paths) == {}
    mute("rare", until=in_days(7), by="ann", reason="why")
    assert all_wrong(client, paths) == {}
    Anomaly.objects.filter(resolved_at__isnull=True).update(acknowledged_until=in_days(1))
    analyze()
    assert all_wrong(client, [LIST, f"{LIST}?age=day", "/api/v1/consistency/anomalies?silenced=0"]) == {}


@pytest.mark.usefixtures("visitor")
def test_so_does_a_list_of_very_many_kinds_which_share_a_plan(client: Client) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE consistency_anomaly SET check_name = check_name || id % 25")
    analyze()
    assert len(kinds()) > 300
    asked = ("", "state=all", "state=all&p=3", "state=resolved", "assignee=nobody", "age=month", "state=new")
    paths = [*(f"{LIST}?{one}" for one in asked), "/api/v1/consistency/anomalies?state=all&silenced=0"]
    assert all_wrong(client, paths) == {}
    for path in paths:
        with CaptureQueriesContext(connection) as queries:
            page(client, path)()
        assert max(query["sql"].count('."kind" = ') for query in queries) <= FEW, path


@pytest.mark.usefixtures("many")
def test_the_last_complete_scan_is_found_by_index_even_where_there_is_none() -> None:
    assert wrong(last_complete_scan) == []
    Scan.objects.update(complete=False)
    analyze()
    assert wrong(last_complete_scan) == []


@pytest.mark.usefixtures("many")
def test_what_is_to_be_forgotten_is_found_by_index(settings: Any) -> None:
    settings.CONSISTENCY_KEEP_SCANS, settings.CONSISTENCY_KEEP_RESOLVED = 200, 200
    scans, anomalies = Scan.objects.count(), Anomaly.objects.count()
    with CaptureQueriesContext(connection) as asked:
        prune()
    told = (
        wrong_of(query["sql"], read=BATCH * 10)
        for query in asked
        if "SELECT" in query["sql"] and " FOR UPDATE" in query["sql"]
    )
    assert list(chain.from_iterable(told)) == []
    assert Scan.objects.count() < scans
    assert Anomaly.objects.count() < anomalies


@pytest.mark.usefixtures("visitor")
def test_without_its_index_a_page_is_wrong_so_these_tests_can_fail(client: Client) -> None:
    assert wrong(page(client, RESOLVED_OF_BOB)) == []
    for index, asked in {
        "anomaly_kind": "state=returned",
        "anomaly_kind_resolved": "state=resolved",
        "anomaly_assigned": "assignee=me",
        "anomaly_assigned_resolved": RESOLVED_OF_BOB,
        "anomaly_file_name": "q=clip 123",
        "anomaly_news_of_scan": "scan=1&state=all",
        "anomaly_acknowledged": "",
        "scancheck_answered": "news=1",
    }.items():
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(f"DROP INDEX {index}")
            assert wrong(page(client, asked if asked.startswith("/") else f"{LIST}?{asked}")) != [], index
            transaction.set_rollback(True)
