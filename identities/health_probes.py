"""The probe of identities: whether disk and database hold the same number, and the index names what is there."""

from pathlib import Path
from typing import TypedDict

from health.registry import Degraded, probe
from identities.models import Identity
from identities.store import Store, root


class Identities(TypedDict):
    directory_exists: bool
    files_count: int
    index_ok: bool
    db_count: int
    synced: bool


@probe("identities", ttl=5.0, section="identities", requires=("postgres",))
def identities() -> Identities:
    """Each identity has its file, each file its row, and the index names them all."""
    folder = root()
    store = _read(folder)
    files, rows = len(store.files) if store else 0, Identity.objects.count()
    found: Identities = {
        "directory_exists": store is not None,
        "files_count": files,
        "index_ok": store is not None and store.index_ok,
        "db_count": rows,
        "synced": store is not None and files == rows,
    }
    if not found["directory_exists"]:
        raise Degraded("identities folder not accessible" if folder else "IDENTITIES_DIR is not set", found)
    if not (found["synced"] and found["index_ok"]):
        raise Degraded(_difference(found), found)
    return found


def _read(folder: Path | None) -> Store | None:
    """The store, None where there is none that can be read."""
    try:
        return Store.read(folder) if folder else None
    except OSError:
        return None


def _difference(found: Identities) -> str:
    parts = {
        f"{found['files_count']} files for {found['db_count']} rows": not found["synced"],
        "the index does not name what is on disk": not found["index_ok"],
    }
    return "; ".join(text for text, holds in parts.items() if holds)
