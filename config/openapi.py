"""The OpenAPI document: made once per process, with the errors that every operation may return."""

from functools import cache
from typing import Any, Final

from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import OpenApiResponse
from rest_framework import serializers
from rest_framework.request import Request

Schema = dict[str, Any]
DETAIL: Final = {"application/json": {"schema": {"$ref": "#/components/schemas/Detail"}}}
FAILURES: Final = {
    400: "The request is malformed.",
    401: "Credentials are missing, wrong or expired.",
    403: "The CSRF token is missing or old.",
    413: "The body is larger than 2.5 MB.",
    415: "The body is not JSON.",
    429: "Too many failures. Retry-After gives the seconds to wait.",
    503: "PostgreSQL does not answer. Retry-After gives the seconds to wait.",
}


class Detail(serializers.Serializer[None]):
    """One sentence: the result, or the error and the next step."""

    detail = serializers.CharField()


def failures(*codes: int) -> dict[int, OpenApiResponse]:
    """Return the responses of these status codes, for `extend_schema`."""
    return {code: OpenApiResponse(Detail, FAILURES[code]) for code in codes}


def add_failures(result: Schema, **_: Any) -> Schema:
    """Add 401 and 503 to operations with credentials, and 400, 413 and 415 to operations with a body."""
    for operations in result["paths"].values():
        for operation in operations.values():
            secured = {} not in operation.get("security", [{}])
            codes = (401, 503) * secured + (400, 413, 415) * ("requestBody" in operation)
            for code in codes:
                operation["responses"].setdefault(str(code), {"description": FAILURES[code], "content": DETAIL})
    return result


class Generator(SchemaGenerator):
    """A generator that works once per process: the document is public and takes long to make."""

    def get_schema(self, request: Request | None = None, public: bool = False) -> Schema:
        return _schema()


@cache
def _schema() -> Schema:
    return dict(SchemaGenerator().get_schema(request=None, public=True))  # type: ignore[no-untyped-call]
