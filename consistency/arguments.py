"""What the command line accepts, converted, or refused with words that help."""

from argparse import ArgumentTypeError
from collections.abc import Callable
from typing import Any


def argument(convert: Callable[[str], Any]) -> Callable[[str], Any]:
    """Let argparse show the text of what `convert` raises: it keeps that of a ValueError to itself."""

    def converted(text: str) -> Any:
        try:
            return convert(text)
        except ValueError as problem:
            raise ArgumentTypeError(str(problem)) from None

    return converted


def whole_number(text: str) -> int:
    """A number of rows."""
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"{text!r} is not a whole number, 0 or more")
    return int(text)


def seconds(text: str) -> float:
    """A length of time, up to a day."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 86_400:
        raise ValueError(f"{text!r} is not a number of seconds, more than 0 and at most 86400")
    return value
