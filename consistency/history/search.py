"""Search anomalies by any part of a name, uuid, detail, comment or assignee; trigram indexes serve the search."""

import re
from contextlib import suppress
from functools import reduce
from operator import or_
from typing import Any, Final
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, DatabaseError, OperationalError, connections, transaction
from django.db.models import Count, Model, Q, QuerySet, TextField, Value
from django.db.models.expressions import Expression, RawSQL
from django.db.models.functions import Concat, Upper
from django.db.models.sql import Query
from psycopg.errors import QueryCanceled

from common.postgres.parameters import milliseconds
from consistency.history import queries
from consistency.history.paginator import AtLeast
from consistency.models.conditions import OPEN, prefix
from consistency.models.history import Anomaly, AnomalyEvent, EventKind, Mute

TIMEOUT: Final = 2.0
MAX_KEYS: Final = 20_000
"""Matches that are read before the list sorts them. Of more matches the list reads rows in its order until a page is
full: that is quicker, unless the matches are few."""
SHORTEST: Final = 3
"""Characters of a trigram."""
TRIGRAM: Final = re.compile(f"[0-9A-Za-z]{{{SHORTEST}}}")
JOB: Final = re.compile(r"(job\s*#?\s*)?([0-9]+)", re.IGNORECASE)
INDEX, COMMENT_INDEX = "anomaly_search", "event_comment_search"
COMMENTED: Final = Q(kind=EventKind.COMMENTED) & ~Q(by="")
# PostgreSQL cannot estimate the rows of a part of a text, and may prefer to read the table. Without the index, "off"
# would make PostgreSQL read the table in the order of another index.
_SETTINGS: Final = """
SELECT set_config('statement_timeout', %s, true),
    set_config('enable_seqscan', CASE WHEN %s AND to_regclass(%s) IS NOT NULL THEN 'off' ELSE 'on' END, true)"""
NOT_FILE: Final = ~Q(object_type="file")
_LINE = Value("\n")
SEARCHED: Final = {
    # No term spans two columns. Uuids would double the time of a recording: other indexes find their beginnings.
    # The index holds this expression, so that another expression needs another name of the index.
    "text": Upper(Concat("file_name", _LINE, "detail", _LINE, "assignee", output_field=TextField())),
    "uuid": prefix("file_uuid"),
    "name": prefix("file_name"),
    "key": prefix("object_id"),
}


class SearchTimeoutError(OperationalError):
    """The search took too long. The message names the next step."""


def search(rows: "QuerySet[Anomaly]", term: str) -> "QuerySet[Anomaly]":
    """Return the rows that match a term, in any case. Raises SearchTimeoutError.

    Of a path the last component counts. `job 17` matches that job only. Of a uuid, and of a name shorter than a
    trigram, the beginning matches.
    """
    text = re.split(r"[/\\]", term.strip().rstrip("/\\"))[-1].strip()
    if not text or "\0" in text:
        return rows.none() if term.strip() else rows
    broadest, *conditions = _conditions(text)
    anomalies = Anomaly._base_manager.order_by().alias(**SEARCHED)
    found = anomalies.filter(broadest).values("pk")
    comments = AnomalyEvent.objects.order_by().filter(COMMENTED, text__icontains=term.strip()).values("anomaly")
    others = comments.union(*(anomalies.filter(condition).values("pk") for condition in conditions), all=True)
    keys = _keys(found.union(others, all=True), text)
    if len(keys) <= MAX_KEYS:
        return rows.filter(pk__in=RawSQL("SELECT unnest(%s::bigint[])", [keys]))
    return rows.alias(**SEARCHED).filter(broadest | Q(pk__in=others))


def count_states(rows: "QuerySet[Anomaly]", total: int, mutes: list[Mute]) -> str:
    """Return the number of rows by state for people, such as `3 open, 1 acknowledged, 2 resolved`.

    No rows, or an inexact total, return an empty text.
    """
    if not total or isinstance(total, AtLeast):
        return ""
    found = Anomaly._base_manager.order_by().filter(pk__in=rows.order_by().values("pk"))
    counts = found.aggregate(
        acknowledged=Count("pk", filter=queries.acknowledged()),
        muted=Count("pk", filter=queries.muted(mutes) & ~queries.acknowledged()),
        resolved=Count("pk", filter=~OPEN),
    )
    numbers = {"open": total - sum(counts.values())} | counts
    return ", ".join(f"{number:,} {state}" for state, number in numbers.items() if number)


def _conditions(text: str) -> list[Q]:
    """Return alternatives, the broadest first. An index serves each of them, but not their union."""
    job = JOB.fullmatch(text)
    of_job = [Q(text__regex=rf"\mJOB {job[2]}\M"), Q(key=job[2], object_type="job") & NOT_FILE] if job else []
    if job and job[1]:
        return of_job
    words = [text]
    if re.fullmatch("[0-9a-fA-F]{32}", uuid := re.sub("[{}-]", "", text)):
        words += [uuid, str(UUID(uuid))]
    spellings = sorted({spell(word) for word in words for spell in (str, str.lower, str.upper, str.capitalize)})

    def starts(column: str) -> Q:
        return reduce(or_, (Q((f"{column}__startswith", spelling)) for spelling in spellings))

    name = Q(text__contains=Upper(Value(text))) if len(text) >= SHORTEST else starts("name")
    return [name, starts("uuid"), starts("key") & NOT_FILE, *of_job]


def _keys(query: "QuerySet[Any]", text: str) -> list[int]:
    """Return at most MAX_KEYS + 1 primary keys."""
    try:
        with transaction.atomic(), connections[DEFAULT_DB_ALIAS].cursor() as cursor:
            cursor.execute(_SETTINGS, [milliseconds(TIMEOUT), bool(TRIGRAM.search(text)), INDEX])
            return [row["pk"] for row in query[: MAX_KEYS + 1]]
    except OperationalError as error:
        if isinstance(error.__cause__, QueryCanceled):
            raise SearchTimeoutError(_advice(text)) from None
        raise


def _advice(text: str) -> str:
    step = (
        "Search for three or more letters or digits in a row."
        if _exists(DEFAULT_DB_ALIAS, INDEX)
        else "To search a large history, let an administrator of the database run CREATE EXTENSION pg_trgm, then run"
        " manage.py migrate."
    )
    return f"The search for {text!r} took longer than {TIMEOUT:.0f} seconds and was stopped. {step}"


# --- Indexes ---------------------------------------------------------------------------------------------
def create_indexes(using: str = DEFAULT_DB_ALIAS, **_: Any) -> None:
    """Create the trigram indexes after a `migrate` that finds the extension pg_trgm, or may create the extension."""
    if not _exists(using, AnomalyEvent._meta.db_table) or _exists(using, INDEX):
        return
    with transaction.atomic(using=using), connections[using].cursor() as cursor:
        # A role without CREATE on the database may not. An administrator can create the extension later.
        with suppress(DatabaseError), transaction.atomic(using=using):
            cursor.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
        cursor.execute("SELECT extnamespace::regnamespace FROM pg_extension WHERE extname = 'pg_trgm'")
        if schema := cursor.fetchone():
            operators = f"{schema[0]}.gin_trgm_ops"
            text, values = _compile(using, Anomaly, SEARCHED["text"])
            comment, _ = _compile(using, AnomalyEvent, Upper("text"))
            only = f"WHERE kind = '{EventKind.COMMENTED}'"
            cursor.execute(f"CREATE INDEX {INDEX} ON consistency_anomaly USING gin ({text} {operators})", values)
            cursor.execute(
                f"CREATE INDEX {COMMENT_INDEX} ON consistency_anomalyevent USING gin ({comment} {operators}) {only}"
            )


def _exists(using: str, name: str) -> bool:
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [name])
        return bool(cursor.fetchone()[0])


def _compile(using: str, model: type[Model], expression: Expression) -> tuple[str, Any]:
    query = Query(model, alias_cols=False)
    sql, parameters = query.get_compiler(using).compile(expression.resolve_expression(query))
    return sql, parameters
