"""Make every character of a text visible. Names of uploads may hold control characters."""

import re
from typing import Final
from unicodedata import category

MAX_MARKS: Final = 4
"""Marks on a letter, enough for every living script. A pile of marks would cover the lines around."""
NUMBER: Final = re.compile(r"0x[0-9a-f]+|\d[\d.]*")
BLANK: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Printable characters that are invisible."""


def printable(value: str) -> str:
    """Return the text with control characters and invisible characters as escapes such as `\\x1b`."""
    if value.isascii() and value.isprintable():
        return value
    characters, marks = [], 0
    for char in value:
        marks = marks + 1 if category(char).startswith("M") else 0
        visible = char.isprintable() and char not in BLANK and marks <= MAX_MARKS
        characters.append(char if visible else char.encode("unicode_escape").decode())
    return "".join(characters)


def printable_lines(value: str) -> str:
    """Return `printable` of every line, joined by newlines."""
    return "\n".join(map(printable, value.splitlines()))


def without_numbers(value: str) -> str:
    """Return the text with `#` for each number: ports, seconds and addresses of objects differ between repeats."""
    return NUMBER.sub("#", value)
