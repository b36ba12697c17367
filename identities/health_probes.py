"""The probe of identities: compares the numbers on disk and in the database, and the index with the disk."""

from collections.abc import Iterator
from typing import TypedDict

from common.postgres.parameters import every_row
from health.registry import Degraded, probe
from identities.models import Identity
from identities.store import IdentityStore, identities_folder


class Identities(TypedDict):
    directory_exists: bool
    files_count: int
    index_ok: bool
    db_count: int
    synced: bool


@probe("identities", ttl=5.0, section="identities", requires=("postgres",))
def identities() -> Identities:
    """Identities on disk, in the database and in the index match."""
    with every_row():
        rows = Identity.objects.count()
    folder = identities_folder()
    try:
        store = IdentityStore.read(folder) if folder else None
    except OSError:
        store = None
    files = len(store.files) if store else 0
    section: Identities = {
        "directory_exists": store is not None,
        "files_count": files,
        "index_ok": store is not None and store.index_ok,
        "db_count": rows,
        "synced": store is not None and files == rows,
    }
    if store is None:
        raise Degraded("identities folder not accessible" if folder else "IDENTITIES_DIR is not set", section)
    if problems := "; ".join(_problems(section)):
        raise Degraded(problems, section)
    return section


def _problems(section: Identities) -> Iterator[str]:
    if not section["synced"]:
        yield f"{section['files_count']} files for {section['db_count']} rows"
    if not section["index_ok"]:
        yield "the index differs from the folders on disk"
