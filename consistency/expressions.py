"""Text expressions for any column type of a media server: text, varchar, uuid, integer, enum."""

from django.db.models import BooleanField, Case, F, Func, TextField, Value, When
from django.db.models.expressions import Combinable
from django.db.models.functions import Cast, Coalesce, Concat, NullIf


def text(column: str | Combinable) -> Cast:
    """Cast a column to text. On text and varchar the cast is free and keeps indexes usable."""
    return Cast(F(column) if isinstance(column, str) else column, TextField())


def constant(value: str) -> Value:
    """Return a constant text."""
    return Value(value, output_field=TextField())


def sentence(*parts: str | Combinable) -> Concat:
    """Concatenate strings and expressions; null counts as an empty text."""
    return Concat(*(constant(part) if isinstance(part, str) else part for part in parts), output_field=TextField())


def shown_word(column: str) -> Coalesce:
    """Return the text of a column for a sentence, with `empty` for an empty text and `null` for null."""
    absent = Case(When(**{f"{column}__isnull": True}, then=constant("null")), default=constant("empty"))
    # Cast before the comparison: an enum column rejects unknown words.
    return Coalesce(NullIf(text(column), constant("")), absent, output_field=TextField())


class UtcTime(Func):
    """Format the timestamp of a column as `2026-05-18T17:30:00Z`, or as `infinity` or `-infinity`.

    The session zone is UTC, also for timestamps without zone.
    """

    template = """CASE WHEN isfinite(%(expressions)s)
        THEN to_char(%(expressions)s AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') ELSE %(expressions)s::text END"""
    output_field = TextField()


class HasUniqueIndex(Func):
    """Return True if an index rules out duplicates in `column` of `table`. PostgreSQL runs the subquery once.

    The index of a table does not cover tables that inherit from the table; the index of a partitioned table does.
    """

    template = """EXISTS (SELECT FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0]
        WHERE indrelid = to_regclass('%(table)s') AND attname = '%(column)s' AND indnkeyatts = 1
            AND indisunique AND indisvalid AND indpred IS NULL
            AND NOT EXISTS (SELECT FROM pg_inherits JOIN pg_class ON pg_class.oid = inhparent
                WHERE inhparent = indrelid AND relkind <> 'p'))"""
    output_field = BooleanField()
