"""The views of health."""

from time import monotonic
from typing import Any, Final

from django.http import HttpRequest
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.authentication import BaseAuthentication
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.permissions import AllowAny
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from health import report
from health.api import public
from health.registry import PROBES
from health.report import AliveSerializer, SummarySerializer, probe_serializer, report_serializer

TAGS: Final = ["health"]
# Seconds for a request, authentication included.
BUDGET: Final = 2.0


def _switch_parameter(name: str, description: str) -> OpenApiParameter:
    return OpenApiParameter(name, OpenApiTypes.STR, description=description, enum=["0", "1"], default="0")


STRICT: Final = _switch_parameter("strict", "1: answer 503, with the same body, unless the status is `ok`")
FRESH: Final = _switch_parameter("fresh", "1: run every probe on new connections, and read every checksummed file")
DETAIL: Final = {"type": "object", "properties": {"detail": {"type": "string"}}, "required": ["detail"]}
BAD_PARAMETER: Final = OpenApiResponse(DETAIL, "A parameter has a wrong value")
DETAILED: Final = report_serializer(tuple(probe for probe in PROBES.values() if probe.section))
SFTPGO: Final = probe_serializer(PROBES["sftpgo"])


class AlwaysJSON(BaseContentNegotiation):
    """Answers JSON even to `Accept: text/plain`: a monitor would take 406 for an outage."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return parsers[0]

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        return renderers[0], renderers[0].media_type


class HealthViewSet(ViewSet):
    """Answers uncached JSON within BUDGET."""

    content_negotiation_class = AlwaysJSON
    common_headers = public.HEADERS

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Start the clock before authentication, which may wait for PostgreSQL."""
        self.until = monotonic() + BUDGET
        return super().dispatch(request, *args, **kwargs)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Add the headers, to errors too."""
        answer = super().finalize_response(request, response, *args, **kwargs)
        for name, value in self.common_headers.items():
            answer[name] = value
        return answer

    def budget(self) -> float:
        """Return the seconds that remain for probes."""
        return max(0.0, self.until - monotonic())


class PublicHealth(HealthViewSet):
    """Public views for load balancers and monitoring, which need no database."""

    authentication_classes: list[type[BaseAuthentication]] = []
    permission_classes = [AllowAny]

    @extend_schema(
        operation_id="health",
        tags=TAGS,
        auth=[],
        parameters=[STRICT],
        responses={
            200: OpenApiResponse(SummarySerializer, "`ok` or `degraded`"),
            400: BAD_PARAMETER,
            503: OpenApiResponse(SummarySerializer, "Degraded, with `strict=1`"),
        },
    )
    def summary(self, request: Request) -> Response:
        """Basic server health status, for load balancers and monitoring.

        The status is that of the last probes; the request contacts no service. `degraded` is 200 too, because the
        server still responds.
        """
        return _response(public.summary(request.META.get("QUERY_STRING", "")))

    @extend_schema(
        operation_id="health_live",
        tags=TAGS,
        auth=[],
        responses={200: OpenApiResponse(AliveSerializer, "The process answers")},
    )
    def live(self, request: Request) -> Response:
        """Whether the process answers; restart the process if not."""
        return _response(public.live(request.META.get("QUERY_STRING", "")))

    @extend_schema(
        operation_id="health_ready",
        tags=TAGS,
        auth=[],
        responses={
            200: OpenApiResponse(AliveSerializer, "Send requests"),
            503: OpenApiResponse(DETAIL, "The server is starting"),
        },
    )
    def ready(self, request: Request) -> Response:
        """Whether to send requests: the first round of probes has ended."""
        return _response(public.ready(request.META.get("QUERY_STRING", "")))

    @extend_schema(
        operation_id="stats_sftpgo",
        tags=["stats"],
        auth=[],
        responses={200: OpenApiResponse(SFTPGO, "The status; `disabled` if the platform has no SFTPGo")},
    )
    def sftpgo(self, request: Request) -> Response:
        """SFTPGo service status, requested from SFTPGo at most every five seconds."""
        return Response(report.sftpgo(budget=self.budget()))


class DetailedHealth(HealthViewSet):
    """The detailed report, with the authentication of the settings."""

    common_headers = public.HEADERS | {"Cache-Control": "private, no-store"}

    @extend_schema(
        operation_id="health_detailed",
        tags=TAGS,
        parameters=[STRICT, FRESH],
        responses={
            200: OpenApiResponse(DETAILED, "The results within two seconds"),
            400: BAD_PARAMETER,
        },
    )
    def detailed(self, request: Request) -> Response:
        """Full system health: each service, resources, pipeline, schema, identities, switches and integrations.

        Unknown values are null, with the reason in the section's `error`.
        """
        try:
            strict, fresh = (public.switch(request.META.get("QUERY_STRING", ""), name) for name in ("strict", "fresh"))
        except ValueError as error:
            return Response({"detail": str(error)}, 400)
        return _response(public.report_answer(report.detailed(budget=self.budget(), fresh=fresh), strict=strict))


def _response(answer: public.Answer) -> Response:
    response = Response(answer.body, answer.status, headers=answer.headers)
    # Django's flag against a log line: a monitor that requests 503 every few seconds must not fill the log.
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response
