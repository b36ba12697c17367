"""What lists, scans, anomalies and mutes look like, for the OpenAPI document."""

from typing import Final

from consistency.api import query
from consistency.api.report_schema import COUNT, TEXT, Schema, record
from consistency.models.history import MuteEnd, State, Trigger
from consistency.registry import Severity

TIME: Final[Schema] = TEXT | {"format": "date-time"}
NUMBER: Final[Schema] = {"type": "integer", "minimum": 0}
FLAG: Final[Schema] = {"type": "boolean"}
RETIRED: Final[Schema] = FLAG | {
    "description": "Whether nothing asks it any more: no such check is defined, or no such database configured"
}
SWITCH: Final[Schema] = TEXT | {"enum": list(query.SWITCH)}
SEVERITY: Final[Schema] = TEXT | {"enum": [severity.word for severity in Severity]}
TEXT_OR_NULL: Final[Schema] = {"type": ["string", "null"]}
TIME_OR_NULL: Final[Schema] = TEXT_OR_NULL | {"format": "date-time"}
LINK: Final[Schema] = TEXT_OR_NULL | {
    "format": "uri-reference",
    "description": "Without scheme and host: relative to where this was asked; null at the end",
}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


NEWS: Final = {"new": NUMBER, "returned": NUMBER, "resolved": NUMBER}
SCAN_CHECK: Final = record(
    {
        "check": TEXT,
        "retired": RETIRED,
        "severity": SEVERITY,
        "outcome": TEXT | {"enum": ["clean", "found", "could_not_run"]},
        "count": COUNT,
        "acknowledged": NUMBER,
        "muted": NUMBER,
        "duration_ms": NUMBER,
        "error": TEXT_OR_NULL,
        **NEWS,
        "ongoing": NUMBER,
    }
)
SCAN: Final = record(
    {
        "id": NUMBER,
        "database": TEXT,
        "recorded_at": TIME,
        "snapshot_at": TIME_OR_NULL,
        "trigger": TEXT | {"enum": list(Trigger.values)},
        "actor": TEXT,
        "status": TEXT | {"enum": ["ok", "degraded"]},
        "complete": FLAG,
        "duration_ms": NUMBER,
        "affected_files": COUNT,
        **NEWS,
        "ongoing": NUMBER,
        "checks": {"type": "array", "items": SCAN_CHECK},
    }
)
ANOMALY: Final = record(
    {
        "id": NUMBER,
        "database": TEXT,
        "check": TEXT,
        "retired": RETIRED,
        "severity": SEVERITY,
        "object_type": TEXT,
        "object_id": TEXT,
        "file_uuid": TEXT_OR_NULL,
        "file_name": TEXT_OR_NULL,
        "status": TEXT_OR_NULL,
        "detail": TEXT,
        "state": TEXT | {"enum": list(State.values)},
        "first_seen": TIME,
        "appeared_at": TIME | {"description": "When it was news last: first seen, or back after it had been resolved"},
        "last_seen": TIME,
        "times_seen": NUMBER,
        "resolved_at": TIME_OR_NULL,
        "returned_count": NUMBER,
        "acknowledged": _or_null(record({"by": TEXT, "at": TIME, "until": TIME, "reason": TEXT}))
        | {"description": "null while nobody has, and once it has ended"},
        "assignee": TEXT_OR_NULL,
        "note": TEXT,
        "muted_until": TIME_OR_NULL | {"description": "Until when its check is muted; null while it is not"},
        "muted_by": TEXT_OR_NULL | {"description": "By whom, likewise"},
        "muted_reason": TEXT_OR_NULL | {"description": "Why, likewise"},
    }
)
MUTE: Final = record(
    {
        "by": TEXT,
        "reason": TEXT,
        "created_at": TIME,
        "until": TIME,
        "sticky": FLAG,
        "mark": COUNT | {"description": "More findings than this end it; falls as things improve"},
    }
)
CHECK: Final = record(
    {
        "check": TEXT,
        "retired": RETIRED,
        "severity": SEVERITY,
        "title": TEXT_OR_NULL | {"description": "null where no such check is defined any more, as are hint and tags"},
        "hint": TEXT_OR_NULL,
        "tags": {"type": ["array", "null"], "items": TEXT},
        "default": FLAG | {"description": "Whether every report runs it"},
        "scan": {"type": ["integer", "null"], "description": "The last recorded scan that ran it"},
        "scanned_at": TIME_OR_NULL,
        "outcome": TEXT_OR_NULL | {"description": "Of that scan, as are the count and the news"},
        "count": COUNT,
        "acknowledged": COUNT | {"description": "How many of them are acknowledged now"},
        "muted": COUNT | {"description": "How many more are silent now: the check is muted"},
        **dict.fromkeys(NEWS, COUNT),
        "mute": _or_null(MUTE) | {"description": "The one in force; null while it is not muted"},
    }
)
MUTE_ENDED: Final = record(
    {
        "check": TEXT,
        "by": TEXT,
        "reason": TEXT | {"description": "Why it was muted"},
        "because": TEXT | {"enum": [MuteEnd.TIME.value, MuteEnd.CLEAN.value, MuteEnd.EXCEEDED.value]},
        "count": NUMBER | {"description": "What this scan found"},
        "mark": COUNT | {"description": "More findings than this end it"},
    }
)
RECORDED: Final = _or_null(
    record(
        {
            "scan": NUMBER,
            **NEWS,
            "mutes_ended": {"type": "array", "items": MUTE_ENDED, "description": "Those that ended by themselves"},
        }
    )
)


def listed(name: str, item: Schema) -> Schema:
    """One page of such."""
    return record({name: {"type": "array", "items": item}, "next": LINK, "previous": LINK})
