"""How the OpenAPI document describes review: its answers with their examples, and its parameters."""

from typing import Any, Final

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse

from consistency.api import query
from consistency.api.report_schema import ERROR, REPORT, TEXT, Schema, record
from consistency.api.samples import ANOMALY_SAMPLE, CHECK_SAMPLE, SCAN_SAMPLE, SCANNED_SAMPLE
from consistency.api.schemas import ANOMALY, CHECK, NUMBER, RECORDED, SCAN, SEVERITY, SWITCH, listed


def _answer(schema: Schema, words: str, value: Any) -> OpenApiResponse:
    return OpenApiResponse(schema, words, examples=[OpenApiExample("Answer", value=value)])


ANOMALY_ANSWER: Final = _answer(ANOMALY, "The anomaly", ANOMALY_SAMPLE)
ANOMALIES_ANSWER: Final = _answer(
    listed("anomalies", ANOMALY), "One page of them", {"anomalies": [ANOMALY_SAMPLE], "next": None, "previous": None}
)
SCAN_ANSWER: Final = _answer(SCAN, "The scan", SCAN_SAMPLE)
SCANS_ANSWER: Final = _answer(
    listed("scans", SCAN), "One page of them", {"scans": [SCAN_SAMPLE], "next": None, "previous": None}
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


DATABASE: Final = _parameter("database", "Of this database only; retired ones too.")
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
        "state",
        "`open` (all but resolved) by default; `retired`: open, and nothing asks for it any more.",
        TEXT | {"enum": list(query.STATES), "default": "open"},
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
OF_DATABASE: Final = [_parameter("database", "`default` by default; retired ones too.")]
