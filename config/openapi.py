"""The OpenAPI document: made once per process, with the errors that every operation may return."""

import re
from collections.abc import Iterator
from functools import cache
from threading import Lock
from typing import Any, Final

from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import OpenApiResponse
from rest_framework import serializers
from rest_framework.request import Request

Schema = dict[str, Any]
DETAIL: Final = {"application/json": {"schema": {"$ref": "#/components/schemas/Detail"}}}
FAILURES: Final = {
    400: "The request is malformed, or a parameter is not allowed.",
    401: "Credentials are missing, wrong or expired.",
    403: "The permission or the CSRF token is missing.",
    404: "The address names no such object.",
    408: "The body did not arrive within 10 seconds.",
    413: "The body is larger than 2.5 MB.",
    415: "The body is not JSON.",
    429: "Too many failures, or too many sign-ins at once. Retry-After gives the seconds to wait.",
    503: "PostgreSQL does not answer, or too many requests wait. Retry-After gives the seconds to wait.",
}
SENTENCE_END: Final = re.compile(r"\.(?:\s+|$)")

_building = Lock()


class Detail(serializers.Serializer[None]):
    """One sentence: the result, or the error and the next step."""

    detail = serializers.CharField()


def failures(*codes: int) -> dict[int, OpenApiResponse]:
    """Return the responses of these status codes, for `extend_schema`."""
    return {code: OpenApiResponse(Detail, FAILURES[code]) for code in codes}


def add_failures(result: Schema, **_: Any) -> Schema:
    """Add the failures that all operations of a sort may return. The body of each failure is a Detail."""
    for path, operations in result["paths"].items():
        for method, operation in operations.items():
            responses = operation["responses"]
            for code in _common_failures(path, method, operation):
                responses.setdefault(str(code), {"description": FAILURES[code]})
            for code, response in responses.items():
                if code >= "400":
                    response.setdefault("content", DETAIL)
    return result


def add_summaries(result: Schema, **_: Any) -> Schema:
    """Turn the first sentence of a description into the summary."""
    for operations in result["paths"].values():
        for operation in operations.values():
            operation["summary"], *rest = SENTENCE_END.split(operation.pop("description"), maxsplit=1)
            if text := "".join(rest):
                operation["description"] = text
    return result


def _common_failures(path: str, method: str, operation: Schema) -> Iterator[int]:
    if "requestBody" in operation:
        yield from (400, 408, 413, 415)
    if {} not in operation.get("security", [{}]):
        yield from (400, 401, 503)
        yield from (403,) * (method != "get") + (404,) * ("{" in path)


class Generator(SchemaGenerator):
    """A generator that works once per process: the document is public and takes long to make."""

    def get_schema(self, request: Request | None = None, public: bool = False) -> Schema:
        return build_schema()


def build_schema() -> Schema:
    """Return the document. A server calls the function at its start, because the first call takes 0.1 s."""
    # drf-spectacular fails if two threads make a document at the same time.
    with _building:
        return _schema()


@cache
def _schema() -> Schema:
    return dict(SchemaGenerator().get_schema(request=None, public=True))  # type: ignore[no-untyped-call]
