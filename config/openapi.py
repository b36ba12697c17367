"""The OpenAPI document: made once per process, with the errors that every operation may answer."""

from functools import cache
from typing import Any, Final

from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import OpenApiExample, OpenApiResponse
from rest_framework import serializers
from rest_framework.request import Request

Schema = dict[str, Any]
ERROR: Final[Schema] = {"$ref": "#/components/schemas/Detail"}
# What to say, and what an answer looks like.
FAILURES: Final = {
    400: ("The request is malformed.", "username: This field is required."),
    401: ("Credentials are missing, wrong or no longer good.", "Authentication credentials were not provided."),
    403: ("The CSRF token is missing or old.", "CSRF Failed: CSRF token missing."),
    413: ("The body is larger than 2.5 MB.", "The body is too large."),
    415: ("The body is not JSON.", 'Unsupported media type "text/plain" in request.'),
    429: ("Too many failures; Retry-After says when.", "Too many failed attempts to sign in. Try again in 42 seconds."),
    503: ("PostgreSQL cannot be asked; Retry-After.", "PostgreSQL does not answer. Try again in a few seconds."),
}


class Detail(serializers.Serializer[None]):
    """One sentence: what happened, or what went wrong and what to do."""

    detail = serializers.CharField()


def failures(*codes: int) -> dict[int, OpenApiResponse]:
    """Return the responses of these codes, for `extend_schema`."""
    return {
        code: OpenApiResponse(
            Detail, FAILURES[code][0], examples=[OpenApiExample("Error", value={"detail": FAILURES[code][1]})]
        )
        for code in codes
    }


def add_failures(result: Schema, **_: Any) -> Schema:
    """Add 401 and 503 to each operation that needs credentials (a hook after the document is made)."""
    for operations in result["paths"].values():
        for operation in operations.values():
            if operation.get("security") and {} not in operation["security"]:
                for code in (401, 503):
                    operation["responses"].setdefault(str(code), _failure(code))
    return result


def _failure(code: int) -> Schema:
    description, detail = FAILURES[code]
    return {
        "description": description,
        "content": {"application/json": {"schema": ERROR, "examples": {"Error": {"value": {"detail": detail}}}}},
    }


class Generator(SchemaGenerator):
    """Makes the document once per process: it is public, and costs more than most answers."""

    def get_schema(self, request: Request | None = None, public: bool = False) -> Schema:
        """Return the document of all operations."""
        return _schema()


@cache
def _schema() -> Schema:
    return dict(SchemaGenerator().get_schema(request=None, public=True))  # type: ignore[no-untyped-call]
