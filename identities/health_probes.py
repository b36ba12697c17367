"""The probe of identities: compares the numbers on disk and in the database, and the index with the disk."""

from collections.abc import Collection, Iterator
from time import monotonic
from typing import Final, TypedDict

from django.conf import settings

from common.postgres.parameters import every_row
from common.text import printable
from health.registry import Degraded, Unfinished, probe
from identities.index import IdentityIndex
from identities.models import Identity
from identities.store import INDEX, IdentityStore, identities_folder

NAMES: Final = 3  # unreadable entries that the reason names
WAIT: Final = 0.8  # seconds; the deadline of the probe is 1 s
# No client of the probe: `?fresh=1` would drop the client and read an unchanged index again.
_index: Final = IdentityIndex()


class Identities(TypedDict):
    directory_exists: bool
    files_count: int
    index_ok: bool | None
    """None while the index is being read."""
    db_count: int
    synced: bool
    unreadable: int


@probe("identities", ttl=5.0, section="identities", requires=("postgres",))
def identities() -> Identities:
    """Identities on disk, in the database and in the index match."""
    until = monotonic() + WAIT
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
    index = _index.read(folder / INDEX, limit=settings.IDENTITIES_INDEX_LIMIT, until=until)
    section = {
        "directory_exists": True,
        "files_count": len(store.files),
        "index_ok": None if index is None else isinstance(index, frozenset) and store.matches(index),
        "db_count": rows,
        "synced": len(store.files) == rows,
        "unreadable": len(store.unreadable),
    }
    problems = list(_problems(section, index, store.unreadable))
    reading = ["the index is still being read"] if index is None else []
    if problems:
        raise Degraded("; ".join(problems + reading), section)
    if reading:
        raise Unfinished(reading[0], section)
    return section


def _problems(section: Identities, index: frozenset[str] | str | None, unreadable: Collection[str]) -> Iterator[str]:
    if not section["synced"]:
        yield f"{section['files_count']} files for {section['db_count']} rows"
    if section["index_ok"] is False:
        yield index if isinstance(index, str) else "the index differs from the folders on disk"
    if unreadable:
        names = [printable(name) for name in sorted(unreadable)[:NAMES]]
        entries = "entry" if len(unreadable) == 1 else "entries"
        yield f"{len(unreadable)} unreadable {entries}: {', '.join(names)}{', ...' if len(unreadable) > NAMES else ''}"
