"""Text from anybody, such as the name of an upload, made to show all that it holds."""

from typing import Final
from unicodedata import category

STACK: Final = 4
"""Marks that a letter of any living script may need at once; a pile of them would cover the lines around it."""
BLANK: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Printable by the book, but nothing is seen of them."""


def printable(value: str) -> str:
    """The text with every character that a terminal or a page would obey, or that would hide others, as an escape."""
    if value.isascii() and value.isprintable():
        return value
    told, marks = [], 0
    for char in value:
        marks = marks + 1 if category(char).startswith("M") else 0
        plain = char.isprintable() and char not in BLANK and marks <= STACK
        told.append(char if plain else char.encode("unicode_escape").decode())
    return "".join(told)


def printable_lines(value: str) -> str:
    """The same of a text that may have several lines."""
    return "\n".join(map(printable, value.splitlines()))
