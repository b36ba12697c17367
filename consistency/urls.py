"""Addresses of this app."""

from django.urls import path

from consistency.views import ConsistencyViewSet

urlpatterns = [
    path("health/consistency", ConsistencyViewSet.as_view({"get": "report"}), name="consistency"),
]
