"""A patient browser: no test depends on a quiet machine."""

import pytest


@pytest.fixture(autouse=True)
def patient_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for scans that a page starts."""
    monkeypatch.setattr("consistency.admin.background.PAGE_TIMEOUT", 60.0)
