"""Check a word against a list of allowed words, and suggest the nearest word."""

from collections.abc import Collection
from difflib import get_close_matches

from common.arguments import InvalidInputError


class UnknownChoiceError(InvalidInputError):
    """A word is not in the list. The message names the nearest word and the whole list."""

    def __init__(self, kind: str, word: str, allowed: Collection[str]) -> None:
        near = [name for name in allowed if len(word) > 2 and word in name]
        near = near or get_close_matches(word, allowed, cutoff=0.5)
        guess = f" Did you mean {near[0]!r}?" if near else ""
        super().__init__(f"unknown {kind} {word!r}.{guess} Allowed: {', '.join(allowed)}.")


def validate_choice(kind: str, word: str, allowed: Collection[str]) -> str:
    """Return the word. Raises UnknownChoiceError if `allowed` does not contain it."""
    if word not in allowed:
        raise UnknownChoiceError(kind, word, allowed)
    return word
