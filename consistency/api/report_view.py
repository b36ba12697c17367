"""Consistency over REST: reads the question, runs the scan, picks the words that the client asked for."""

from collections.abc import Iterator
from typing import Any, Final

from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from common.choices import UnknownChoiceError, validate_choice
from consistency.api import report_schema as openapi
from consistency.history.recorder import look
from consistency.history.silence import MEMORY, silence_if_known
from consistency.registry import Check
from consistency.scan import formats
from consistency.scan.selection import chosen
from consistency.scan.slot import PATIENCE, BusyError
from consistency.scan.stream import Stream

SECONDS: Final = 10.0
DEFAULT_LIMIT: Final = 100
LARGEST_LIMIT: Final = 10_000
PARAMETERS: Final = ("limit", "check", "tag")


class StreamRenderer(BaseRenderer):
    """A media type that is written piece by piece, by the view itself."""

    content_type: str

    def pieces(self, stream: Stream) -> Iterator[str]:
        """The body, to its last line."""
        raise NotImplementedError

    def render(self, data: Any, *args: Any, **kwargs: Any) -> bytes:
        """Refuse: the view answers by itself."""
        raise NotImplementedError


class NDJSONRenderer(StreamRenderer):
    media_type = "application/x-ndjson"
    format = "ndjson"
    content_type = media_type

    def pieces(self, stream: Stream) -> Iterator[str]:
        return formats.ndjson(stream)


class CSVRenderer(StreamRenderer):
    media_type = "text/csv"
    format = "csv"
    content_type = "text/csv; charset=utf-8"

    def pieces(self, stream: Stream) -> Iterator[str]:
        return formats.csv_pieces(stream)


class StreamUnderWay(APIException):
    status_code = 503
    default_detail = "Another stream of findings is under way in this process. Try again when it is done."
    wait = PATIENCE


class Pieces:
    """The body of a stream: closing the response ends the transaction, begun or not."""

    def __init__(self, stream: Stream, pieces: Iterator[str]) -> None:
        self._stream, self._pieces = stream, pieces

    def __iter__(self) -> Iterator[str]:
        return self._pieces

    def close(self) -> None:
        """End the transaction and let another stream begin."""
        self._stream.close()


class ConsistencyViewSet(ViewSet):
    """Whether the stored data agrees with itself; looks, and never writes."""

    http_method_names = ["get", "head"]
    renderer_classes = [JSONRenderer, NDJSONRenderer, CSVRenderer]

    @extend_schema(
        operation_id="health_consistency",
        tags=["health"],
        parameters=openapi.parameters(LARGEST_LIMIT, DEFAULT_LIMIT),
        responses=openapi.RESPONSES,
        examples=[openapi.EXAMPLE],
    )
    def report(self, request: Request) -> HttpResponseBase:
        """Scan the database for data consistency issues, without modifying any data.

        The four default checks are always listed, in this order, with count 0 too; further ones by name or tag.
        """
        checks, limit = _checks(request), _limit(request)
        if not isinstance(request.accepted_renderer, StreamRenderer):
            found = look(checks, limit=DEFAULT_LIMIT if limit is None else limit, timeout=SECONDS)
            return Response(formats.as_dict(found))
        if request.method == "HEAD":
            return HttpResponse(content_type=request.accepted_renderer.content_type)
        return _streamed(checks, limit, request.accepted_renderer)

    def handle_exception(self, error: Exception) -> Response:
        """Tell what went wrong in JSON, whatever was asked for."""
        self.request.accepted_renderer, self.request.accepted_media_type = JSONRenderer(), "application/json"
        return super().handle_exception(error)


def _streamed(checks: list[Check], limit: int | None, renderer: StreamRenderer) -> StreamingHttpResponse:
    try:
        stream = Stream(checks, limit=limit, sight=silence_if_known(checks, MEMORY))
    except BusyError:
        raise StreamUnderWay from None
    return StreamingHttpResponse(Pieces(stream, renderer.pieces(stream)), content_type=renderer.content_type)


def _checks(request: Request) -> list[Check]:
    try:
        for name in request.query_params:
            validate_choice("parameter", name, PARAMETERS)
        return chosen(_words(request, "check"), _words(request, "tag"))
    except UnknownChoiceError as problem:
        raise ValidationError({"detail": str(problem)}) from None


def _words(request: Request, name: str) -> list[str]:
    return [word for value in request.query_params.getlist(name) for word in value.split(",")]


def _limit(request: Request) -> int | None:
    values = request.query_params.getlist("limit")
    if not values:
        return None
    [value] = values if len(values) == 1 else [""]
    if not (value.isascii() and value.isdigit() and len(value) < 10 and int(value) <= LARGEST_LIMIT):
        raise ValidationError({"detail": f"limit must be one whole number from 0 to {LARGEST_LIMIT}."})
    return int(value)
