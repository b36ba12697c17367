"""Signing in and out: JWT pairs for programs, sessions for browsers."""

from typing import Any, Final

from django.contrib.auth import authenticate, login, logout
from django.contrib.auth.models import User
from django.http import HttpResponseRedirect
from django.urls import reverse
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.parsers import FormParser, MultiPartParser
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.views import APIView
from rest_framework_simplejwt.exceptions import InvalidToken, TokenError

from config.access.authentication import JWTAuthentication, SessionAuthentication
from config.access.parsers import JSONParser
from config.access.serializers import Access, Credentials, Refresh, TokenPair
from config.access.tokens import RefreshToken
from config.openapi import Detail, failures

TAGS: Final = ["access"]
CREDENTIALS: Final = OpenApiExample(
    "Credentials", value={"username": "ada", "password": "correct horse battery staple"}, request_only=True
)
TOKEN: Final = "eyJhbGciOiJIUzI1NiJ9.eyJ1c2VyX2lkIjoiMSJ9.c2lnbmF0dXJl"  # noqa: S105 - an example


def _answer(body: type[Serializer[None]], words: str, **example: str) -> OpenApiResponse:
    return OpenApiResponse(body, words, examples=[OpenApiExample("Answer", value=example)])


class Door(APIView):
    """An endpoint that needs no credentials, since it gives or ends them."""

    permission_classes = [AllowAny]
    authentication_classes: list[type[BaseAuthentication]] = []

    def get_authenticate_header(self, request: Request) -> str:
        """Return WWW-Authenticate: a wrong password is 401, though no authenticator stands here."""
        return JWTAuthentication().authenticate_header(request)


class TokenView(Door):
    """Exchange a user name and a password for a pair of JWTs."""

    @extend_schema(
        operation_id="token",
        tags=TAGS,
        request=Credentials,
        examples=[CREDENTIALS],
        responses={
            200: _answer(TokenPair, "Signed in.", access=TOKEN, refresh=TOKEN),
            **failures(400, 401, 413, 415, 429, 503),
        },
    )
    def post(self, request: Request) -> Response:
        """Sign in with a user name and a password, and get two JWTs."""
        refresh = RefreshToken.for_user(_user(request))
        return Response({"access": str(refresh.access_token), "refresh": str(refresh)})


class RefreshView(Door):
    """Exchange a refresh token for a new access token."""

    @extend_schema(
        operation_id="token_refresh",
        tags=TAGS,
        request=Refresh,
        examples=[OpenApiExample("Refresh", value={"refresh": TOKEN}, request_only=True)],
        responses={200: _answer(Access, "A new access token.", access=TOKEN), **failures(400, 401, 413, 415, 503)},
    )
    def post(self, request: Request) -> Response:
        """Get a new access token, as long as the user is still there, active, and has the same password.

        This one is never given on a signature alone: while PostgreSQL is down it answers 503.
        """
        body = Refresh(data=request.data)
        body.is_valid(raise_exception=True)
        try:
            refresh = RefreshToken(body.validated_data["refresh"])
        except TokenError as error:
            raise InvalidToken(str(error)) from error
        JWTAuthentication().look_up(refresh)
        return Response({"access": str(refresh.access_token)})


class LoginView(Door):
    """Exchange a user name and a password for a session."""

    @extend_schema(
        operation_id="login",
        tags=TAGS,
        request=Credentials,
        examples=[CREDENTIALS],
        responses={
            200: _answer(Detail, "Signed in; the cookies come with it.", detail="Signed in as ada."),
            **failures(400, 401, 413, 415, 429, 503),
        },
    )
    def post(self, request: Request) -> Response:
        """Sign in and get a session cookie; what changes something must send the csrftoken cookie as X-CSRFToken.

        The session gets a new key, so one that was planted in the browser before is worth nothing.
        """
        user = _user(request)
        login(request._request, user)
        return Response({"detail": f"Signed in as {user.get_username()}."})


class LogoutView(Door):
    """End the session."""

    authentication_classes = [SessionAuthentication]
    # The CSRF token of a page comes in a form.
    parser_classes = [JSONParser, FormParser, MultiPartParser]

    def perform_content_negotiation(self, request: Request, force: bool = False) -> tuple[Any, str]:
        """Let a page accept HTML alone: it gets the redirect, and what is refused as JSON."""
        return super().perform_content_negotiation(request, force=force or _is_page(request))

    @extend_schema(
        operation_id="logout",
        tags=TAGS,
        request=None,
        responses={
            200: _answer(Detail, "Signed out, or was not signed in.", detail="Signed out."),
            303: OpenApiResponse(description="The same, for a form on a page (Accept: text/html): back to the index."),
            **failures(403, 413, 503),
        },
    )
    def post(self, request: Request) -> Response | HttpResponseRedirect:
        """Sign out. With a session it needs the CSRF token, in the header X-CSRFToken (or a form's own field)."""
        logout(request._request)
        if _is_page(request):
            return HttpResponseRedirect(reverse("index"), status=303)
        return Response({"detail": "Signed out."})


def _is_page(request: Request) -> bool:
    return "text/html" in request.headers.get("Accept", "")


def _user(request: Request) -> User:
    body = Credentials(data=request.data)
    body.is_valid(raise_exception=True)
    user = authenticate(request._request, **body.validated_data)
    if user is None:
        raise AuthenticationFailed("Wrong user name or password.")
    return user
