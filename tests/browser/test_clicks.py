"""Each task of every morning takes few clicks from the landing page of the admin."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import call_command

from consistency.models.history import Anomaly, Mute
from tests.browser.test_review import some_stale
from tests.consistency.data import a_file, delete_files

pytestmark = pytest.mark.needs("chromium")


class Reader:
    """A person on the landing page. `click` counts."""

    def __init__(self, page: Any) -> None:
        self.page, self.clicks = page, 0

    def click(self, target: Any) -> None:
        target.click()
        self.clicks += 1

    def link(self, name: "str | re.Pattern[str]", within: str = "main") -> None:
        self.click(self.page.locator(within).get_by_role("link", name=name).first)

    def rows(self) -> list[str]:
        self.page.wait_for_load_state()
        return list(self.page.locator("#result_list tbody tr").all_inner_texts())


@pytest.fixture
def reader(open_page: Callable[..., Any]) -> Reader:
    some_stale()
    a_file("gone", "processing")
    call_command("check_consistency", "--quiet", "--fail-level", "never")
    delete_files(file_uuid="gone")
    call_command("check_consistency", "--quiet", "--fail-level", "never")
    assert Anomaly.objects.filter(object_id="gone", resolved_at=None).count() == 0
    return Reader(open_page())


def test_what_needs_review(reader: Reader) -> None:
    reader.link(re.compile("Needs review"))
    reader.page.wait_for_url("**/anomaly/?review=needed")
    assert any("b.mp4" in row for row in reader.rows())
    assert reader.clicks <= 1


def test_acknowledge_one_file_for_a_day_with_a_reason(reader: Reader) -> None:
    reader.link(re.compile("Needs review"))
    reader.click(reader.page.locator("#result_list").get_by_role("link", name="b.mp4").first)
    reader.click(reader.page.get_by_label("Expected"))
    form = reader.page.locator("form.act", has=reader.page.get_by_role("button", name="Acknowledge", exact=True))
    form.get_by_label("Reason").fill("requeued")
    assert form.get_by_label("For").input_value() == "1d"
    reader.click(form.get_by_role("button", name="Acknowledge", exact=True))
    reader.page.get_by_text("Acknowledged by root").wait_for()
    assert Anomaly.objects.filter(object_id="b", acknowledged_reason="requeued").exists()
    assert reader.clicks <= 4


def test_mute_a_check_for_a_week(reader: Reader) -> None:
    reader.link("Consistency at a glance")
    reader.click(reader.page.locator("#check-stale_processing").get_by_role("link", name="Mute"))
    assert reader.page.get_by_label("For").input_value() == "7d"
    reader.page.get_by_label("Reason").fill("the importer lands on Monday")
    reader.click(reader.page.get_by_role("button", name="Mute a check"))
    reader.page.get_by_text(re.compile("Muted stale_processing until")).wait_for()
    assert Mute.objects.filter(check_name="stale_processing", ended_at=None).exists()
    assert reader.clicks <= 4


def test_what_the_fix_of_yesterday_resolved(reader: Reader) -> None:
    reader.link("Consistency at a glance")
    reader.link(re.compile("Resolved in the last 24 hours"))
    reader.page.wait_for_url("**resolved_since=24h")
    assert reader.rows()
    assert all("gone.mp4" in row and "by scan" in row for row in reader.rows())
    assert reader.clicks <= 2


def test_every_anomaly_of_a_file_by_a_part_of_its_name(reader: Reader) -> None:
    reader.link("Anomalies")
    reader.page.get_by_role("textbox", name="Search").fill("ONE.MP")
    reader.click(reader.page.get_by_role("button", name="Search"))
    reader.page.get_by_text("2 resolved").wait_for()
    assert all("gone.mp4" in row for row in reader.rows())
    assert reader.clicks <= 2


def test_why_the_platform_is_degraded(reader: Reader) -> None:
    first = reader.page.locator(".verdict").first.inner_text()
    assert "degraded" in first
    assert "stale_processing (" in first
    assert reader.clicks <= 1
