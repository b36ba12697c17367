"""Health over REST: thin viewsets over the reports, public ones without any look-up of who asks."""

from time import monotonic
from typing import Any, Final

from django.http import HttpRequest
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import ValidationError
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.permissions import AllowAny
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from health import openapi, public, report

TAGS: Final = ["health"]
# Seconds for a whole request, authentication included.
BUDGET: Final = 2.0


class AlwaysJSON(BaseContentNegotiation):
    """JSON whatever the client prefers: a monitor that asks for text would otherwise be told 406, and call us down."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return parsers[0]

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        return renderers[0], renderers[0].media_type


class HealthViewSet(ViewSet):
    """What all of them share: JSON that nobody keeps, and a budget that counts from the first moment."""

    content_negotiation_class = AlwaysJSON
    headers_of_all = public.HEADERS

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Start the clock before authentication, which may have to wait for PostgreSQL."""
        self.until = monotonic() + BUDGET
        return super().dispatch(request, *args, **kwargs)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Let nobody keep the answer, or take it for anything but JSON."""
        answer = super().finalize_response(request, response, *args, **kwargs)
        for name, value in self.headers_of_all.items():
            answer[name] = value
        return answer

    def budget(self) -> float:
        """Seconds that the probes may still take."""
        return max(0.0, self.until - monotonic())


class PublicHealth(HealthViewSet):
    """For load balancers and monitoring: open to all, and independent of anything that could be down."""

    authentication_classes: list[type[BaseAuthentication]] = []
    permission_classes = [AllowAny]

    @extend_schema(
        operation_id="health",
        tags=TAGS,
        auth=[],
        parameters=[openapi.STRICT],
        examples=[openapi.SUMMARY_EXAMPLE],
        responses={
            200: OpenApiResponse(openapi.SUMMARY, "`ok` or `degraded`"),
            400: openapi.BAD_PARAMETER,
            503: OpenApiResponse(openapi.SUMMARY, "Degraded, with `strict=1`"),
        },
    )
    def summary(self, request: Request) -> Response:
        """Basic server health status, for load balancers and monitoring.

        Touches no dependency: it tells what the server's own probes last found. `degraded` is 200 too, since the
        server still responds.
        """
        return _response(public.summary(_query(request)))

    @extend_schema(
        operation_id="health_live",
        tags=TAGS,
        auth=[],
        examples=[openapi.ALIVE_EXAMPLE],
        responses={200: OpenApiResponse(openapi.ALIVE, "The process answers")},
    )
    def live(self, request: Request) -> Response:
        """Whether the process answers: restart it if not."""
        return _response(public.live(_query(request)))

    @extend_schema(
        operation_id="health_ready",
        tags=TAGS,
        auth=[],
        examples=[openapi.ALIVE_EXAMPLE],
        responses={200: OpenApiResponse(openapi.ALIVE, "Send requests"), 503: openapi.NOT_READY},
    )
    def ready(self, request: Request) -> Response:
        """Whether to send requests here: the first round of probes is done, and the server is not stopping."""
        return _response(public.ready(_query(request)))

    @extend_schema(
        operation_id="stats_sftpgo",
        tags=["stats"],
        auth=[],
        examples=[openapi.SFTPGO_EXAMPLE],
        responses={200: OpenApiResponse(openapi.SFTPGO, "Its status; `disabled` where the platform has no SFTPGo")},
    )
    def sftpgo(self, request: Request) -> Response:
        """SFTPGo service status, asked at most every five seconds."""
        return Response(report.sftpgo(budget=self.budget()))


class DetailedHealth(HealthViewSet):
    """The whole report, for who may see it: authentication and permission are those of the settings."""

    headers_of_all = public.HEADERS | {"Cache-Control": "private, no-store"}

    @extend_schema(
        operation_id="health_detailed",
        tags=TAGS,
        parameters=[openapi.STRICT, openapi.FRESH],
        examples=[openapi.DETAILED_EXAMPLE],
        responses={
            200: OpenApiResponse(openapi.detailed(), "Whatever could be found out within two seconds"),
            400: openapi.BAD_PARAMETER,
            401: openapi.UNAUTHORIZED,
            503: openapi.UNAVAILABLE,
        },
    )
    def detailed(self, request: Request) -> Response:
        """Full system health: each service, resources, pipeline, schema, identities, toggles and integrations.

        What could not be found out is null, with the reason in that section's `error`.
        """
        strict, fresh = _switch(request, "strict"), _switch(request, "fresh")
        return _response(public.reported(report.detailed(budget=self.budget(), fresh=fresh), strict=strict))


def _response(answer: public.Answer) -> Response:
    response = Response(answer.body, answer.status, headers=answer.headers)
    # Django's own word for it: who asks for a 503 every few seconds should not fill the log with errors.
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response


def _query(request: Request) -> str:
    query: str = request.META.get("QUERY_STRING", "")
    return query


def _switch(request: Request, name: str) -> bool:
    try:
        return public.switch(_query(request), name)
    except public.BadParameterError as problem:
        raise ValidationError({"detail": str(problem)}) from problem
