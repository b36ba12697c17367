"""Addresses of the REST API."""

from django.urls import include, path
from rest_framework.routers import SimpleRouter

from consistency.api.views import AnomaliesViewSet, ChecksViewSet, ConsistencyViewSet, ScansViewSet

router = SimpleRouter(trailing_slash=False, use_regex_path=False)
router.register("checks", ChecksViewSet, basename="consistency-check")
router.register("scans", ScansViewSet, basename="consistency-scan")
router.register("anomalies", AnomaliesViewSet, basename="consistency-anomaly")

urlpatterns = [
    path("health/consistency", ConsistencyViewSet.as_view({"get": "report"}), name="consistency"),
    path("api/v1/consistency/", include(router.urls)),
]
