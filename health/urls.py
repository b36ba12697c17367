"""URLs of health, without trailing slash."""

from django.urls import path

from health.api.views import DetailedHealth, PublicHealth

urlpatterns = [
    path("health", PublicHealth.as_view({"get": "summary"}), name="health"),
    path("health/live", PublicHealth.as_view({"get": "live"}), name="health-live"),
    path("health/ready", PublicHealth.as_view({"get": "ready"}), name="health-ready"),
    path("health/detailed", DetailedHealth.as_view({"get": "detailed"}), name="health-detailed"),
    path("api/v1/stats/sftpgo", PublicHealth.as_view({"get": "sftpgo"}), name="stats-sftpgo"),
]
