"""Which checks and databases there are: those that are asked, and those of the past, for history outlives code."""

from dataclasses import dataclass
from typing import Final

from django.db import connections

from common.choices import validate_choice
from consistency.history.hops import hopping
from consistency.history.silence import MEMORY, SilenceError
from consistency.models.history import Anomaly, Mute, ScanCheck
from consistency.registry import CHECKS

_REMEMBERED: Final = f"""
({hopping(ScanCheck._meta.db_table, "check_name", "database")}) UNION
({hopping(Anomaly._meta.db_table, "check_name", "database")}) UNION
SELECT check_name, database FROM {Mute._meta.db_table} WHERE ended_at IS NULL ORDER BY 1, 2"""  # noqa: S608 - ours


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """All there are, those of today first."""

    checks: list[str]
    databases: list[str]


def remembered() -> list[tuple[str, str]]:
    """Check and database of all that was recorded, or is muted; one question."""
    with connections[MEMORY].cursor() as cursor:
        cursor.execute(_REMEMBERED)
        pairs: list[tuple[str, str]] = cursor.fetchall()
    return pairs


def known_names() -> Names:
    """What the settings and the memory know."""
    past = remembered()
    return Names(
        checks=list(dict.fromkeys([*CHECKS, *(check for check, _ in past)])),
        databases=list(dict.fromkeys([*connections, *sorted(database for _, database in past)])),
    )


def check(word: str) -> str:
    """The name of a check that is defined, or that is retired and known by its history; else UnknownChoiceError."""
    return word if word in CHECKS else validate_choice("check", word, known_names().checks)


def database(word: str) -> str:
    """That of a database which is configured, or of which something is remembered; else UnknownChoiceError."""
    return word if word in connections else validate_choice("database", word, known_names().databases)


def to_mute(name: str, on: str) -> None:
    """SilenceError if no scan asks this check on this database any more, UnknownChoiceError if none ever did."""
    retired = "so it decides nothing, and there is nothing to mute"
    if check(name) not in CHECKS:
        raise SilenceError(f"{name} is retired: it is not defined any more, {retired}.")
    if database(on) not in connections:
        raise SilenceError(f"database {on!r} is retired: the settings do not name it any more, {retired}.")
