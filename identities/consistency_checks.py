"""Identities are rows in PostgreSQL and folders on disk; each must have the other."""

from collections.abc import Iterator
from typing import Any, Final

from django.db.models import QuerySet

from consistency.expressions import text
from consistency.registry import CheckError, Finding, Severity, check
from identities.models import Identity
from identities.store import FILE, Store, root

PIECE: Final = 10_000


def _store(using: str) -> Store:
    """What is on disk; where that cannot be known, nothing is missing from it, and nothing has gone from it."""
    if (folder := root()) is None:
        raise CheckError("IDENTITIES_DIR is not set")
    try:
        store = Store.read(folder)
    except OSError as error:
        raise CheckError("the folder of the identities cannot be read") from error
    if store.empty and Identity.objects.using(using).exists():
        raise CheckError("the folder of the identities is empty: a disk that is not mounted looks like that")
    return store


def _row(uuid: str) -> QuerySet[Identity, Any]:
    here = Identity.objects.alias(key=text("uuid")).filter(key=uuid).order_by()
    return here.values_list("uuid", "name", "source", "is_active", "created_at", "updated_at")


def _rows(using: str) -> Iterator[str]:
    every = Identity.objects.using(using).order_by("pk")
    left = every
    # After the last one rather than by a cursor, which would stay open while the disk is read.
    while piece := list(left.values_list("pk", text("uuid"))[:PIECE]):
        yield from (uuid for _, uuid in piece)
        left = every.filter(pk__gt=piece[-1][0])


@check(
    "identity_file_missing",
    severity=Severity.WARN,
    hint="The platform cannot know this person offline: write the file from the row, or remove the row.",
    tags=("identities",),
    row=_row,
)
def identity_file_missing(using: str) -> Iterator[Finding]:
    """An identity has a row but no identity.json on disk"""
    store = _store(using)
    for uuid in _rows(using):
        if uuid not in store.files:
            yield Finding(object_type="identity", object_id=uuid, detail=f"no {FILE} in the folder {uuid}")


@check(
    "identity_row_missing",
    severity=Severity.WARN,
    hint="The database does not know this person: import the file again, or remove its folder.",
    tags=("identities",),
    row=_row,
)
def identity_row_missing(using: str) -> Iterator[Finding]:
    """An identity has an identity.json on disk but no row"""
    for uuid in sorted(_store(using).files.difference(_rows(using))):
        yield Finding(object_type="identity", object_id=uuid, detail="no row in identities")
