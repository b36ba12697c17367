"""Expressions that hold on any column type a media server may have chosen: text, varchar, uuid, integer, enum."""

from django.db.models import Case, F, Func, TextField, Value, When
from django.db.models.expressions import Combinable
from django.db.models.functions import Cast, Coalesce, Concat, NullIf


def text(column: str | Combinable) -> Cast:
    """The column as text; costs nothing, and keeps its indexes usable, where it is text or varchar already."""
    return Cast(F(column) if isinstance(column, str) else column, TextField())


def say(words: str) -> Value:
    """These very words."""
    return Value(words, output_field=TextField())


def sentence(*parts: str | Combinable) -> Concat:
    """One text of several parts; plain strings stand for themselves, null for nothing."""
    return Concat(*(say(part) if isinstance(part, str) else part for part in parts), output_field=TextField())


def spoken(column: str) -> Coalesce:
    """How a sentence names a word in a column: the word itself, `empty`, or `null`."""
    nothing = Case(When(**{f"{column}__isnull": True}, then=say("null")), default=say("empty"))
    # As text before it meets '': an enum refuses to be compared with a word that it does not know.
    return Coalesce(NullIf(text(column), say("")), nothing, output_field=TextField())


class UtcTime(Func):
    """A timestamp as `2026-05-18T17:30:00Z`; one without zone is read in the session's zone, which is UTC."""

    template = """to_char(%(expressions)s AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')"""
    output_field = TextField()
