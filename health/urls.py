"""URLs of health. The page in the admin comes before the admin's own pattern."""

from django.contrib import admin
from django.urls import path

from health.admin import health_page
from health.api.views import DetailedHealth, PublicHealth

urlpatterns = [
    path("health", PublicHealth.as_view({"get": "summary"}), name="health"),
    path("health/live", PublicHealth.as_view({"get": "live"}), name="health-live"),
    path("health/ready", PublicHealth.as_view({"get": "ready"}), name="health-ready"),
    path("health/detailed", DetailedHealth.as_view({"get": "detailed"}), name="health-detailed"),
    path("admin/health/", admin.site.admin_view(health_page), name="health-page"),
    path("api/v1/stats/sftpgo", PublicHealth.as_view({"get": "sftpgo"}), name="stats-sftpgo"),
]
