"""Every address of the service, in one place."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("", include("health.urls")),
    path("", include("consistency.urls")),
    path("", include("config.access.urls")),
    path("admin/", admin.site.urls),
]
