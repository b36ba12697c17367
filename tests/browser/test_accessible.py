"""axe-core finds nothing serious on the main pages, in both themes."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command

from consistency.models.history import Anomaly, Scan
from tests.browser.test_review import some_stale

pytestmark = pytest.mark.needs("chromium")

AXE = Path(__file__).with_name("node_modules") / "axe-core" / "axe.min.js"
SERIOUS = """async () => (await axe.run(document, {resultTypes: ["violations"]})).violations
    .filter(rule => ["serious", "critical"].includes(rule.impact))
    .flatMap(rule => rule.nodes.map(node => `${rule.id} ${node.target.join(" ")}: ${node.failureSummary}`))"""


@pytest.fixture
def axe() -> str:
    """Return the source of axe-core, which `.ci/run` installs. Without axe-core skip the tests, and fail them in CI."""
    if not AXE.exists():
        end = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        end("not run: axe-core not installed (npm install --prefix tests/browser)")
    return AXE.read_text()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious(open_page: Callable[..., Any], person: User, axe: str, theme: str) -> None:
    some_stale()
    call_command("check_consistency", "--quiet", "--fail-level", "never")
    page = open_page("/admin/", color_scheme=theme)
    one, scan = Anomaly.objects.earliest("pk"), Scan.objects.latest("pk")
    for path in (
        "/",
        "/status",
        "/admin/",
        "/admin/health/",
        "/admin/consistency/",
        "/admin/consistency/anomaly/",
        f"/admin/consistency/anomaly/{one.pk}/change/",
        f"/admin/consistency/scan/{scan.pk}/change/",
    ):
        assert page.goto(path).status == 200, path
        page.evaluate(axe)
        assert page.evaluate(SERIOUS) == [], path
