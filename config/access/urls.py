"""URLs for signing in and out."""

from django.urls import path

import config.access.schemes  # noqa: F401 - drf-spectacular registers a description on import
from config.access.views import LoginView, LogoutView, RefreshView, TokenView

urlpatterns = [
    path("api/v1/auth/token", TokenView.as_view(), name="token"),
    path("api/v1/auth/token/refresh", RefreshView.as_view(), name="token-refresh"),
    path("api/v1/auth/login", LoginView.as_view(), name="login"),
    path("api/v1/auth/logout", LogoutView.as_view(), name="logout"),
]
