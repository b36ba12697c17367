"""The page of the OpenAPI document."""

from drf_spectacular.views import SpectacularSwaggerSplitView
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response


class DocsView(SpectacularSwaggerSplitView):
    """Swagger UI. Errors are JSON, because the view's templates render the document alone."""

    http_method_names = ["get", "head"]
    # The library's template has no `lang`.
    template_name = "docs.html"
    # Swagger UI has a dark theme, but does not follow the browser's preference.
    template_name_js = "docs.js"

    def handle_exception(self, exc: Exception) -> Response:
        self.request.accepted_renderer, self.request.accepted_media_type = JSONRenderer(), JSONRenderer.media_type
        return super().handle_exception(exc)
