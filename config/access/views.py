"""Sign in and out: JWT pairs for programs, sessions for browsers."""

from typing import Any, Final

from django.contrib.auth import authenticate, login, logout
from django.contrib.auth.models import User
from django.http import HttpResponseRedirect
from django.urls import reverse
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.parsers import FormParser, MultiPartParser
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework_simplejwt.exceptions import InvalidToken, TokenError

from config.access.authentication import JWTAuthentication, SessionAuthentication
from config.access.parsers import JSONParser
from config.access.serializers import Access, Credentials, Refresh, TokenPair
from config.access.tokens import AccessToken, RefreshToken
from config.openapi import Detail, failures

TAGS: Final = ["access"]


class PublicView(APIView):
    """Base of the endpoints that need no credentials."""

    permission_classes = [AllowAny]
    authentication_classes: list[type[BaseAuthentication]] = []

    def get_authenticate_header(self, request: Request) -> str:
        """Return WWW-Authenticate, so that DRF answers a wrong password with 401."""
        return JWTAuthentication().authenticate_header(request)


class TokenView(PublicView):
    @extend_schema(
        operation_id="token",
        tags=TAGS,
        request=Credentials,
        responses={200: TokenPair, **failures(401, 429, 503)},
    )
    def post(self, request: Request) -> Response:
        """Sign in with a user name and a password, and get two JWTs."""
        refresh = RefreshToken.for_user(_authenticated_user(request))
        return Response({"access": str(refresh.access_token), "refresh": str(refresh)})


class RefreshView(PublicView):
    @extend_schema(
        operation_id="token_refresh", tags=TAGS, request=Refresh, responses={200: Access, **failures(401, 503)}
    )
    def post(self, request: Request) -> Response:
        """Get a new access token while the user is active and has the same password.

        PostgreSQL must answer: a signature alone is not enough.
        """
        body = Refresh(data=request.data)
        body.is_valid(raise_exception=True)
        try:
            refresh = RefreshToken(body.validated_data["refresh"])
        except TokenError as error:
            raise InvalidToken(str(error)) from error
        user = JWTAuthentication().stored_user(refresh)
        return Response({"access": str(AccessToken.for_user(user))})


class LoginView(PublicView):
    @extend_schema(
        operation_id="login",
        tags=TAGS,
        request=Credentials,
        responses={200: OpenApiResponse(Detail, "Signed in, with a session cookie."), **failures(401, 429, 503)},
    )
    def post(self, request: Request) -> Response:
        """Sign in and get a session cookie. Requests that change data must send the csrftoken cookie as X-CSRFToken.

        The session gets a new key, so a session planted in the browser before is worthless.
        """
        user = _authenticated_user(request)
        login(request._request, user)
        return Response({"detail": f"Signed in as {user.get_username()}."})


class LogoutView(PublicView):
    authentication_classes = [SessionAuthentication]
    # The form of a page carries the CSRF token.
    parser_classes = [JSONParser, FormParser, MultiPartParser]

    def perform_content_negotiation(self, request: Request, force: bool = False) -> tuple[Any, str]:
        """Let a page accept HTML alone: it gets a redirect, and errors as JSON."""
        return super().perform_content_negotiation(request, force=force or _is_page(request))

    @extend_schema(
        operation_id="logout",
        tags=TAGS,
        request=None,
        responses={
            200: OpenApiResponse(Detail, "Signed out, or was not signed in."),
            303: OpenApiResponse(description="Signed out by the form of a page (Accept: text/html): to the index."),
            **failures(403, 413, 503),
        },
    )
    def post(self, request: Request) -> Response | HttpResponseRedirect:
        """Sign out. A session needs the CSRF token, in the header X-CSRFToken or in the field of a form."""
        logout(request._request)
        if _is_page(request):
            return HttpResponseRedirect(reverse("index"), status=303)
        return Response({"detail": "Signed out."})


def _is_page(request: Request) -> bool:
    return "text/html" in request.headers.get("Accept", "")


def _authenticated_user(request: Request) -> User:
    body = Credentials(data=request.data)
    body.is_valid(raise_exception=True)
    user = authenticate(request._request, **body.validated_data)
    if user is None:
        raise AuthenticationFailed("Wrong user name or password.")
    return user
