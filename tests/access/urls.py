"""The URLs of the service, and views that raise errors."""

from typing import Any

from django.contrib.sessions.models import Session
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.template import engines
from django.template.response import SimpleTemplateResponse
from django.urls import path
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from config import urls

handler400, handler403, handler404, handler500 = urls.handler400, urls.handler403, urls.handler404, urls.handler500


class WhoAmI(APIView):
    def get(self, request: Request) -> Response:
        return Response({"who": str(request.user), "auth": type(request.auth).__name__})

    def post(self, request: Request) -> Response:
        return Response({"who": str(request.user), "got": request.data})


class Numbers(serializers.Serializer[None]):
    limit = serializers.IntegerField(max_value=10)
    inner = serializers.ListField(child=serializers.IntegerField(), required=False)


class Raises(APIView):
    authentication_classes = []
    permission_classes = []

    def get(self, request: Request, what: str) -> Response:
        if what == "invalid":
            Numbers(data={"limit": "many", "inner": [1, "x"]}).is_valid(raise_exception=True)
        if what == "bug":
            raise RuntimeError("secret of /srv/continuity")
        return Response({"rows": Session.objects.count()})


def page(request: HttpRequest, what: str) -> Any:
    """A plain Django view."""
    if what == "forbidden":
        raise PermissionDenied
    if what == "suspicious":
        raise SuspiciousOperation("secret of /srv/continuity")
    if what == "bug":
        raise RuntimeError("secret of /srv/continuity")
    if what == "render":
        template: Any = engines["django"].from_string("{{ rows.count }}")
        return SimpleTemplateResponse(template, {"rows": Session.objects.all()})
    if what == "session":
        request.session["seen"] = "yes"  # the middleware saves the session after the view
        return HttpResponse("ok")
    if what == "foreign":
        with connection.cursor() as cursor:
            cursor.execute("SELECT * FROM nobodys")
    if what == "refused":
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = 50; SELECT pg_sleep(10)")
    return HttpResponse(str(Session.objects.count()))


urlpatterns = [
    *urls.urlpatterns,
    path("api/whoami", WhoAmI.as_view()),
    path("api/raises/<str:what>", Raises.as_view()),
    path("page/<str:what>", page),
]
