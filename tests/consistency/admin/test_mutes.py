"""Mutes in the admin: made and ended with a reason, by two at one moment, and for users who may not see them."""

import re
from collections.abc import Callable
from datetime import timedelta
from threading import Thread
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.test import Client
from django.utils import timezone

from consistency.admin import mutes
from consistency.history.suppression import mute, unmute
from consistency.models import File
from consistency.models.history import Mute
from tests.consistency.admin.pages import SEE, get, page_of, post, stale
from tests.consistency.history.data import REST, STALE, anomaly, in_days, recorded

pytestmark = pytest.mark.usefixtures("transactional_db")

NEW = "/admin/consistency/mute/new/"
SENT: dict[str, Any] = {"check_name": STALE, "length": "7d", "reason": "the importer", "database": "default"}


def held(check: str = STALE) -> Mute:
    return mute(check, until=in_days(1), by="bob", reason="bob's secret", sticky=True)


def test_a_check_is_muted_for_a_week_and_unmuted_each_with_a_reason(client: Client, reviewer: User) -> None:
    stale("a")
    recorded(STALE)
    post(client, NEW, status=400, check_name=STALE, length="7d", reason="", database="default")
    post(client, NEW, check_name=STALE, length="7d", reason="the importer lands Monday", database="default")
    made = Mute.objects.get()
    assert (made.by, made.reason, made.mark, made.sticky) == ("ann", "the importer lands Monday", 1, False)
    assert "the importer lands Monday" in get(client, "/admin/consistency/")
    assert STALE in get(client, "/admin/consistency/mute/?running=1").partition('id="result_list"')[2]
    end = f"/admin/consistency/mute/{made.pk}/end/"
    post(client, end, status=400, reason="")
    post(client, end, reason="it landed")
    made.refresh_from_db()
    assert (made.ended_because, made.ended_by, made.ended_reason) == ("unmuted", "ann", "it landed")
    text = get(client, f"/admin/consistency/mute/{made.pk}/change/")
    assert all(words in text for words in ("the importer lands Monday", "unmuted", "it landed"))
    get(client, end, status=404)


def test_a_clean_check_is_not_muted_unless_sticky(client: Client, reviewer: User) -> None:
    recorded(STALE)
    sent: dict[str, Any] = {"check_name": STALE, "length": "1d", "reason": "ahead of the move", "database": "default"}
    assert "nothing to mute" in post(client, NEW, status=400, **sent).content.decode()
    post(client, NEW, **sent, sticky="on")
    assert Mute.objects.get().sticky


def test_a_user_who_may_not_mute_cannot(client: Client, person: Callable[..., User]) -> None:
    person(*SEE, "acknowledge_anomaly", "scan_now")
    post(client, NEW, status=403, check_name=STALE, length="1d", reason="x")
    assert not Mute.objects.exists()


def test_of_two_who_mute_at_one_moment_one_is_told_and_keeps_what_they_typed(
    client: Client, reviewer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    held()
    # As if bob's had come between the end of the last one and ann's.
    monkeypatch.setattr("consistency.history.suppression._end_mute", lambda *_, **__: False)
    text = post(client, NEW, status=409, **SENT).content.decode()
    assert "Another person muted the check at the same time" in text
    assert 'value="the importer"' in text
    assert Mute.objects.get().by == "bob"


def test_a_mute_is_ended_once_however_often_it_is_asked(
    client: Client, reviewer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = held()

    def ended_by_another(check: str, **more: Any) -> bool:
        def end() -> None:
            unmute(STALE)
            connections.close_all()

        other = Thread(target=end)
        other.start()
        other.join()
        return unmute(check, **more)

    monkeypatch.setattr(mutes, "unmute", ended_by_another)
    post(client, f"/admin/consistency/mute/{one.pk}/end/", reason="it landed")
    assert f"This mute of {STALE} had ended already" in get(client, "/admin/consistency/")
    assert Mute.objects.get().ended_by == ""


def test_a_mute_that_has_taken_its_place_meanwhile_is_left_alone(
    client: Client, reviewer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = held()

    def once_replaced(check: str, **more: Any) -> bool:
        held()
        return unmute(check, **more)

    monkeypatch.setattr(mutes, "unmute", once_replaced)
    post(client, f"/admin/consistency/mute/{one.pk}/end/", reason="it landed")
    assert Mute.objects.get(ended_at=None).pk != one.pk


def test_a_mute_past_its_time_is_not_told_as_ended_by_who_comes_late(client: Client, reviewer: User) -> None:
    one = held()
    Mute.objects.update(until=timezone.now())
    post(client, f"/admin/consistency/mute/{one.pk}/end/", reason="it landed")
    one.refresh_from_db()
    assert (one.ended_because, one.ended_by, one.ended_reason) == ("time", "", "")


def test_a_database_that_does_not_exist_is_not_muted(client: Client, reviewer: User) -> None:
    text = post(client, NEW, status=400, **SENT | {"database": "nope"}, sticky="on").content.decode()
    assert "unknown database &#x27;nope&#x27;. Allowed: default." in text
    assert not Mute.objects.exists()


def test_who_may_mute_but_not_see_mutes_learns_nothing_of_one(client: Client, person: Callable[..., User]) -> None:
    path = f"/admin/consistency/mute/{held(REST).pk}/end/"
    person("mute_check")
    get(client, path, status=403)
    post(client, path, status=403, reason="x")
    assert Mute.objects.filter(ended_at=None).exists()
    post(client, NEW, **SENT)
    person(*SEE, "mute_check", name="eve")
    assert "bob&#x27;s secret" in get(client, path)


# --- What was found when the form was shown --------------------------------------------------------------
def found_on(text: str) -> list[str]:
    """What the form carries."""
    return re.findall(r'name="found" value="([^"]+)"', text)


def test_the_form_shows_how_many_there_are_and_the_answer_how_many_more_end_the_mute(
    client: Client, reviewer: User
) -> None:
    stale("a", "b")
    recorded(STALE)
    text = get(client, f"{NEW}?check_name={STALE}")
    assert f'<option value="{STALE}" selected>{STALE} (2 found)</option>' in text
    assert f'<option value="{REST}">{REST} (never ran)</option>' in text
    post(client, NEW, **SENT, found=found_on(text))
    until = f"{Mute.objects.get().until:%Y-%m-%d %H:%M} UTC"
    words = f"Muted {STALE} until {until}, or until the check is clean or the count exceeds 2."
    assert words in get(client, "/admin/consistency/")
    post(client, NEW, **SENT, found=found_on(text), sticky="on")
    assert f"Muted {STALE} until {until}, for any number of findings." in get(client, "/admin/consistency/")


def test_what_came_after_the_form_was_shown_is_not_muted_unseen(client: Client, reviewer: User) -> None:
    stale("a")
    recorded(STALE)
    shown = found_on(get(client, NEW))
    stale("b", "c")
    recorded(STALE)
    text = post(client, NEW, status=409, **SENT, found=shown).content.decode()
    assert f"Nothing was muted: the form showed {STALE} with 1 found, and a scan since then found 3." in text
    assert f"{STALE} (3 found)" in text
    assert 'value="the importer"' in text
    assert not Mute.objects.exists()
    post(client, NEW, **SENT, found=found_on(text))
    assert Mute.objects.get().mark == 3


def test_a_mute_that_stood_stays_where_more_came_than_the_form_of_the_next_one_showed(
    client: Client, reviewer: User
) -> None:
    one = held()
    shown = found_on(get(client, NEW))
    stale("a")
    recorded(STALE)
    text = post(client, NEW, status=409, **SENT, found=shown).content.decode()
    assert f"the form showed {STALE} without a run, and a scan since then found 1." in text
    assert Mute.objects.get(ended_at=None) == one


def test_fewer_than_the_form_showed_or_any_number_of_a_sticky_one_are_muted(client: Client, reviewer: User) -> None:
    stale("a", "b")
    recorded(STALE)
    shown = found_on(get(client, NEW))
    File.objects.filter(file_uuid="b").delete()
    recorded(STALE)
    post(client, NEW, **SENT, found=shown)
    assert Mute.objects.get().mark == 1
    stale("c", "d", "e")
    recorded(STALE)
    post(client, NEW, **SENT, found=shown, sticky="on")
    assert Mute.objects.get(ended_at=None).sticky


def test_a_number_that_no_form_showed_is_none(client: Client, reviewer: User) -> None:
    stale("a")
    recorded(STALE)
    for forged in (f"{STALE}.-1", f"{STALE}.{'9' * 5000}", STALE, "."):
        post(client, NEW, status=409, **SENT, found=forged)
    assert not Mute.objects.exists()


# --- A mute whose time is over ---------------------------------------------------------------------------
@pytest.mark.parametrize("noted", [False, True])
def test_a_mute_past_its_time_is_over_by_its_time_whether_a_scan_has_noted_it_or_not(
    client: Client, reviewer: User, noted: bool
) -> None:
    one = held()
    until = timezone.now() - timedelta(hours=3)
    Mute.objects.update(until=until, **({"ended_at": timezone.now(), "ended_because": "time"} if noted else {}))
    text = get(client, f"/admin/consistency/mute/{one.pk}/change/")
    assert re.search(rf"Ended at:</label>\s*<div class=\"readonly\">{until:%Y-%m-%d %H:%M} UTC</div>", text)
    assert re.search(r'Ended because:</label>\s*<div class="readonly">time</div>', text)
    assert "Unmute" not in text
    assert f"{until:%Y-%m-%d %H:%M} UTC" in get(client, "/admin/consistency/mute/")


def test_of_a_mute_that_holds_no_end_is_told(client: Client, reviewer: User) -> None:
    text = get(client, f"/admin/consistency/mute/{held().pk}/change/")
    assert re.search(r'Ended at:</label>\s*<div class="readonly">-</div>', text)
    assert re.search(r'Ended because:</label>\s*<div class="readonly">-</div>', text)
    assert "Unmute" in text


def test_what_is_over_is_not_offered_to_be_ended(client: Client, reviewer: User) -> None:
    one = held()
    Mute.objects.update(until=timezone.now())
    get(client, f"/admin/consistency/mute/{one.pk}/end/", status=302)
    assert f"This mute of {STALE} had ended already" in get(client, "/admin/consistency/")


def test_times_are_told_in_one_form_on_every_page(client: Client, person: Callable[..., User]) -> None:
    stale("a")
    recorded(STALE)
    one, moment = held(), timezone.now()
    person(*SEE, "mute_check", "view_file")
    post(client, NEW, **SENT, sticky="on")
    for path in (f"mute/{one.pk}/change/", "file/", "file/a/change/", f"mute/{Mute.objects.latest('pk').pk}/change/"):
        text = get(client, f"/admin/consistency/{path}")
        assert re.search(rf"{moment:%Y-%m-%d} \d\d:\d\d UTC", text)
        assert not re.search(r"[ap]\.m\.|noon|midnight", text)


# --- For who may act but not see -------------------------------------------------------------------------
def test_the_landing_page_offers_what_the_overview_would(client: Client, person: Callable[..., User]) -> None:
    scan, new = "/admin/consistency/scan/now/", f'href="{NEW}"'
    person("mute_check")
    text = get(client, "/admin/")
    assert (new in text, scan in text, "Consistency at a glance" in text) == (True, False, False)
    form = get(client, NEW)
    # Nothing leads where they may not go.
    assert "/admin/consistency/" not in form.partition('class="breadcrumbs"')[2].partition("</div>")[0]
    person("scan_now", name="eve")
    text = get(client, "/admin/")
    assert (new in text, scan in text, "Consistency at a glance" in text) == (False, True, False)
    person(*SEE, "scan_now", "mute_check", name="bob")
    text = get(client, "/admin/")
    assert (new in text, scan in text, "Consistency at a glance" in text) == (False, False, True)


def test_who_may_not_see_mutes_is_not_led_to_end_one(client: Client, person: Callable[..., User]) -> None:
    stale("a")
    recorded(STALE)
    end = f"/admin/consistency/mute/{held().pk}/end/"
    pages = (page_of(anomaly("a")), "/admin/consistency/")
    person("view_anomaly", "view_scan", "mute_check")
    assert not [path for path in pages if end in get(client, path)]
    person(*SEE, "mute_check", name="eve")
    assert [path for path in pages if end in get(client, path)] == list(pages)
