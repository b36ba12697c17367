"""Viewsets of the REST API: the report, and the history of scans, anomalies and mutes."""

from typing import Any, Final

from django.conf import settings
from django.db.models import Model
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.functional import SimpleLazyObject
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema, extend_schema_view
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ReadOnlyModelViewSet

from common.choices import UnknownChoiceError
from consistency.api import parameters
from consistency.api.base import BaseViewSet
from consistency.api.checks import check_data
from consistency.api.errors import Refusal
from consistency.api.pagination import AnomalyPagination, ScanPagination
from consistency.api.serializers import AcknowledgeBody, CheckList, MuteBody, ScanBody, one_of
from consistency.api.streams import STREAM_TIMEOUT, CSVRenderer, FindingStream, NDJSONRenderer
from consistency.history import suppression
from consistency.history.filters import AnomalyFilter, ScanFilter
from consistency.history.queries import active_mutes, validate_check, validate_mutable, with_comments
from consistency.history.retention import prune
from consistency.history.scanning import read_scan, record_scan
from consistency.history.serializers import (
    AnomalySerializer,
    CheckSerializer,
    RecordedReportSerializer,
    ScanSerializer,
)
from consistency.models.history import Anomaly, Scan, Trigger
from consistency.notices.delivery import notify_later
from consistency.registry import CHECKS
from consistency.scan.formats import STREAM_FORMATS
from consistency.scan.selection import select_checks, tags
from consistency.scan.serializers import ReportSerializer, report_data

SCAN_TIMEOUT: Final = 10.0
RECORDING_TIMEOUT: Final = 20.0
DEFAULT_LIMIT: Final = 100
MAX_LIMIT: Final = 10_000
PAGE_PARAMETERS: Final = ("limit", "cursor")
DATABASE: Final = OpenApiParameter("database", description="`default` by default.")
REPORT_PARAMETERS: Final = [
    OpenApiParameter(
        "limit",
        {"type": "integer", "minimum": 0, "maximum": MAX_LIMIT},
        description=f"Rows per check, {DEFAULT_LIMIT} by default; NDJSON and CSV hold all rows by default.",
    ),
    OpenApiParameter(
        "check",
        {"type": "array", "items": one_of(CHECKS)},
        description="Run these checks only; repeated, or with commas.",
    ),
    OpenApiParameter(
        "tag", {"type": "array", "items": one_of(tags())}, description="Run the checks with at least one of these tags."
    ),
]
BUSY: Final = OpenApiResponse(description="A scan is being recorded. Retry-After gives the seconds to wait.")
NOT_OPEN: Final = OpenApiResponse(description="The anomaly is resolved, or a scan is being recorded.")
CHANGED: Final = OpenApiResponse(description="Another person changed the mute at the same moment.")


class ConsistencyViewSet(BaseViewSet):
    """Report of a scan that is not recorded."""

    renderer_classes = [JSONRenderer, NDJSONRenderer, CSVRenderer]
    allowed_parameters = {"report": ("limit", "check", "tag")}

    @property
    def timeout(self) -> float:
        """Return the longest timeout of a scan. The scan itself has a timeout, with a better message."""
        return STREAM_TIMEOUT

    @extend_schema(
        operation_id="health_consistency",
        tags=["health"],
        parameters=REPORT_PARAMETERS,
        responses={
            (200, "application/json"): ReportSerializer,
            (200, "application/x-ndjson"): OpenApiResponse(
                OpenApiTypes.STR, "A JSON object per finding and line; the last line is the report without rows."
            ),
            (200, "text/csv"): OpenApiResponse(
                OpenApiTypes.STR,
                "A record per finding; the last line begins with `#` and says whether the report is complete. An"
                " apostrophe precedes each sign that a spreadsheet would take for a formula.",
            ),
            406: OpenApiResponse(description="None of the three media types is acceptable."),
        },
    )
    def report(self, request: Request) -> HttpResponseBase:
        """Scan the database for inconsistent data. Writes nothing.

        The four default checks are always listed, also with count 0. Further checks run by name or tag.
        """
        query = request.query_params
        checks = select_checks(parameters.split_values(query, "check"), parameters.split_values(query, "tag"))
        limit = parameters.whole_number(query, "limit", 0, MAX_LIMIT)
        if (stream_format := STREAM_FORMATS.get(request.accepted_renderer.format)) is None:
            report = read_scan(checks, limit=DEFAULT_LIMIT if limit is None else limit, timeout=SCAN_TIMEOUT)
            return Response(report_data(report))
        if request.method == "HEAD":
            return HttpResponse(content_type=stream_format.content_type)
        stream = FindingStream(checks, limit, stream_format)
        return StreamingHttpResponse(stream, content_type=stream_format.content_type)

    def handle_exception(self, exc: Exception) -> Response:
        """Answer errors in JSON for every media type."""
        self.request.accepted_renderer, self.request.accepted_media_type = JSONRenderer(), "application/json"
        return super().handle_exception(exc)


@extend_schema(tags=["consistency"])
class ChecksViewSet(BaseViewSet):
    """Checks with their last recorded result and their mute."""

    lookup_url_kwarg = "check"
    lookup_value_converter = "slug"
    required_permissions = dict.fromkeys(("mute", "unmute"), "consistency.mute_check")
    allowed_parameters = dict.fromkeys(("list", "unmute"), ("database",))

    @extend_schema(operation_id="consistency_checks", parameters=[DATABASE], responses=CheckList)
    def list(self, request: Request) -> Response:
        """List every check with its last recorded result. Retired checks come last."""
        return Response({"checks": check_data(parameters.database(request.query_params))})

    @extend_schema(operation_id="consistency_mute", request=MuteBody, responses={200: CheckSerializer, 409: CHANGED})
    @action(detail=True, methods=["post"])
    def mute(self, request: Request, check: str) -> Response:
        """Mute a check: its findings do not affect status, exit code and notices. Replaces a running mute.

        The mute ends at its time. Unless sticky, the mute also ends if the count rises, or if the check is clean.
        """
        _refuse_unknown_check(check)
        body = self.validated(MuteBody)
        validate_mutable(check, body["database"])
        suppression.mute(check, by=request.user.get_username(), **body)
        return _check_response(check, body["database"])

    @extend_schema(operation_id="consistency_unmute", parameters=[DATABASE], responses={200: CheckSerializer})
    @mute.mapping.delete
    def unmute(self, request: Request, check: str) -> Response:
        """End the mute of a check, also of a retired check."""
        database = parameters.database(request.query_params)
        if not suppression.unmute(check, database=database, by=request.user.get_username()):
            _refuse_unknown_check(check)
            raise NotFound(f"{check} is not muted on database {database!r}.")
        return _check_response(check, database)


class HistoryViewSet(BaseViewSet, ReadOnlyModelViewSet[Any]):
    """Rows of the history: pages of a filtered list, and one row by number."""

    lookup_url_kwarg = "number"
    lookup_value_converter = "int"
    filter_backends = [DjangoFilterBackend]

    def get_object(self) -> Any:
        """Return the row of the address. The filters of the list do not apply."""
        number, queryset = self.kwargs["number"], self.get_queryset()
        row: Model | None = queryset.filter(pk=number).first()
        if row is None:
            name = queryset.model._meta.verbose_name
            raise NotFound(f"No {name} has the number {number}. Old rows are deleted.")
        return row


@extend_schema(tags=["consistency"])
@extend_schema_view(
    list=extend_schema(operation_id="consistency_scans", description="List the recorded scans, newest first."),
    retrieve=extend_schema(operation_id="consistency_scan", description="Show one recorded scan."),
)
class ScansViewSet(HistoryViewSet):
    """Recorded scans."""

    queryset = Scan.objects.prefetch_related("checks")
    serializer_class = ScanSerializer
    filterset_class = ScanFilter
    pagination_class = ScanPagination
    required_permissions = {"create": "consistency.scan_now"}
    allowed_parameters = {"list": (*ScanFilter.base_filters, *PAGE_PARAMETERS)}

    @property
    def timeout(self) -> float:
        """Return the time of both passes, the pause and the recording."""
        if self.request.method != "POST":
            return super().timeout
        pause: float = settings.CONSISTENCY_CONFIRM
        return SCAN_TIMEOUT * (2 if pause else 1) + pause + RECORDING_TIMEOUT

    @extend_schema(
        operation_id="consistency_scan_now",
        request=ScanBody,
        responses={
            201: OpenApiResponse(RecordedReportSerializer, "Recorded. Location is the address of the scan."),
            200: OpenApiResponse(RecordedReportSerializer, "Not recorded. `problem` gives the reason."),
            409: BUSY,
        },
    )
    def create(self, request: Request) -> Response:
        """Run a scan and record the result."""
        body = self.validated(ScanBody)
        recorded = record_scan(
            select_checks(body["checks"], body["tags"]),
            database=body["database"],
            trigger=Trigger.API,
            actor=request.user.get_username(),
            timeout=SCAN_TIMEOUT,
        )
        report = report_data(recorded.report)
        if recorded.scan is None:
            return Response(report | {"recorded": None, "problem": recorded.problem})
        notify_later(recorded)
        prune()
        address = reverse("consistency-scan-detail", args=[recorded.scan.id])
        return Response(report | {"recorded": recorded.scan.as_dict()}, status=201, headers={"Location": address})


@extend_schema(tags=["consistency"])
@extend_schema_view(
    list=extend_schema(
        operation_id="consistency_anomalies",
        description="List anomalies, by default the open ones, newest or returned first.\n\n"
        "With `resolved_since`, or with `state=resolved` and without `since` or `scan`, the last resolved come first.",
    ),
    retrieve=extend_schema(operation_id="consistency_anomaly", description="Show one anomaly, also a resolved one."),
)
class AnomaliesViewSet(HistoryViewSet):
    """Anomalies and their acknowledgement."""

    queryset = with_comments(Anomaly.objects.all())
    serializer_class = AnomalySerializer
    filterset_class = AnomalyFilter
    pagination_class = AnomalyPagination
    required_permissions = dict.fromkeys(("acknowledge", "end_acknowledgement"), "consistency.acknowledge_anomaly")
    allowed_parameters = {"list": (*AnomalyFilter.base_filters, *PAGE_PARAMETERS)}

    def get_serializer_context(self) -> dict[str, Any]:
        """Add the mutes in force, read at most once per request. The OpenAPI document needs no database."""
        return super().get_serializer_context() | {"mutes": SimpleLazyObject(active_mutes)}

    @extend_schema(
        operation_id="consistency_acknowledge",
        request=AcknowledgeBody,
        responses={200: AnomalySerializer, 409: NOT_OPEN},
    )
    @action(detail=True, methods=["post"])
    def acknowledge(self, request: Request, number: int) -> Response:
        """Acknowledge an anomaly: it does not affect status, exit code and notices. Replaces an acknowledgement.

        The acknowledgement ends at its time, if the detail of the row changes, and if the anomaly returns.
        """
        self.get_object()
        if not suppression.acknowledge([number], by=request.user.get_username(), **self.validated(AcknowledgeBody)):
            raise Refusal(409, f"Anomaly {number} is resolved: there is nothing to acknowledge.")
        return self.retrieve(request)

    @extend_schema(
        operation_id="consistency_end_acknowledgement", request=None, responses={200: AnomalySerializer, 409: BUSY}
    )
    @acknowledge.mapping.delete
    def end_acknowledgement(self, request: Request, number: int) -> Response:
        """End the acknowledgement of an anomaly."""
        self.get_object()
        if not suppression.end_acknowledgement([number], by=request.user.get_username()):
            raise NotFound(f"Anomaly {number} is not acknowledged.")
        return self.retrieve(request)


def _refuse_unknown_check(name: str) -> None:
    """Answer 404 to an unknown name in an address, with the nearest name."""
    try:
        validate_check(name)
    except UnknownChoiceError as error:
        raise NotFound(str(error)) from None


def _check_response(check: str, database: str) -> Response:
    [data] = check_data(database, [check])
    return Response(data)
