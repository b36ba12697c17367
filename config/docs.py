"""The page that shows the OpenAPI document."""

from drf_spectacular.views import SpectacularSwaggerSplitView
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response


class DocsView(SpectacularSwaggerSplitView):
    """Swagger UI, to be read; what it refuses it refuses in JSON, since its templates know one page alone."""

    http_method_names = ["get", "head"]
    # Swagger UI has a dark dress, and does not look what the reader prefers.
    template_name_js = "docs.js"

    def handle_exception(self, exc: Exception) -> Response:
        """Answer {"detail"}."""
        self.request.accepted_renderer, self.request.accepted_media_type = JSONRenderer(), JSONRenderer.media_type
        return super().handle_exception(exc)
