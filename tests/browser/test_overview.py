"""The overview in a real Chromium: bars and their list lead to scans, and links and switch boxes are recognizable."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import call_command

from consistency.models.history import Scan
from tests.consistency.data import a_file

pytestmark = pytest.mark.needs("chromium")

UNMARKED = """[...document.querySelectorAll("#content a[href]")]
    .filter(it => it.offsetParent && !it.closest("#changelist-filter")).filter(it => {
    const look = getComputedStyle(it);
    return look.textDecorationLine == "none" && !parseFloat(look.borderTopWidth)
        && ["rgba(0, 0, 0, 0)", "transparent"].includes(look.backgroundColor); }).map(it => it.textContent.trim())"""
"""Links that only their colour tells from text: without underline, border and ground. Filters are a list of links."""


@pytest.fixture
def scans(transactional_db: None) -> list[int]:
    """Record a clean scan, and a scan with a finding."""
    call_command("check_consistency", "--quiet")
    a_file("a", "processing")
    call_command("check_consistency", "--quiet", "--fail-level", "never")
    return list(Scan.objects.order_by("pk").values_list("pk", flat=True))


def test_the_whole_height_above_a_bar_leads_to_its_scan(open_page: Callable[..., Any], scans: list[int]) -> None:
    page = open_page("/admin/consistency/")
    clean = page.locator("#check-stale_processing svg a").first
    box = clean.bounding_box()
    assert box["height"] > 35
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + 3)
    page.wait_for_url(f"**/scan/{scans[0]}/change/")


def test_the_list_of_scans_in_a_card_is_reached_by_keyboard(open_page: Callable[..., Any], scans: list[int]) -> None:
    page = open_page("/admin/consistency/", viewport={"width": 360, "height": 800})
    page.locator("#check-stale_processing summary").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert re.fullmatch(r"\d{4}-.* UTC: 1 found", page.evaluate("document.activeElement.textContent"))
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/scan/{scans[1]}/change/")


def test_links_are_told_by_more_than_their_colour(open_page: Callable[..., Any], scans: list[int]) -> None:
    page = open_page("/admin/consistency/")
    for path in ("", f"scan/{scans[1]}/change/", "scan/", "mute/new/", "mute/"):
        page.goto(f"/admin/consistency/{path}")
        assert page.evaluate(UNMARKED) == [], path


def test_the_label_of_a_switch_box_stands_beside_it_and_switches_it(
    open_page: Callable[..., Any], scans: list[int]
) -> None:
    page = open_page("/admin/consistency/mute/new/")
    label = page.get_by_text("Sticky: keep the mute whatever the next scans find", exact=True)
    label.click()
    box = page.get_by_role("checkbox", name="Sticky")
    assert box.is_checked()
    above, beside = box.bounding_box(), label.bounding_box()
    assert abs(above["y"] + above["height"] / 2 - beside["y"] - beside["height"] / 2) < 6
    assert 0 < beside["x"] - above["x"] - above["width"] < 30
