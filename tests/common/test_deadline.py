"""The deadline, and the private parts of psycopg that the backend overrides."""

import contextvars
import inspect
from collections.abc import Generator
from typing import Any

import psycopg
import pytest

from common.postgres import driver
from common.postgres.deadline import deadline, remaining


def test_nested_deadlines_only_shrink() -> None:
    assert remaining() is None
    with deadline(50):
        with deadline(100):
            assert 0 < (remaining() or 0) <= 50
        with deadline(5):
            assert 0 < (remaining() or 0) <= 5
        assert 5 < (remaining() or 0) <= 50
    assert remaining() is None


def test_a_generator_may_be_closed_in_another_context_than_it_was_begun_in() -> None:
    def rows() -> Generator[None]:
        with deadline(1):
            yield

    stream = rows()
    contextvars.copy_context().run(next, stream)
    contextvars.copy_context().run(stream.close)


PRIVATE: dict[Any, list[str]] = {
    psycopg.Connection.wait: ["self", "gen", "interval", "timeout"],
    psycopg.Connection._connect_gen: ["conninfo"],
    psycopg.Connection._set_autocommit_gen: ["self", "value"],
    psycopg.Connection.cancel_safe: ["self", "timeout"],
}


@pytest.mark.parametrize("method", PRIVATE, ids=lambda method: method.__name__)
def test_psycopg_still_has_what_the_deadline_rests_on(method: Any) -> None:
    advice = (
        f"psycopg {psycopg.__version__} changed {method.__qualname__}, which common/postgres/connection.py overrides "
        "or calls. Read how psycopg/connection.py waits now, move the override there, then run this file: "
        "it stops a real server."
    )
    assert list(inspect.signature(method).parameters) == PRIVATE[method], advice
    assert issubclass(psycopg.errors._WaitTimeout, psycopg.OperationalError), advice


def test_django_sees_psycopg_with_one_change() -> None:
    names = [name for name in dir(psycopg) if not name.startswith("_")]
    changed = [name for name in names if getattr(driver, name) is not getattr(psycopg, name)]
    assert changed == ["Connection", "connect"]
