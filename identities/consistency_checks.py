"""Checks of identities: each needs a row in PostgreSQL and a folder on disk."""

from collections.abc import Generator

from django.db.models import QuerySet

from consistency.expressions import sentence, shown_word, text
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


def _row(uuid: str) -> QuerySet[Identity]:
    rows = Identity.objects.alias(key=text("uuid")).filter(key=uuid).order_by()
    return rows.defer("metadata")


def _uuids(using: str) -> list[str]:
    # An attached table may lack a primary key: a null uuid is a finding of identity_without_uuid.
    rows = Identity.objects.using(using).filter(uuid__isnull=False).order_by("pk")
    return list(rows.values_list(text("uuid"), flat=True))


@check(
    "identity_file_missing",
    severity=Severity.WARN,
    hint="The platform cannot recognise this person offline. Write the file from the row, or remove the row.",
    tags=("identities",),
    row=_row,
    missing="identities have no folder; is the disk mounted?",
)
def identity_file_missing(using: str) -> Generator[Finding, None, int]:
    """An identity has a row but no identity.json on disk"""
    # Both external checks return the number of compared objects.
    store, uuids = _read_store(using), _uuids(using)
    for uuid in uuids:
        if uuid not in store.files:
            unreadable = uuid in store.unreadable
            detail = f"{uuid}/{FILE} cannot be read" if unreadable else f"no {FILE} in the folder {uuid}"
            yield Finding(object_type="identity", object_id=uuid, detail=detail)
    return len(uuids)


@check(
    "identity_row_missing",
    severity=Severity.WARN,
    hint="The database does not know this person. Import the file again, or remove the folder.",
    tags=("identities",),
    row=_row,
    missing="identity folders have no row; is this the right database?",
)
def identity_row_missing(using: str) -> Generator[Finding, None, int]:
    """An identity has an identity.json on disk but no row"""
    files = _read_store(using).files
    for uuid in sorted(files.difference(_uuids(using))):
        yield Finding(object_type="identity", object_id=uuid, detail="no row in identities")
    return len(files)


@check(
    "identity_without_uuid",
    severity=Severity.WARN,
    detail=sentence("uuid is null, name is ", shown_word("name")),
    hint="No folder can belong to this row: give the row the uuid of the folder, or remove the row.",
    tags=("identities",),
)
def identity_without_uuid() -> QuerySet[Identity]:
    """An identity row has no uuid"""
    return Identity.objects.filter(uuid__isnull=True)
