"""A running demo publishes its environment for other commands."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest

from config.demo import published
from config.environment import published_demo
from tests.config.test_settings import PRODUCTION, run

DEMO = PRODUCTION | {
    "SECRET_KEY": "of-the-demo",
    "DATABASE_URL": "postgres://demo:hidden@127.0.0.1:9/demo",
    "DEMO": "1",
}
NOTHING = dict.fromkeys(PRODUCTION)
SHOW = """
from django.conf import settings as s
print(s.SECRET_KEY, s.DATABASES["default"]["NAME"], s.DEMO, s.SESSION_COOKIE_SECURE, s.SECURE_HSTS_SECONDS)
"""


def variables() -> dict[str, str]:
    return published_demo().get("environment", {})  # type: ignore[no-any-return]


def test_it_publishes_and_withdraws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEMO_FILE", str(tmp_path / "below" / "demo.json"))
    assert variables() == {}
    published.publish({"SECRET_KEY": "x"})
    assert variables() == {"SECRET_KEY": "x"}
    published.withdraw()
    assert variables() == {}


def test_it_does_not_publish_over_a_living_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEMO_FILE", str(tmp_path / "demo.json"))
    parent = psutil.Process().parent() or psutil.Process(1)
    content = {"pid": parent.pid, "created": parent.create_time(), "environment": {"SECRET_KEY": "other"}}
    (tmp_path / "demo.json").write_text(json.dumps(content))
    published.publish({"SECRET_KEY": "mine"})
    published.withdraw()
    assert (variables(), published.owner()) == ({"SECRET_KEY": "other"}, parent.pid)
    (tmp_path / "demo.json").write_text(json.dumps(content | {"created": 1.0}))
    published.publish({"SECRET_KEY": "mine"})
    assert variables() == {"SECRET_KEY": "mine"}, "the other's process had ended"


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"pid": "x"}', '{"pid": 1, "created": 1.0, "environment": {"A": "b"}}'],
)
def test_it_takes_no_rubbish_for_a_demo(content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEMO_FILE", str(tmp_path / "demo.json"))
    (tmp_path / "demo.json").write_text(content)
    assert variables() == {}


# --- Other processes -------------------------------------------------------------------------------------
def beside_a_demo(changes: Mapping[str, str | None], folder: Path) -> "subprocess.CompletedProcess[str]":
    """Print settings of a process that starts while a demo runs. `changes` are those of `run`."""
    me = psutil.Process()
    file = folder / "demo.json"
    file.write_text(json.dumps({"pid": me.pid, "created": me.create_time(), "environment": DEMO}))
    return run(["-c", SHOW], {"DJANGO_SETTINGS_MODULE": "config.settings", "DEMO_FILE": str(file), **changes})


def test_an_empty_environment_uses_the_demo(tmp_path: Path) -> None:
    assert beside_a_demo(NOTHING, tmp_path).stdout == "of-the-demo demo True False 0\n"
    same = NOTHING | {"DATABASE_URL": DEMO["DATABASE_URL"]}
    assert beside_a_demo(same, tmp_path).stdout == "of-the-demo demo True False 0\n"


def test_a_complete_environment_uses_nothing_of_the_demo(tmp_path: Path) -> None:
    assert beside_a_demo({}, tmp_path).stdout == f"{PRODUCTION['SECRET_KEY']} continuity False True 31536000\n"


@pytest.mark.parametrize("name", ["SECRET_KEY", "DATABASE_URL"])
def test_a_mixture_is_an_error_that_names_both_sources(name: str, tmp_path: Path) -> None:
    ended = beside_a_demo(NOTHING | {name: PRODUCTION[name]}, tmp_path)
    assert f"SettingError: {name} is not the value of the demo that runs in this folder, and " in ended.stderr
    assert "hidden" not in ended.stderr


@pytest.mark.parametrize("name", PRODUCTION)
def test_an_empty_variable_is_no_reason_to_use_the_demo(name: str, tmp_path: Path) -> None:
    assert f"SettingError: {name} is not set. Expected: " in beside_a_demo({name: ""}, tmp_path).stderr
