"""Text from the command line and from REST queries becomes numbers, durations and times."""

from argparse import ArgumentParser
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from common.arguments import (
    MAX_DURATION,
    InvalidInputError,
    parse_count,
    parse_duration,
    parse_pause,
    parse_seconds,
    parse_time,
)


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (parse_count, "0", 0),
        (parse_count, "9" * 18, 10**18 - 1),
        (parse_seconds, "0.5", 0.5),
        (parse_seconds, "86400", 86_400.0),
        (parse_duration, "90m", timedelta(minutes=90)),
        (parse_duration, "2w", timedelta(days=14)),
        (parse_duration, "99999999w", MAX_DURATION),
        (parse_pause, "0s", 0.0),
        (parse_pause, "2m", 120.0),
        (parse_time, "2026-05-18T19:30:00+02:00", datetime(2026, 5, 18, 17, 30, tzinfo=UTC)),
    ],
)
def test_valid_text_is_converted(parse: Callable[[str], Any], text: str, value: object) -> None:
    assert parse(text) == value


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        *((parse_count, text) for text in ("", "-1", "1.5", "\u0663", "9" * 19)),
        *((parse_seconds, text) for text in ("", "0", "-1", "nan", "inf", "86401")),
        *((parse_duration, text) for text in ("", "7", "d", "0d", "1y", "-1d", "\u0663d", "9" * 9 + "d")),
        *((parse_pause, text) for text in ("61m", "2h", "30", "0m")),
        *((parse_time, text) for text in ("", "soon", "2026-05-18T17:30:00", "2026-13-01T00:00:00Z")),
        (parse_time, "0001-01-01T00:00:00+23:59"),
    ],
)
def test_invalid_text_is_named_in_the_error(parse: Callable[[str], Any], text: str) -> None:
    with pytest.raises(InvalidInputError) as error:
        parse(text)
    assert str(error.value).startswith(repr(text))


def test_argparse_prints_the_message(capsys: pytest.CaptureFixture[str]) -> None:
    parser = ArgumentParser()
    parser.add_argument("--limit", type=parse_count)
    with pytest.raises(SystemExit):
        parser.parse_args(["--limit", "many"])
    assert "argument --limit: 'many' is not a whole number, 0 or more" in capsys.readouterr().err
