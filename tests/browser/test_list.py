"""The list of anomalies in Chromium: no column is cut, and the queue of reviews takes few clicks."""

from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import call_command

from consistency.history.suppression import acknowledge, mute
from consistency.models import File
from consistency.models.history import Anomaly
from tests.browser.measures import CLIPPED, SIDEWAYS
from tests.browser.test_review import picture
from tests.consistency.data import a_file
from tests.consistency.history.data import in_days

pytestmark = pytest.mark.needs("chromium")

LIST = "/admin/consistency/anomaly/"
LONG_NAMES = (
    "2026-05-01_interview_with_the_minister_00660_final_version.mp4",
    "archive/2026/05/01/" + "a_very_long_folder_name/" * 4 + "news.mp4",
    "W" * 60,
)
SPLIT_WORDS = """() => { const split = [], range = document.createRange();
    for (const name of document.querySelectorAll("#result_list .field-target a")) {
        const walker = document.createTreeWalker(name, NodeFilter.SHOW_TEXT);
        for (let node; node = walker.nextNode();) { let at = 0;
            for (const part of node.textContent.split(/(?<=[-_./])/)) {
                range.setStart(node, at); range.setEnd(node, at += part.length);
                const lines = new Set([...range.getClientRects()].map(it => Math.round(it.top)));
                if (lines.size > 1 && part.length < 16) split.push(part); } } }
    return split; }"""
"""Names that break inside a short part between separators."""


@pytest.fixture
def long_texts(transactional_db: None) -> None:
    """Record anomalies with long names, badges, times and numbers."""
    for number, name in enumerate(LONG_NAMES):
        File.objects.create(file_uuid=f"f{number}", file_name=name, status="processing")
    call_command("check_consistency", "--quiet", "--fail-level", "never")
    mute("orphaned_processing", until=in_days(364), by="root", reason="known")
    stale = Anomaly.objects.filter(check_name="stale_processing")
    acknowledge(stale.values_list("pk", flat=True)[:1], until=in_days(29), by="root", reason="known")
    stale.update(
        first_seen=in_days(-330),
        appeared_at=in_days(-320),
        times_seen_before=1_234_567,
        assignee="maximiliane.mustermann",
    )


@pytest.mark.parametrize("font", ["Roboto", "DejaVu Sans"])
@pytest.mark.parametrize("sidebar", [True, False], ids=["sidebar", "no_sidebar"])
@pytest.mark.parametrize("width", [360, 768, 1024, 1180, 1440])
@pytest.mark.usefixtures("long_texts")
def test_no_column_is_cut(open_page: Callable[..., Any], width: int, sidebar: bool, font: str) -> None:
    page = open_page("/admin/", viewport={"width": width, "height": 900})
    page.evaluate(f"localStorage.setItem('django.admin.navSidebarIsOpen', '{str(sidebar).lower()}')")
    page.goto(f"{LIST}?state=open")
    page.add_style_tag(content=f"body, body * {{ font-family: '{font}', sans-serif !important; }}")
    picture(page, f"list-{width}-{sidebar}-{font[:6]}")
    assert page.locator(".field-rule").count() == len(LONG_NAMES)
    assert page.locator(".badge.other").count() == len(LONG_NAMES)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(CLIPPED) == []
    assert page.evaluate(SIDEWAYS) == []
    assert page.evaluate(SPLIT_WORDS) == []
    for head in ("Object", "Severity, state", "First seen", "Last new"):
        assert page.get_by_role("link", name=head, exact=True).is_visible()


@pytest.mark.usefixtures("long_texts")
def test_a_shortened_name_shows_the_whole_on_hover(open_page: Callable[..., Any]) -> None:
    page = open_page(f"{LIST}?state=open")
    link = page.locator(".field-target span[title]")
    assert link.get_attribute("title") == LONG_NAMES[1]
    assert link.inner_text().startswith("archive/2026/05/01/a_very")
    assert link.inner_text().endswith("folder_name/news.mp4")


def test_marked_rows_leave_the_queue(open_page: Callable[..., Any]) -> None:
    for name in "abc":
        a_file(name, "processing")
    call_command("check_consistency", "--quiet", "--fail-level", "never")
    page = open_page(LIST)
    page.get_by_role("link", name="Needs review", exact=True).click()
    page.wait_for_url("**review=needed")
    rows = page.locator("#result_list tbody tr")
    assert rows.count() == 3
    rows.nth(0).get_by_role("checkbox").check()
    rows.nth(1).get_by_role("checkbox").check()
    page.get_by_label("Action:").select_option("mark_reviewed")
    page.get_by_role("button", name="Go").click()
    page.get_by_text("Marked as reviewed: 4 anomalies.").wait_for()
    assert rows.count() == 1
    assert rows.locator(".badge.review").inner_text() == "needs review"


def test_heads_of_columns_sort(open_page: Callable[..., Any]) -> None:
    for name in "cab":
        a_file(name, "processing")
    call_command("check_consistency", "stale_processing", "--quiet", "--fail-level", "never")
    page = open_page(LIST)
    page.get_by_role("link", name="Object", exact=True).click()
    page.wait_for_url("**o=1*")
    names = page.locator("#result_list .field-target")
    assert names.all_inner_texts() == ["a.mp4", "b.mp4", "c.mp4"]
    page.get_by_role("link", name="Object", exact=True).click()
    page.wait_for_url("**o=-1*")
    assert names.all_inner_texts() == ["c.mp4", "b.mp4", "a.mp4"]
