"""Review as a person does it: a real Chromium on a real server, from the overview to the mute that cron respects."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.admin.utils import quote
from django.contrib.auth.models import User
from django.core.management import call_command
from django.urls import reverse

from consistency.history.suppression import assign, mute
from consistency.models.history import Anomaly, Mute, Scan
from tests.browser.measures import CLIPPED, CUT, LABEL, NAMELESS, PALE, SIDEWAYS, TWICE
from tests.consistency.data import a_file, a_job
from tests.consistency.history.data import in_days

pytestmark = pytest.mark.needs("chromium")

PICTURES = Path(os.environ.get("SCREENSHOTS", "var/screenshots"))


def picture(page: Any, name: str) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"{name}.png", full_page=True)


HOSTILE = "<script>alert(1)</script>\"' \u202egnp.\u05e9\u05dc\u05d5\u05dd " + 200 * "x"


def some_stale() -> None:
    for name in ("<img src=x onerror=alert(1)>", HOSTILE, "b", "c"):
        a_file(name, "processing")
    a_job(7, "failed", of="b")
    a_file("rest", "unregistered")


def test_a_reviewer_finds_what_is_new_acknowledges_it_mutes_a_check_and_cron_respects_both(
    open_page: Callable[..., Any],
) -> None:
    some_stale()
    page = open_page()
    page.get_by_role("link", name="Consistency at a glance").click()
    page.get_by_role("button", name="Scan now").click()
    page.get_by_text(re.compile(r"Scan \d+: \d+ new")).wait_for()
    picture(page, "overview")

    page.get_by_role("link", name="New or returned in the last scan").click()
    page.locator("#changelist-filter").get_by_role("link", name="stale_processing").click()
    page.locator("#result_list").get_by_role("link", name="b.mp4").click()
    page.get_by_text("The file still breaks the rule").wait_for()
    form = page.locator("form.act", has=page.get_by_role("button", name="Acknowledge"))
    form.get_by_label("Being repaired").check()
    form.get_by_label("Reason").fill("requeued")
    page.get_by_role("button", name="Acknowledge").click()
    page.get_by_text("Acknowledged by root").wait_for()
    picture(page, "anomaly")
    assert Anomaly.objects.get(check_name="stale_processing", object_id="b").acknowledged_reason == "requeued"

    page.locator(".breadcrumbs").get_by_role("link", name="Consistency", exact=True).click()
    assert page.locator(".banner .badge").first.inner_text() == "degraded"
    assert page.locator(".banner").get_by_role("link", name="stale_processing").is_visible()
    for name in ("stale_processing", "orphaned_processing"):
        page.locator(f"#check-{name}").get_by_role("link", name="Mute").click()
        page.get_by_label("Reason").fill("the importer lands on Monday")
        page.get_by_role("button", name="Mute a check").click()
        page.get_by_text(re.compile(rf"Muted {name} until .* UTC")).wait_for()
    assert page.locator(".banner .badge").first.inner_text() == "ok"
    picture(page, "muted")

    assert Mute.objects.filter(ended_at=None).count() == 2
    call_command("check_consistency", "--quiet")  # exits 1 if an unsuppressed finding is left
    assert Scan.objects.first().status == "ok"  # type: ignore[union-attr]


def test_all_that_match_are_acknowledged_at_once(open_page: Callable[..., Any]) -> None:
    for number in range(30):
        a_file(f"many{number:02}", "processing")
    call_command("check_consistency", "stale_processing", "--quiet", "--fail-level", "never")
    page = open_page("/admin/consistency/anomaly/")
    page.locator("#action-toggle").check()
    page.get_by_role("button", name="Select all that match the filters").click()
    page.get_by_label("Action:").select_option("acknowledge")
    page.get_by_role("button", name="Go").click()
    page.get_by_text("All that match the list's filters: 30 anomalies").wait_for()
    page.get_by_label("Expected").check()
    page.get_by_label("Reason").fill("known")
    page.get_by_role("button", name="Acknowledge").click()
    page.get_by_text("Acknowledged: 30 anomalies.").wait_for()
    assert Anomaly.objects.filter(acknowledged_by="root").count() == 30


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("script", [True, False], ids=["script", "no_script"])
def test_every_page_can_be_read_on_a_phone_in_both_themes_and_without_javascript(
    open_page: Callable[..., Any], person: User, theme: str, script: bool
) -> None:
    some_stale()
    call_command("check_consistency", "--quiet", "--fail-level", "never")
    phone = {"width": 390, "height": 844}
    page = open_page("/admin/consistency/", viewport=phone, color_scheme=theme, java_script_enabled=script)
    one, scan = Anomaly.objects.first(), Scan.objects.first()
    assert one
    assert scan
    made = mute("stale_processing", until=in_days(7), by="root", reason=HOSTILE)
    pages = {
        "landing": "/admin/",
        "overview": "/admin/consistency/",
        "anomalies": "/admin/consistency/anomaly/?state=open",
        "nothing": "/admin/consistency/anomaly/?q=zzz",
        "anomaly": f"/admin/consistency/anomaly/{one.pk}/change/",
        "act": f"/admin/consistency/anomaly/{one.pk}/act/acknowledge/",
        "scans": "/admin/consistency/scan/",
        "scan": f"/admin/consistency/scan/{scan.pk}/change/",
        "mutes": "/admin/consistency/mute/",
        "mute": "/admin/consistency/mute/new/",
        "unmute": f"/admin/consistency/mute/{made.pk}/end/",
        "past": f"/admin/consistency/mute/{made.pk}/change/",
        "events": "/admin/consistency/anomalyevent/",
        "file": reverse("admin:consistency_file_change", args=[quote(HOSTILE)]),
    }
    assign([one.pk], to=None, by="root", reason=HOSTILE)
    for name, path in pages.items():
        page.goto(path)
        assert page.locator("h1").first.inner_text()
        assert page.evaluate("document.documentElement.scrollWidth") <= phone["width"], name
        assert name == "scan" or page.evaluate(SIDEWAYS) == [], name
        assert page.evaluate(PALE) == [], name
        assert page.evaluate(TWICE) == [], name
        assert page.evaluate(CUT) == [], name
        assert name not in ("scans", "mutes", "events") or page.evaluate(NAMELESS) == [], name
        assert name != "past" or page.evaluate(f"[...document.querySelectorAll('.form-row')].filter({LABEL})") == []
        if name == "scan":
            wide = page.get_by_role("region", name="Checks")
            assert "scroll sideways" in wide.evaluate("it => getComputedStyle(it, '::before').content")
            wide.focus()
            assert wide.evaluate("it => it == document.activeElement && it.scrollWidth > it.clientWidth")
        if name == "anomaly":
            sizes = page.locator(".buttons [type=submit], .buttons .button").evaluate_all(
                "all => all.map(it => it.offsetHeight)"
            )
            assert len(sizes) == 4
            assert len(set(sizes)) == 1
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (ground == "rgb(255, 255, 255)") == (theme == "light")
        picture(page, f"{name}-{theme}-{'script' if script else 'no_script'}")


def test_no_list_scrolls_sideways_beside_the_sidebar_of_a_small_laptop(open_page: Callable[..., Any]) -> None:
    some_stale()
    call_command("check_consistency", "--quiet", "--fail-level", "never")
    page = open_page("/admin/consistency/anomaly/", viewport={"width": 1180, "height": 800})
    assert page.locator("#nav-sidebar").is_visible()
    mute("stale_processing", until=in_days(7), by="root", reason=HOSTILE)
    long_ago = {"first_seen": in_days(-3000), "appeared_at": in_days(-345), "times_seen_before": 1_234_567}
    Anomaly.objects.filter(check_name="orphaned_processing").update(returned_count=12, assignee=HOSTILE, **long_ago)
    for name in ("anomaly/?state=open", "scan/", "mute/", f"scan/{Scan.objects.latest('pk').pk}/change/"):
        page.goto(f"/admin/consistency/{name}")
        picture(page, f"laptop-{name.partition('/')[0]}")
        assert page.evaluate(SIDEWAYS) == [], name
        assert page.evaluate(CLIPPED) == [], name


def test_however_many_jobs_there_are_the_time_line_is_as_wide_as_its_axis(open_page: Callable[..., Any]) -> None:
    for number in range(60):
        a_job(number + 1, "failed", of="a", created_at=in_days(number - 60), finished_at=in_days(number - 59))
    a_file("a", "processing", job=2)
    call_command("check_consistency", "orphaned_processing", "--quiet", "--fail-level", "never")
    page = open_page(f"/admin/consistency/anomaly/{Anomaly.objects.get().pk}/change/")
    ends = page.locator("svg.line rect").evaluate_all("all => all.map(it => it.getBoundingClientRect())")
    axis = page.locator(".axis").bounding_box()
    assert len(ends) == 51
    assert min(end["left"] for end in ends) - axis["x"] < 0.02 * axis["width"]
    assert axis["x"] + axis["width"] - max(end["right"] for end in ends) < 0.02 * axis["width"]
    picture(page, "jobs")


def test_marks_that_a_font_piles_up_cover_nothing_of_the_rows_around_them(open_page: Callable[..., Any]) -> None:
    for name in "abc":
        a_file(name, "processing")
    call_command("check_consistency", "stale_processing", "--quiet", "--fail-level", "never")
    page = open_page("/admin/consistency/anomaly/")
    above, piled, below = page.locator("#result_list tbody tr").all()
    name = piled.get_by_role("link")
    name.evaluate("it => it.style.display = 'inline-block'")
    seen = [row.screenshot() for row in (above, below)]
    name.evaluate("it => it.style.transform = 'scaleY(9)'")
    assert [row.screenshot() for row in (above, below)] == seen


def test_everything_is_reached_by_keyboard_and_shows_where_it_is(open_page: Callable[..., Any]) -> None:
    some_stale()
    call_command("check_consistency", "--quiet", "--fail-level", "never")
    page = open_page("/admin/consistency/")
    seen: list[str] = []
    for _ in range(60):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.textContent.trim()"))
        if seen[-1] == "Scan now":
            break
    assert seen[-1] == "Scan now"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    page.get_by_text(re.compile(r"Scan \d+: ")).wait_for()
