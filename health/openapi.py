"""How the OpenAPI document describes health: the sections come from the registry, the examples from the contract."""

from typing import Any, Final

from drf_spectacular.plumbing import resolve_type_hint
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse

from health.registry import PROBES, Probe
from health.verdict import DEGRADED, ERROR, OK

Schema = dict[str, Any]

STATUS: Final[Schema] = {"type": "string", "enum": [OK, DEGRADED]}
SERVICE_STATUS: Final[Schema] = {"type": "string", "enum": [OK, DEGRADED, ERROR]}
REASON: Final[Schema] = {"type": "string", "description": "Why, in few words; absent when all is well"}
VERSION: Final[Schema] = {"type": "string", "description": "Semver version"}


def _object(properties: Schema, *, optional: tuple[str, ...] = ()) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
    }


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


# --- Parameters ------------------------------------------------------------------------------------------
def _switch(name: str, description: str) -> OpenApiParameter:
    return OpenApiParameter(name, OpenApiTypes.STR, description=description, enum=["0", "1"], default="0")


STRICT: Final = _switch("strict", "1: answer 503, with the same body, unless the status is `ok`")
FRESH: Final = _switch("fresh", "1: ask every probe anew, on new connections, and read every checksummed file again")

# --- Answers ---------------------------------------------------------------------------------------------
_DETAIL: Final = _object({"detail": {"type": "string"}})
BAD_PARAMETER: Final = OpenApiResponse(_DETAIL, "A parameter has a value that is not allowed")
UNAUTHORIZED: Final = OpenApiResponse(_DETAIL, "No credentials, or wrong ones")
UNAVAILABLE: Final = OpenApiResponse(_DETAIL, "PostgreSQL is down, and the credentials cannot be checked without it")
NOT_READY: Final = OpenApiResponse(_DETAIL, "Starting, or stopping")

SUMMARY: Final = _object(
    {
        "status": STATUS,
        "version": VERSION,
        "build_git_hash": {"type": "string", "description": "Git commit hash"},
        "build_timestamp": {"type": "string", "description": "Build time, UTC"},
        "uptime_ms": {"type": "integer", "description": "Milliseconds since server start"},
    }
)
ALIVE: Final = _object({"status": {"type": "string", "enum": [OK]}})
SFTPGO: Final = _object(
    {
        "status": {"type": "string", "enum": [OK, DEGRADED, ERROR, "disabled"]},
        "latency_ms": _or_null({"type": "integer"}),
        "checked_at": {"type": "string", "format": "date-time"},
        "services": _object(
            {name: _or_null({"type": "string", "enum": [OK, "disabled"]}) for name in ("sftp", "ftp", "webdav")}
        ),
        "data_provider": _or_null({"type": "string", "enum": [OK, ERROR]}),
        "error": REASON,
    },
    optional=("error",),
)


def detailed() -> Schema:
    """The schema of /health/detailed: every registered probe with a section, whichever app it belongs to."""
    found = _object({"status": STATUS, "version": VERSION})
    for probe in PROBES.values():
        if probe.section:
            *above, last = probe.section.split(".")
            inner = found
            for part in above:
                inner = _require(inner, part, _object({}))
            _require(inner, last, _section(probe))
    return found


def _require(parent: Schema, name: str, schema: Schema) -> Schema:
    """Add it to the parent's properties, if it is not there yet; return what is there."""
    if name not in parent["properties"]:
        parent["required"].append(name)
    found: Schema = parent["properties"].setdefault(name, schema)
    return found


def _section(probe: Probe) -> Schema:
    if probe.keys is None:
        service = {"status": SERVICE_STATUS, "latency_ms": {"type": "integer"}, "error": REASON}
        return _object(service, optional=("error",)) | {"description": probe.title}
    values = {name: _or_null(_type(hint)) for name, hint in probe.keys.items()}
    return _object(values | {"error": REASON}, optional=("error",)) | {"description": probe.title}


def _type(hint: Any) -> Schema:
    schema: Schema = resolve_type_hint(hint)  # type: ignore[no-untyped-call]
    return schema


# --- Examples --------------------------------------------------------------------------------------------
SUMMARY_EXAMPLE: Final = OpenApiExample(
    "All is well",
    value={
        "status": "ok",
        "version": "1.0.0",
        "build_git_hash": "3a6c1865",
        "build_timestamp": "2026-05-16T13:38:15Z",
        "uptime_ms": 3015,
    },
    response_only=True,
    status_codes=["200"],
)
ALIVE_EXAMPLE: Final = OpenApiExample("Yes", value={"status": "ok"}, response_only=True, status_codes=["200"])
DETAILED_EXAMPLE: Final = OpenApiExample(
    "All is well",
    value={
        "status": "ok",
        "version": "1.0.0",
        "services": {
            "postgres": {"status": "ok", "latency_ms": 3},
            "redis": {"status": "ok", "latency_ms": 1},
            "qdrant": {"status": "ok", "latency_ms": 5},
        },
        "resources": {"cpu_used_percent": 12.5, "memory_available_mb": 32768, "memory_used_percent": 31.7},
        "pipeline": {
            "scripts_ready": True,
            "scripts_count": 345,
            "processors": {
                "asr": True,
                "yolo": True,
                "face": True,
                "pose": True,
                "ocr": True,
                "cut": True,
                "scene": True,
                "asrx": True,
                "visual_chunk": True,
            },
            "models_ready": True,
            "models_count": 42,
            "scripts_integrity": {"matched": 332, "total": 345, "ok": False},
            "ffmpeg": True,
        },
        "schema": {
            "table_exists": True,
            "applied": [{"filename": "migrate_add_users_table.sql"}],
            "required": [],
            "ok": True,
        },
        "identities": {
            "directory_exists": True,
            "files_count": 3481,
            "index_ok": True,
            "db_count": 3481,
            "synced": True,
        },
        "config": {"cache": True, "auto_pipeline": False, "watcher": True},
        "integrations": {"tmdb": {"api_key_configured": False, "enabled": False, "api_reachable": None}},
        "consistency": {"last_complete_scan": "2026-05-18T17:30:01Z", "age_s": 412, "status": "ok"},
    },
    response_only=True,
    status_codes=["200"],
)
SFTPGO_EXAMPLE: Final = OpenApiExample(
    "All is well",
    value={
        "status": "ok",
        "latency_ms": 8,
        "checked_at": "2026-05-18T17:30:00Z",
        "services": {"sftp": "ok", "ftp": "disabled", "webdav": "disabled"},
        "data_provider": "ok",
    },
    response_only=True,
    status_codes=["200"],
)
