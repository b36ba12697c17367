"""Checks of identities: each needs a row in PostgreSQL and a folder on disk."""

from collections.abc import Iterator
from typing import Any

from django.db.models import QuerySet

from consistency.expressions import text
from consistency.registry import CheckError, Finding, Severity, check
from identities.models import Identity
from identities.store import FILE, IdentityStore, identities_folder


def _read_store(using: str) -> IdentityStore:
    # Without a readable folder a check could not run; the folder's absence proves no anomaly.
    if (folder := identities_folder()) is None:
        raise CheckError("IDENTITIES_DIR is not set")
    try:
        store = IdentityStore.read(folder)
    except OSError as error:
        raise CheckError("the folder of the identities cannot be read") from error
    if store.empty and Identity.objects.using(using).exists():
        raise CheckError("the folder of the identities is empty: the disk may be not mounted")
    return store


def _row(uuid: str) -> QuerySet[Identity, Any]:
    rows = Identity.objects.alias(key=text("uuid")).filter(key=uuid).order_by()
    return rows.values_list("uuid", "name", "source", "is_active", "created_at", "updated_at")


def _uuids(using: str) -> list[str]:
    return list(Identity.objects.using(using).order_by("pk").values_list(text("uuid"), flat=True))


@check(
    "identity_file_missing",
    severity=Severity.WARN,
    hint="The platform cannot recognise this person offline. Write the file from the row, or remove the row.",
    tags=("identities",),
    row=_row,
)
def identity_file_missing(using: str) -> Iterator[Finding]:
    """An identity has a row but no identity.json on disk"""
    store = _read_store(using)
    for uuid in _uuids(using):
        if uuid not in store.files:
            yield Finding(object_type="identity", object_id=uuid, detail=f"no {FILE} in the folder {uuid}")


@check(
    "identity_row_missing",
    severity=Severity.WARN,
    hint="The database does not know this person. Import the file again, or remove the folder.",
    tags=("identities",),
    row=_row,
)
def identity_row_missing(using: str) -> Iterator[Finding]:
    """An identity has an identity.json on disk but no row"""
    for uuid in sorted(_read_store(using).files.difference(_uuids(using))):
        yield Finding(object_type="identity", object_id=uuid, detail="no row in identities")
