"""How the OpenAPI document describes a report: its schema, its parameters, and the contract's example."""

from typing import Any, Final

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse

from consistency.registry import Severity

Schema = dict[str, Any]

TEXT: Final[Schema] = {"type": "string"}
COUNT: Final[Schema] = {"type": ["integer", "null"], "minimum": 0}


def record(properties: Schema, *, optional: tuple[str, ...] = ()) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
    }


ROW: Final = record(
    {
        "object_type": TEXT | {"description": "Kind of object; absent in rows of the default checks"},
        "object_id": TEXT | {"description": "Its primary key"},
        "file_name": {"type": ["string", "null"]},
        "file_uuid": TEXT | {"description": "Opaque; the file's three keys are absent where there is no file"},
        "status": {"type": ["string", "null"]},
        "detail": TEXT | {"description": "Why this row breaks the check"},
    },
    optional=("object_type", "object_id", "file_name", "file_uuid", "status"),
)
OUTCOME: Final = record(
    {
        "check": TEXT,
        "severity": TEXT | {"enum": [severity.word for severity in Severity]},
        "count": COUNT | {"description": "All findings, exactly; null if the check could not run"},
        "acknowledged": COUNT | {"type": "integer", "description": "How many of them somebody has acknowledged"},
        "muted": COUNT | {"type": "integer", "description": "How many more are silent: the check is muted"},
        "muted_until": TEXT | {"format": "date-time", "description": "When that ends; absent while it is not muted"},
        "muted_by": TEXT | {"description": "Who muted it; absent while it is not muted"},
        "muted_reason": TEXT | {"description": "Why; absent while it is not muted"},
        "truncated": {"type": "boolean", "description": "Whether there are more findings than rows"},
        "duration_ms": {"type": "integer"},
        "hint": TEXT | {"description": "What to do"},
        "error": TEXT | {"description": "Why the check could not run; absent if it ran"},
        "files": {"type": "array", "items": ROW, "description": "The first findings, by primary key"},
    },
    optional=("error", "muted_until", "muted_by", "muted_reason"),
)
REPORT: Final = record(
    {
        "status": TEXT
        | {
            "enum": ["ok", "degraded"],
            "description": "`degraded` if a check worse than info found what nobody has silenced, or could not run",
        },
        "checked_at": TEXT | {"format": "date-time", "description": "The snapshot's time"},
        "complete": {"type": "boolean", "description": "Whether every check ran"},
        "affected_files": COUNT | {"description": "Distinct files over all checks; null if one of them could not run"},
        "checks": {"type": "array", "items": OUTCOME},
    }
)
EXAMPLE: Final = OpenApiExample(
    "Files that no job works on",
    media_type="application/json",
    response_only=True,
    status_codes=["200"],
    value={
        "status": "degraded",
        "checked_at": "2026-05-18T17:30:00Z",
        "complete": True,
        "affected_files": 3,
        "checks": [
            {
                "check": "stale_processing",
                "severity": "warn",
                "count": 3,
                "acknowledged": 0,
                "muted": 0,
                "truncated": True,
                "duration_ms": 4,
                "hint": "No job will ever finish this file: start its processing again.",
                "files": [
                    {
                        "file_name": "video.mp4",
                        "file_uuid": "abc123...",
                        "status": "processing",
                        "detail": "job_id is null",
                    }
                ],
            }
        ],
    },
)
ERROR: Final = record({"detail": TEXT})
RESPONSES: Final = {
    (200, "application/json"): OpenApiResponse(REPORT, "The report"),
    (200, "application/x-ndjson"): OpenApiResponse(
        OpenApiTypes.STR, "Every finding, one JSON object a line; the last line is the report without its rows"
    ),
    (200, "text/csv"): OpenApiResponse(
        OpenApiTypes.STR,
        "Every finding; the last line, after a `#`, says whether it is complete. An apostrophe stands before each `=`,"
        " `+`, `-` or `@` that a spreadsheet might take for the start of a formula; JSON and NDJSON are exact",
    ),
    (400, "application/json"): OpenApiResponse(ERROR, "A parameter is unknown or has a value that is not allowed"),
    (406, "application/json"): OpenApiResponse(ERROR, "None of the three media types is acceptable"),
    (503, "application/json"): OpenApiResponse(
        ERROR, "PostgreSQL cannot be asked who you are, or another stream is under way; Retry-After says when"
    ),
}


def parameters(largest: int, default: int) -> list[OpenApiParameter]:
    """What the query may hold."""
    return [
        OpenApiParameter(
            "limit",
            {"type": "integer", "minimum": 0, "maximum": largest},
            description=f"Rows per check, {default} by default; NDJSON and CSV give all by default.",
        ),
        OpenApiParameter(
            "check", {"type": "array", "items": TEXT}, description="Run these checks only; repeated, or with commas."
        ),
        OpenApiParameter("tag", {"type": "array", "items": TEXT}, description="Run the checks with one of these tags."),
    ]
