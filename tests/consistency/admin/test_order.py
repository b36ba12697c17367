"""The order of the list, which its headers, the neighbours of an anomaly and the export follow."""

import re

import pytest
from django.contrib.auth.models import User
from django.test import Client

from consistency.history.paginator import rows_after
from consistency.history.suppression import acknowledge
from consistency.models import File, MonitorJob
from consistency.models.history import Anomaly
from tests.consistency.admin.pages import LIST, get, page_of, rows, stale
from tests.consistency.admin.test_export import exported
from tests.consistency.conftest import Define
from tests.consistency.data import a_file, a_job, delete_files
from tests.consistency.history.data import REST, STALE, anomaly, in_days, recorded

pytestmark = pytest.mark.usefixtures("transactional_db")
OBJECT, STATE, FIRST, LAST_NEW = 1, 3, 4, 5
"""Numbers of the columns in the parameter `o`."""
ORDERS = {
    "": ["back", "d", "b", "z", "a", "rest2", "rest1"],
    f"?o={STATE}": ["rest2", "rest1", "back", "d", "b", "z", "a"],
    f"?o=-{STATE}": ["back", "d", "b", "z", "a", "rest2", "rest1"],
    f"?o={OBJECT}": ["a", "b", "back", "d", "rest1", "rest2", "z"],
    f"?o=-{OBJECT}": ["z", "rest2", "rest1", "d", "back", "b", "a"],
    f"?o={FIRST}": ["back", "a", "z", "b", "d", "rest1", "rest2"],
    f"?o=-{FIRST}": ["rest2", "rest1", "d", "b", "z", "a", "back"],
    f"?o=-{LAST_NEW}": ["back", "rest2", "rest1", "d", "b", "z", "a"],
    f"?o={STATE}.-{OBJECT}": ["rest2", "rest1", "z", "d", "back", "b", "a"],
    "?state=all": ["back", "rest2", "rest1", "d", "b", "z", "a"],
}


@pytest.fixture
def some(reviewer: User) -> None:
    """Record anomalies: `back` is the oldest and returned last, the rest is of severity info."""
    stale("back")
    recorded(STALE)
    File.objects.update(status="completed")
    stale("a", "z")
    recorded(STALE)
    stale("b", "d")
    recorded(STALE)
    for name in ("rest1", "rest2"):
        a_file(name, "unregistered")
    recorded(REST)
    File.objects.filter(file_uuid="back").update(status="processing")
    recorded(STALE)


def listed(client: Client, query: str) -> list[str]:
    names = dict(Anomaly.objects.values_list("pk", "object_id"))
    return [names[key] for key in rows(get(client, f"{LIST}{query}"))]


@pytest.mark.usefixtures("some")
@pytest.mark.parametrize("query", ORDERS)
def test_the_list_the_export_and_the_neighbours_have_one_order(
    client: Client, query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consistency.admin.export.CHUNK_SIZE", 2)
    assert listed(client, query) == ORDERS[query]
    assert [row["object_id"] for row in exported(client, query)] == ORDERS[query]
    names, walked, back = dict(Anomaly.objects.values_list("pk", "object_id")), ORDERS[query][:1], [""]
    first = Anomaly.objects.get(object_id=walked[0])
    address = f"{page_of(first)}?_changelist_filters={query[1:].replace('=', '%3D')}"
    while (following := linked(get(client, address), "next")) and len(walked) < 9:
        walked.append(names[number_of(following)])
        address = following
        back.append(names[number_of(linked(get(client, address), "prev"))])
    assert walked == ORDERS[query]
    assert back == ["", *walked[:-1]]


def linked(text: str, relation: str) -> str:
    match = re.search(rf'rel="{relation}"[^>]*href="([^"]*)"', text)
    return match[1] if match else ""


def number_of(address: str) -> int:
    return int(address.removeprefix(LIST).partition("/")[0])


@pytest.mark.usefixtures("some")
def test_heads_of_columns_sort_and_show_the_order_of_the_list(client: Client) -> None:
    def sorted_by(query: str) -> list[str]:
        return re.findall(r'class="sortable column-(\w+) sorted', get(client, f"{LIST}{query}"))

    assert re.findall(r'class="sortable[^"]*column-(\w+)', get(client, LIST)) == [
        "target",
        "state",
        "first",
        "appeared",
    ]
    assert sorted_by("") == ["state", "appeared"]
    assert sorted_by("?state=all") == ["appeared"]
    assert sorted_by(f"?o={OBJECT}") == ["target"]


@pytest.mark.usefixtures("some")
def test_no_page_begins_with_information_while_a_warning_is_open(client: Client) -> None:
    for number in range(30):
        a_file(f"later{number}", "unregistered")
    recorded(REST)
    assert listed(client, "")[:5] == ["back", "d", "b", "z", "a"]
    assert listed(client, "?age=day")[:5] == ["back", "d", "b", "z", "a"]


@pytest.mark.usefixtures("some")
def test_an_anomaly_that_an_action_took_from_the_list_still_leads_to_the_next_one(client: Client) -> None:
    acknowledge([anomaly("d").pk], until=in_days(1), by="ann", reason="known")
    text = get(client, f"{page_of(anomaly('d'))}?_changelist_filters=review%3Dneeded")
    assert number_of(linked(text, "next")) == anomaly("b").pk
    assert number_of(linked(text, "prev")) == anomaly("back").pk


def test_rows_without_a_file_name_are_last_or_first_and_reached(reviewer: User, define: Define) -> None:
    define("jobs", lambda: MonitorJob.objects.all())
    for number in (1, 2, 3):
        a_job(number, "running", of="nothing")
    stale("a", "b")
    recorded("jobs", STALE)
    for order in (("file_name", "-id"), ("-file_name", "-id")):
        ordered = list(Anomaly.objects.order_by(*order))
        for position, row in enumerate(ordered):
            assert rows_after(row, Anomaly.objects.order_by(*order), 9) == ordered[position + 1 :]
            before = rows_after(row, Anomaly.objects.order_by(*order), 2, backwards=True)
            assert before == ordered[:position][::-1][:2]
    delete_files()
