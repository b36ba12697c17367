"""The page of one anomaly in a real Chromium: on a phone, with the clipboard, and without JavaScript."""

from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import call_command

from consistency.models import File
from consistency.models.history import Anomaly
from tests.browser.test_review import picture
from tests.consistency.data import a_file, a_job

pytestmark = pytest.mark.needs("chromium")

PHONE = {"width": 360, "height": 740}
NAME = "2026-05-01_news_00463"


def an_anomaly() -> str:
    """Record an anomaly of a file with a long path; return the address of its page."""
    a_job(7, "failed", of=NAME)
    a_file(NAME, "processing", job=7)
    File.objects.update(file_path=f"/srv/media/archive/2026/05/01/{NAME}.mp4")
    call_command("check_consistency", "orphaned_processing", "--quiet", "--fail-level", "never")
    return f"/admin/consistency/anomaly/{Anomaly.objects.get().pk}/change/"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_phone_shows_the_title_and_the_way_to_acknowledge_without_scrolling(
    open_page: Callable[..., Any], theme: str
) -> None:
    page = open_page(an_anomaly(), viewport=PHONE, color_scheme=theme)
    assert page.locator("h1.target").inner_text() == f"Orphaned processing: {NAME}.mp4"
    button = page.get_by_role("link", name="Acknowledge")
    box = button.bounding_box()
    assert box["y"] + box["height"] <= PHONE["height"]
    picture(page, f"phone-{theme}")
    button.click()
    submit = page.get_by_role("button", name="Acknowledge")
    page.get_by_label("Later").check()
    page.get_by_label("Reason").first.fill("on Monday")
    submit.click()
    page.get_by_text("Acknowledged: 1 anomaly.").wait_for()


def test_a_button_copies_the_sql(open_page: Callable[..., Any]) -> None:
    page = open_page(an_anomaly(), permissions=["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy").click()
    page.get_by_role("button", name="Copied").wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == page.locator("pre").inner_text()
    assert copied.startswith('SELECT "files"."file_uuid",\n')


def test_without_javascript_no_button_promises_a_copy(open_page: Callable[..., Any]) -> None:
    page = open_page(an_anomaly(), java_script_enabled=False)
    assert page.locator("pre").is_visible()
    assert not page.locator("button.copy").is_visible()
