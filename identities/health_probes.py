"""The probe of identities: compares the numbers on disk and in the database, and the index with the disk."""

from collections.abc import Collection, Iterator
from typing import Final, TypedDict

from common.postgres.parameters import every_row
from common.text import printable
from health.registry import Degraded, probe
from identities.models import Identity
from identities.store import INDEX, IdentityStore, identities_folder, read_index

NAMES: Final = 3  # unreadable entries that the reason names


class Identities(TypedDict):
    directory_exists: bool
    files_count: int
    index_ok: bool
    db_count: int
    synced: bool
    unreadable: int


@probe("identities", ttl=5.0, section="identities", requires=("postgres",))
def identities() -> Identities:
    """Identities on disk, in the database and in the index match."""
    with every_row():
        rows = Identity.objects.count()
    folder = identities_folder()
    section: Identities = {
        "directory_exists": False,
        "files_count": 0,
        "index_ok": False,
        "db_count": rows,
        "synced": False,
        "unreadable": 0,
    }
    if folder is None:
        raise Degraded("IDENTITIES_DIR is not set", section)
    try:
        store = IdentityStore.read(folder)
    except OSError as error:
        raise Degraded("identities folder not accessible", section) from error
    index = read_index(folder / INDEX)
    section = {
        "directory_exists": True,
        "files_count": len(store.files),
        "index_ok": index is not None and store.matches(index),
        "db_count": rows,
        "synced": len(store.files) == rows,
        "unreadable": len(store.unreadable),
    }
    if problems := "; ".join(_problems(section, store.unreadable)):
        raise Degraded(problems, section)
    return section


def _problems(section: Identities, unreadable: Collection[str]) -> Iterator[str]:
    if not section["synced"]:
        yield f"{section['files_count']} files for {section['db_count']} rows"
    if not section["index_ok"]:
        yield "the index differs from the folders on disk"
    if unreadable:
        names = [printable(name) for name in sorted(unreadable)[:NAMES]]
        yield f"{len(unreadable)} unreadable: {', '.join(names)}{', ...' if len(unreadable) > NAMES else ''}"
