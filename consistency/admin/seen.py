"""What a page showed of an anomaly goes along with its forms: who acts on what has changed since is told so instead."""

from collections.abc import Container, Iterable, Mapping
from hashlib import blake2b
from typing import Final, TypeAlias

from common.text import printable
from common.times import format_minute
from consistency.admin.pages import named
from consistency.history.formats import acknowledged_until
from consistency.models.history import Anomaly

SEEN: Final = "seen"
"""The hidden field: the key of an anomaly and a hash of each of its aspects. Who sends none has seen no page."""
LONG: Final = 300
"""Characters of a sentence or a note in what is told; the page has them all."""

Seen: TypeAlias = Mapping[int, list[str]]


class ChangedError(Exception):
    """Some of them are not what the page showed."""

    def __init__(self, told: list[tuple[str, list[str]]]) -> None:
        self.told = told
        """What each is called, and what has changed, in words."""


def shown(anomaly: Anomaly) -> str:
    """What the hidden field says of it."""
    return ".".join((str(anomaly.pk), *(_hash(value) for value, _ in _aspects(anomaly))))


def seen(told: Iterable[str], keys: Container[str]) -> Seen:
    """What was seen of these anomalies (primary keys), by such fields, which may be of others too."""
    known = [each.split(".") for each in told]
    return {int(key): hashes for key, *hashes in known if key in keys and key.isdecimal()}


def unchanged(rows: Iterable[Anomaly], seen: Seen) -> None:
    """ChangedError if one that was seen is not as it was, or not among these rows."""
    now = {row.pk: row for row in rows}
    changed = [(key, _changed(now.get(key), hashes)) for key, hashes in seen.items()]
    if told := [(_called(key, now.get(key)), words) for key, words in changed if words]:
        raise ChangedError(told)


def _called(key: int, anomaly: Anomaly | None) -> str:
    return f"{anomaly.check_name}: {named(anomaly)}" if anomaly else f"number {key}"


def _changed(anomaly: Anomaly | None, hashes: list[str]) -> list[str]:
    if anomaly is None:
        return ["it is forgotten"]
    return [words for (value, words), was in zip(_aspects(anomaly), hashes, strict=False) if _hash(value) != was]


def _aspects(anomaly: Anomaly) -> list[tuple[object, str]]:
    """Each with what to say once it is another."""
    resolved, until = anomaly.resolved_at is not None, acknowledged_until(anomaly)
    by, reason = anomaly.acknowledged_by or "", anomaly.acknowledged_reason or ""
    held = until and (by, anomaly.acknowledged_at, until, reason)
    return [
        (anomaly.detail, f"its detail is now “{_told(anomaly.detail)}”"),
        (
            (resolved, anomaly.returned_count),
            "a scan has noted it as resolved" if resolved else "it came back after it was resolved",
        ),
        (
            held,
            f"{printable(by)} acknowledged it until {format_minute(until)}: {_told(reason)}"
            if until
            else "its acknowledgement is over",
        ),
        (anomaly.assignee, f"it is now assigned to {printable(anomaly.assignee or 'nobody')}"),
        (anomaly.note, f"its note is now “{_told(anomaly.note)}”" if anomaly.note else "its note is gone"),
    ]


def _told(text: str) -> str:
    words = printable(" ".join(text.split()))
    return words if len(words) <= LONG else words[: LONG - 1] + "…"


def _hash(value: object) -> str:
    return blake2b(repr(value).encode(), digest_size=5).hexdigest()
