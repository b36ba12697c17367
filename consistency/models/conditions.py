"""Conditions and expressions of the history that indexes and queries share."""

from django.db import models
from django.db.models import Func, Q, Value
from django.db.models.functions import Collate, Left

OPEN = Q(resolved_at__isnull=True)
NEEDS_REVIEW = OPEN & Q(reviewed_at__isnull=True)
PREFIX_LENGTH = 100
"""Characters of an identifier or a name that an index holds. A whole text may be longer than an index entry can be."""
CAUSE_LENGTH = 200
"""Characters of a cause."""


def prefix(field: str) -> Collate:
    """Return the first characters of a text in byte order, for an index that serves searches by prefix."""
    return Collate(Left(field, PREFIX_LENGTH), "C")


def cause(field: str) -> Left:
    """Return a text with `_` for each word with a digit: a number, a time or a uuid."""
    words = Value("[[:alnum:]_.:-]*[0-9][[:alnum:]_.:-]*")
    text = Func(field, words, Value("_"), Value("g"), function="regexp_replace", output_field=models.TextField())
    return Left(text, CAUSE_LENGTH)
