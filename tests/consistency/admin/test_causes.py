"""The page that groups the anomalies of a check by cause."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils.html import escape
from django.utils.http import urlencode

from consistency.admin import causes
from consistency.history.suppression import acknowledge, mute
from consistency.models.history import Anomaly
from tests.consistency.admin.pages import HOSTILE, LIST, get, post, shown
from tests.consistency.data import a_file, a_job
from tests.consistency.history.data import anomaly, in_days, recorded

pytestmark = pytest.mark.usefixtures("transactional_db")

ORPHANED = "orphaned_processing"
PAGE = f"{LIST}causes/?check={ORPHANED}"
FAILED = f"{LIST}?{urlencode({'check': ORPHANED, 'cause': 'job _ is failed'})}"


@pytest.fixture
def orphans(reviewer: User) -> None:
    """Three files with a failed job, and a file whose job does not exist."""
    for number in (1, 2, 3):
        a_job(number, "failed")
        a_file(f"failed{number}", "processing", job=number)
    a_file("lost", "processing", job=99)
    recorded(ORPHANED)


def groups(text: str) -> list[tuple[str, str]]:
    """Return cause and count of each row."""
    return re.findall(r'<th scope="row"><a [^>]*>([^<]*)</a></th>\s*<td class="number">([^<]*)</td>', text)


def test_open_anomalies_are_grouped_largest_first(client: Client, orphans: None) -> None:
    assert groups(get(client, PAGE)) == [("job _ is failed", "3"), ("job _ does not exist", "1")]


def test_suppressed_and_resolved_anomalies_are_left_out(client: Client, orphans: None) -> None:
    acknowledge([anomaly("failed1", ORPHANED).pk], until=in_days(1), by="ann", reason="known")
    Anomaly.objects.filter(object_id="lost").update(resolved_at=in_days(0))
    assert groups(get(client, PAGE)) == [("job _ is failed", "2")]
    mute(ORPHANED, until=in_days(1), by="ann", reason="importer", sticky=True)
    assert f"{ORPHANED} has no open anomaly without suppression" in get(client, PAGE)


def test_a_group_leads_to_its_anomalies(client: Client, orphans: None) -> None:
    assert f'href="{escape(FAILED)}"' in get(client, PAGE)
    text = get(client, FAILED)
    assert len(shown(text)) == 3
    assert "job _ is failed" in text
    assert PAGE in get(client, f"{LIST}?check={ORPHANED}")
    assert "causes/" not in get(client, LIST)


def test_a_group_is_acknowledged_with_one_reason(client: Client, orphans: None) -> None:
    whole: dict[str, Any] = {"action": "acknowledge", "select_across": "1", "_selected_action": "0"}
    text = get(client, PAGE)
    assert text.count('value="Acknowledge"') == 2
    form = post(client, FAILED, status=200, **whole).content.decode()
    assert "All that match the list&#x27;s filters: 3 anomalies" in form
    post(client, FAILED, **whole, sent="1", length="1d", reason="importer", category="later")
    assert Anomaly.objects.filter(acknowledged_reason="importer").count() == 3
    assert groups(get(client, PAGE)) == [("job _ does not exist", "1")]


def test_only_the_largest_groups_are_listed(client: Client, orphans: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "largest groups" not in get(client, PAGE)
    monkeypatch.setattr(causes, "MAX_CAUSES", 1)
    text = get(client, PAGE)
    assert groups(text) == [("job _ is failed", "3")]
    assert "Only the 1 largest groups are listed" in text


def test_a_hostile_cause_is_escaped(client: Client, orphans: None) -> None:
    Anomaly.objects.filter(object_id="lost").update(detail=HOSTILE)
    text = get(client, PAGE)
    assert "<script>alert(1)" not in text
    assert "\x1b" not in text
    cause = Anomaly.objects.get(object_id="lost").cause
    assert len(shown(get(client, f"{LIST}?{urlencode({'cause': cause})}"))) == 1


def test_a_person_who_may_only_view_sees_no_button(client: Client, orphans: None, person: Callable[..., User]) -> None:
    client.force_login(person("view_anomaly", name="bob"))
    assert "Acknowledge" not in get(client, PAGE)


def test_an_unknown_check_or_person_is_refused(client: Client, orphans: None, person: Callable[..., User]) -> None:
    get(client, f"{LIST}causes/?check=nope", status=404)
    get(client, f"{LIST}causes/", status=404)
    client.force_login(person("view_scan", name="bob"))
    get(client, PAGE, status=403)
