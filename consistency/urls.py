"""Addresses of this app."""

from django.urls import path

from consistency.api.report_view import ConsistencyViewSet
from consistency.api.views import AnomaliesViewSet, ChecksViewSet, ScansViewSet

API = "api/v1/consistency"
urlpatterns = [
    path("health/consistency", ConsistencyViewSet.as_view({"get": "report"}), name="consistency"),
    path(f"{API}/checks", ChecksViewSet.as_view({"get": "overview"}), name="consistency-checks"),
    path(
        f"{API}/checks/<slug:check>/mute",
        ChecksViewSet.as_view({"post": "mute", "delete": "unmute"}),
        name="consistency-mute",
    ),
    path(f"{API}/scans", ScansViewSet.as_view({"get": "scans", "post": "create"}), name="consistency-scans"),
    path(f"{API}/scans/<int:number>", ScansViewSet.as_view({"get": "retrieve"}), name="consistency-scan"),
    path(f"{API}/anomalies", AnomaliesViewSet.as_view({"get": "anomalies"}), name="consistency-anomalies"),
    path(f"{API}/anomalies/<int:number>", AnomaliesViewSet.as_view({"get": "retrieve"}), name="consistency-anomaly"),
    path(
        f"{API}/anomalies/<int:number>/acknowledge",
        AnomaliesViewSet.as_view({"post": "acknowledge", "delete": "end_acknowledgement"}),
        name="consistency-acknowledge",
    ),
]
