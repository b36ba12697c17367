"""Categories of acknowledgements, on every surface: chosen, shown, filtered and counted."""

import csv
import io
import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from consistency.history.suppression import acknowledge
from consistency.models.history import Anomaly
from tests.consistency.admin.pages import LIST, get, page_of, post, shown, stale
from tests.consistency.api.data import Ask, told
from tests.consistency.history.data import STALE, anomaly, in_days, recorded
from tests.consistency.processes import within

pytestmark = pytest.mark.usefixtures("transactional_db", "nobody_left")


def acknowledged(name: str, category: str | None) -> None:
    acknowledge([anomaly(name).pk], until=in_days(2), by="ann", reason="known", category=category)


@pytest.fixture
def some() -> None:
    """Record five anomalies: three are acknowledged with a category, one without."""
    stale("a", "b", "c", "d", "e")
    recorded(STALE)
    for name, category in {"a": "expected", "b": "later", "c": "later", "d": None}.items():
        acknowledged(name, category)


def test_a_reviewer_chooses_a_category_and_the_history_names_it(client: Client, reviewer: User) -> None:
    stale("a")
    recorded(STALE)
    text = get(client, page_of(anomaly("a")))
    assert text.count('name="category"') == 4
    sent: dict[str, Any] = {"length": "1d", "reason": "with the importer", "category": "being_repaired"}
    post(client, f"{LIST}{anomaly('a').pk}/act/acknowledge/", **sent)
    assert anomaly("a").acknowledged_category == "being_repaired"
    text = get(client, page_of(anomaly("a")))
    assert text.count("UTC: with the importer (being repaired)") == 1
    assert "Acknowledged by ann until" in text
    assert "left: with the importer (being repaired)" in text


def test_rest_takes_and_shows_a_category(ask: Ask, read: Ask) -> None:
    stale("a")
    recorded(STALE)
    path = f"/anomalies/{anomaly('a').pk}/acknowledge"
    body: dict[str, Any] = {"for": "1d", "reason": "x"}
    assert ask(path, body).json()["acknowledged"]["category"] is None
    assert ask(path, body | {"category": "false_alarm"}).json()["acknowledged"]["category"] == "false_alarm"
    answer = ask(path, body | {"category": "false alarm"})
    assert (answer.status_code, "Did you mean 'false_alarm'?" in answer.json()["detail"]) == (400, True)
    assert read("/anomalies").json()["anomalies"][0]["acknowledged"]["category"] == "false_alarm"


@pytest.mark.parametrize(("category", "expected"), [("later", {"b", "c"}), ("later,expected", {"a", "b", "c"})])
def test_a_filter_selects_the_acknowledgements_in_force(
    read: Ask, some: None, category: str, expected: set[str]
) -> None:
    assert set(told(read(f"/anomalies?category={category}"))) == expected
    listed = json.loads(within("show_anomalies", "--category", category, "--format", "json")[1])
    assert {row["object_id"] for row in listed["anomalies"]} == expected
    Anomaly.objects.update(acknowledged_until=in_days(-1))
    assert told(read(f"/anomalies?category={category}")) == []


def test_the_list_of_acknowledged_anomalies_counts_and_filters_categories(
    client: Client, reviewer: User, some: None
) -> None:
    assert "Later (" not in get(client, LIST)
    text = get(client, f"{LIST}?state=acknowledged")
    for words in ("Expected (1)", "Being repaired (0)", "Later (2)"):
        assert words in text
    assert shown(get(client, f"{LIST}?state=acknowledged&category=later")) == {anomaly("b").pk, anomaly("c").pk}
    rows = csv.DictReader(io.StringIO(get(client, f"{LIST}export/csv/?state=acknowledged"), newline=""))
    assert {row["object_id"]: row["acknowledged_category"] for row in rows if row["object_id"]}["b"] == "later"
