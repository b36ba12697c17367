"""How the OpenAPI document describes review: what lists, scans, anomalies and mutes look like, and their examples."""

from typing import Any, Final

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse

from consistency.models.memory import MuteEnd, State, Trigger
from consistency.openapi import COUNT, ERROR, REPORT, TEXT, Schema, record
from consistency.registry import Severity
from consistency.review import query

TIME: Final[Schema] = TEXT | {"format": "date-time"}
NUMBER: Final[Schema] = {"type": "integer", "minimum": 0}
FLAG: Final[Schema] = {"type": "boolean"}
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
        "retired": FLAG | {"description": "Whether no such check is defined any more"},
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
        "retired": FLAG,
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
        "retired": FLAG,
        "severity": SEVERITY,
        "title": TEXT_OR_NULL | {"description": "null for a retired one, as are hint and tags"},
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


def _list(name: str, item: Schema) -> Schema:
    return record({name: {"type": "array", "items": item}, "next": LINK, "previous": LINK})


# --- Examples --------------------------------------------------------------------------------------------
SCAN_SAMPLE: Final = {
    "id": 42,
    "database": "default",
    "recorded_at": "2026-05-18T17:30:01Z",
    "snapshot_at": "2026-05-18T17:30:00Z",
    "trigger": "command",
    "actor": "continuity",
    "status": "degraded",
    "complete": True,
    "duration_ms": 31,
    "affected_files": 3,
    "new": 1,
    "returned": 0,
    "resolved": 2,
    "ongoing": 2,
    "checks": [
        {
            "check": "stale_processing",
            "retired": False,
            "severity": "warn",
            "outcome": "found",
            "count": 3,
            "acknowledged": 1,
            "muted": 0,
            "duration_ms": 4,
            "error": None,
            "new": 1,
            "returned": 0,
            "resolved": 2,
            "ongoing": 2,
        }
    ],
}
ANOMALY_SAMPLE: Final = {
    "id": 7,
    "database": "default",
    "check": "stale_processing",
    "retired": False,
    "severity": "warn",
    "object_type": "file",
    "object_id": "abc123...",
    "file_uuid": "abc123...",
    "file_name": "video.mp4",
    "status": "processing",
    "detail": "job_id is null",
    "state": "ongoing",
    "first_seen": "2026-05-17T17:30:00Z",
    "appeared_at": "2026-05-17T17:30:00Z",
    "last_seen": "2026-05-18T17:30:00Z",
    "times_seen": 96,
    "resolved_at": None,
    "returned_count": 0,
    "acknowledged": {
        "by": "ada",
        "at": "2026-05-18T09:00:00Z",
        "until": "2026-05-19T09:00:00Z",
        "reason": "Being requeued by hand.",
    },
    "assignee": "ada",
    "note": "",
    "muted_until": None,
    "muted_by": None,
    "muted_reason": None,
}
MUTE_SAMPLE: Final = {
    "by": "ada",
    "reason": "The new importer lands on Monday.",
    "created_at": "2026-05-18T09:00:00Z",
    "until": "2026-05-25T09:00:00Z",
    "sticky": False,
    "mark": 3,
}
CHECK_SAMPLE: Final = {
    "check": "stale_processing",
    "retired": False,
    "severity": "warn",
    "title": "Status=processing but no job will finish it",
    "hint": "No job will ever finish this file: start its processing again.",
    "tags": ["files"],
    "default": True,
    "scan": 42,
    "scanned_at": "2026-05-18T17:30:01Z",
    "outcome": "found",
    "count": 3,
    "acknowledged": 0,
    "muted": 3,
    "new": 1,
    "returned": 0,
    "resolved": 2,
    "mute": MUTE_SAMPLE,
}
MUTE_ENDED_SAMPLE: Final = {
    "check": "stale_processing",
    "by": "ada",
    "reason": "The new importer lands on Monday.",
    "because": "clean",
    "count": 0,
    "mark": 2,
}
SCANNED_SAMPLE: Final = {
    "status": "ok",
    "checked_at": "2026-05-18T17:30:00Z",
    "complete": True,
    "affected_files": 0,
    "checks": [],
    "recorded": {"scan": 42, "new": 0, "returned": 0, "resolved": 2, "mutes_ended": [MUTE_ENDED_SAMPLE]},
}


def _answer(schema: Schema, words: str, value: Any) -> OpenApiResponse:
    return OpenApiResponse(schema, words, examples=[OpenApiExample("Answer", value=value)])


ANOMALY_ANSWER: Final = _answer(ANOMALY, "The anomaly", ANOMALY_SAMPLE)
ANOMALIES_ANSWER: Final = _answer(
    _list("anomalies", ANOMALY), "One page of them", {"anomalies": [ANOMALY_SAMPLE], "next": None, "previous": None}
)
SCAN_ANSWER: Final = _answer(SCAN, "The scan", SCAN_SAMPLE)
SCANS_ANSWER: Final = _answer(
    _list("scans", SCAN), "One page of them", {"scans": [SCAN_SAMPLE], "next": None, "previous": None}
)
CHECK_ANSWER: Final = _answer(CHECK, "The check", CHECK_SAMPLE)
CHECKS_ANSWER: Final = _answer(
    record({"checks": {"type": "array", "items": CHECK}}), "All of them", {"checks": [CHECK_SAMPLE]}
)
_SCANNED: Final = REPORT | {
    "properties": REPORT["properties"]
    | {"recorded": RECORDED, "problem": TEXT | {"description": "Why it was not recorded; absent if it was"}},
    "required": [*REPORT["required"], "recorded"],
}
SCANNED_ANSWERS: Final = {
    201: _answer(_SCANNED, "The report, recorded; Location is the scan's address", SCANNED_SAMPLE),
    200: _answer(
        _SCANNED,
        "The report, which could not be recorded",
        SCANNED_SAMPLE | {"recorded": None, "problem": "the disk of database 'default' is full"},
    ),
}


def refusals(**words: str) -> dict[int, OpenApiResponse]:
    """What may be refused, by code written `_404`, with the words of its example."""
    return {
        int(code[1:]): OpenApiResponse(ERROR, detail, examples=[OpenApiExample("Error", value={"detail": detail})])
        for code, detail in words.items()
    }


# --- Parameters ------------------------------------------------------------------------------------------
def _parameter(name: str, description: str, schema: Schema = TEXT) -> OpenApiParameter:
    return OpenApiParameter(name, schema, description=description)


DATABASE: Final = _parameter("database", "Of this database only.")
PAGE: Final = [
    _parameter(
        "limit",
        f"Rows of a page, {query.DEFAULT_PAGE} by default.",
        {"type": "integer", "minimum": 1, "maximum": query.LARGEST_PAGE},
    ),
    _parameter("cursor", "From `next` or `previous` of an answer to the same filters."),
]
ANOMALY_FILTERS: Final = [
    _parameter(
        "check", "Of these checks, retired ones too; repeated, or with commas.", {"type": "array", "items": TEXT}
    ),
    _parameter("severity", "Of these severities.", {"type": "array", "items": SEVERITY}),
    _parameter(
        "state", "`open` (all but resolved) by default.", TEXT | {"enum": list(query.STATES), "default": "open"}
    ),
    _parameter("assignee", "Whom they are assigned to."),
    DATABASE,
    _parameter("silenced", "1: only what is acknowledged or muted; 0: only what is neither.", SWITCH),
    _parameter("since", "New or back at or after this instant, or within this length of time, such as 24h or 7d."),
    _parameter("scan", "New or back in the scan of this number; with `state=all`, those resolved since too.", NUMBER),
    _parameter("uuid", "The first characters of the file's uuid, the job's number or the identity's uuid."),
    _parameter("name", "The first characters of the file's name; case matters."),
    *PAGE,
]
SCAN_FILTERS: Final = [
    DATABASE,
    _parameter("complete", "1: only those in which every check ran; 0: only the others.", SWITCH),
    *PAGE,
]
OF_DATABASE: Final = [_parameter("database", "`default` by default.")]
