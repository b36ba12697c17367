"""The URLs of the service."""

from django.contrib import admin
from django.contrib.auth.views import LoginView
from django.urls import include, path
from django.views.decorators.cache import cache_control
from django.views.generic import TemplateView
from drf_spectacular.views import SpectacularJSONAPIView

from config.docs import DocsView
from config.pages import index, status

admin.site.site_header = admin.site.site_title = "Continuity"
DAY = 86_400
icon = TemplateView.as_view(template_name="favicon.svg", content_type="image/svg+xml")

urlpatterns = [
    path("", index, name="index"),
    path("status", status, name="status"),
    path("login", LoginView.as_view(template_name="login.html"), name="sign-in"),
    path("", include("health.urls")),
    path("", include("consistency.urls")),
    path("", include("config.access.urls")),
    path("api/schema", SpectacularJSONAPIView.as_view(), name="schema"),
    path("api/docs", DocsView.as_view(), name="docs"),
    path("admin/", admin.site.urls),
    path("favicon.ico", cache_control(max_age=DAY)(icon)),
]

handler400 = "config.errors.bad_request"
handler403 = "config.errors.permission_denied"
handler404 = "config.errors.page_not_found"
handler500 = "config.errors.server_error"
