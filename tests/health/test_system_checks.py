"""System checks of contradictory settings and of impossible requirements of probes."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.checks import run_checks
from pytest_django import Settings

from health.registry import PROBES, probe

SANE = {
    "SFTPGO_URL": "",
    "SFTPGO_API_KEY": "",
    "SFTPGO_USER": "",
    "SFTPGO_PASSWORD": "",
    "TMDB_ENABLED": False,
    "TMDB_API_KEY": "",
    "QDRANT_COLLECTIONS": ["faces"],
}


def found(settings: Settings, **changed: Any) -> set[str | None]:
    """Return the ids of the messages for these settings."""
    for name, value in (SANE | changed).items():
        setattr(settings, name, value)
    messages = [message for message in run_checks() if message.id and message.id.startswith("health.")]
    assert all(message.hint for message in messages)
    return {message.id for message in messages}


@pytest.mark.parametrize(
    ("changed", "ids"),
    [
        ({"SFTPGO_URL": "http://x", "SFTPGO_USER": "admin"}, {"health.W001"}),
        ({"SFTPGO_URL": "http://x", "SFTPGO_API_KEY": "k", "SFTPGO_PASSWORD": "p"}, {"health.W001"}),
        ({"SFTPGO_URL": "http://x"}, {"health.W002"}),
        ({"SFTPGO_API_KEY": "k"}, {"health.W003"}),
        ({"TMDB_ENABLED": True}, {"health.W004"}),
        ({"QDRANT_COLLECTIONS": []}, {"health.I001"}),
    ],
)
def test_it_warns_of(settings: Settings, changed: dict[str, Any], ids: set[str]) -> None:
    assert found(settings, **changed) == ids


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"SFTPGO_URL": "http://x", "SFTPGO_API_KEY": "k"},
        {"SFTPGO_URL": "http://x", "SFTPGO_USER": "admin", "SFTPGO_PASSWORD": "p"},
        {"TMDB_ENABLED": True, "TMDB_API_KEY": "k"},
        {"TMDB_API_KEY": "k"},
    ],
)
def test_it_leaves_alone(settings: Settings, changed: dict[str, Any]) -> None:
    assert found(settings, **changed) == set()


@pytest.fixture
def dependent(request: pytest.FixtureRequest) -> Iterator[None]:
    @probe("dependent", ttl=1.0, requires=(request.param,))
    def dependent() -> None:
        """It depends."""

    yield
    del PROBES["dependent"]


@pytest.mark.parametrize("dependent", ["nothing", "dependent", "schema"], indirect=True)
def test_a_dependency_that_cannot_be_met_is_an_error(settings: Settings, dependent: None) -> None:
    assert found(settings) == {"health.E001"}


@pytest.mark.parametrize("dependent", ["postgres", "redis"], indirect=True)
def test_a_dependency_that_needs_none_is_fine(settings: Settings, dependent: None) -> None:
    assert found(settings) == set()
