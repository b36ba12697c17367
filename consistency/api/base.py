"""Base of the viewsets: permissions and parameters by action, a deadline, and errors."""

from collections.abc import Collection
from typing import Any, ClassVar

from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from common.postgres.deadline import deadline
from consistency.api.errors import translated
from consistency.api.parameters import refuse_unknown
from consistency.api.permissions import MayAct
from consistency.api.serializers import Body


class BaseViewSet(ViewSet):
    """A viewset that refuses unknown parameters, and waits for PostgreSQL for a limited time."""

    http_method_names = ["get", "head", "post", "delete"]
    permission_classes = [IsAuthenticated, MayAct]
    required_permissions: ClassVar[dict[str, str]] = {}
    """Permission by action. An action without an entry is open to every client with credentials."""
    allowed_parameters: ClassVar[dict[str, Collection[str]]] = {}
    """Query parameters by action. An action without an entry takes none."""

    @property
    def timeout(self) -> float:
        """Seconds that a request may wait for PostgreSQL."""
        return 10.0

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        with deadline(self.timeout):
            return super().dispatch(request, *args, **kwargs)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if self.action in self.action_map.values():
            refuse_unknown(request.query_params, self.allowed_parameters.get(self.action, ()))

    def validated(self, body_class: type[Body]) -> dict[str, Any]:
        """Return the validated body of the request."""
        body = body_class(data=self.request.data)
        body.is_valid(raise_exception=True)
        return dict(body.validated_data)

    def handle_exception(self, exc: Exception) -> Response:
        return super().handle_exception(translated(exc))
