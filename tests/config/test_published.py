"""A running demo publishes its environment for other commands."""

import json
from pathlib import Path

import psutil
import pytest

from config.demo import published
from config.environment import published_demo


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
