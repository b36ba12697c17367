"""JWTs: users, lifetimes, signing keys and revocation."""

from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.db import OperationalError
from django.test import Client
from psycopg.errors import TooManyConnections
from pytest_django import DjangoAssertNumQueries, Settings

from config.access.tokens import AccessToken, RefreshToken
from health.runs.result import ERROR, ProbeResult
from health.snapshot import snapshot
from tests.access.conftest import PASSWORD, Outage, bearer, locked, locked_for_long, sign_in

OTHER = "another-key-0123456789-0123456789-0123456789"


def whoami(client: Client, token: str) -> Any:
    return client.get("/api/whoami", headers=bearer(token))


def token_of(user: User) -> str:
    return str(RefreshToken.for_user(user).access_token)


def test_it_gives_a_pair_that_signs_in(client: Client, ada: User) -> None:
    answer = sign_in(client, path="token")
    assert answer.status_code == 200
    assert set(answer.json()) == {"access", "refresh"}
    assert answer["Cache-Control"] == "no-store"
    assert whoami(client, answer.json()["access"]).json() == {"who": "ada", "auth": "AccessToken"}


def test_it_is_good_for_an_hour_and_its_refresh_for_a_week(ada: User) -> None:
    refresh = RefreshToken.for_user(ada)
    access = refresh.access_token
    assert access["exp"] - access["iat"] == 3600
    assert refresh["exp"] - refresh["iat"] == 7 * 86400


def test_a_refresh_token_buys_another_access_token(client: Client, ada: User) -> None:
    refresh = sign_in(client, path="token").json()["refresh"]
    answer = client.post("/api/v1/auth/token/refresh", {"refresh": refresh}, content_type="application/json")
    assert answer.status_code == 200
    assert set(answer.json()) == {"access"}
    assert whoami(client, answer.json()["access"]).json()["who"] == "ada"


def test_a_refresh_token_does_not_sign_in_itself(client: Client, ada: User) -> None:
    assert whoami(client, str(RefreshToken.for_user(ada))).status_code == 401


def test_an_access_token_does_not_buy_another(client: Client, ada: User) -> None:
    body = {"refresh": token_of(ada)}
    answer = client.post("/api/v1/auth/token/refresh", body, content_type="application/json")
    assert answer.status_code == 401
    assert answer.json() == {"detail": "Token has wrong type"}
    assert answer["WWW-Authenticate"] == 'Bearer realm="api"'


def expired(user: User) -> str:
    token = AccessToken.for_user(user)
    token.set_exp(from_time=datetime.now(UTC) - timedelta(hours=2))
    return str(token)


def unsigned(user: User) -> str:
    return jwt.encode(AccessToken.for_user(user).payload, None, algorithm="none")


def forged(user: User) -> str:
    return jwt.encode(AccessToken.for_user(user).payload, OTHER, algorithm="HS256")


def foreign_id(user: User) -> str:
    token = AccessToken.for_user(user)
    token["user_id"] = "b3d1c2aa-0000-4000-8000-000000000000"
    return str(token)


def without_user(user: User) -> str:
    return str(AccessToken())


@pytest.mark.parametrize("make", [expired, unsigned, forged, foreign_id, without_user, lambda user: "garbage"])
def test_it_refuses_any_other_token(client: Client, ada: User, make: Any) -> None:
    answer = whoami(client, make(ada))
    assert answer.status_code == 401
    assert set(answer.json()) == {"detail"}
    assert answer["WWW-Authenticate"] == 'Bearer realm="api"'


@pytest.mark.parametrize("header", ["Bearer", "Bearer a b", "Basic YWRhOmFkYQ==", ""])
def test_it_refuses_an_odd_header_without_asking_the_database(client: Client, header: str) -> None:
    assert client.get("/api/whoami", headers={"Authorization": header}).status_code == 401


def deactivated(user: User) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)


def deleted(user: User) -> None:
    user.delete()


def new_password(user: User) -> None:
    user.set_password("another one entirely")
    user.save()


@pytest.mark.parametrize("end", [deactivated, deleted, new_password])
def test_it_ends_at_once_with_its_user(client: Client, ada: User, end: Any) -> None:
    refresh = RefreshToken.for_user(ada)
    access = str(refresh.access_token)
    assert whoami(client, access).status_code == 200
    end(ada)
    assert whoami(client, access).status_code == 401
    body = {"refresh": str(refresh)}
    answer = client.post("/api/v1/auth/token/refresh", body, content_type="application/json")
    assert answer.status_code == 401
    assert set(answer.json()) == {"detail"}


def test_a_changed_signing_key_signs_nobody_out(client: Client, ada: User, settings: Settings) -> None:
    refresh = RefreshToken.for_user(ada)
    before, stale = str(refresh.access_token), expired(ada)
    settings.JWT_VERIFYING_KEYS = [django_settings.JWT_SIGNING_KEY]
    settings.JWT_SIGNING_KEY = OTHER
    assert whoami(client, before).status_code == 200
    assert whoami(client, token_of(ada)).status_code == 200
    assert whoami(client, stale).status_code == 401
    body = {"refresh": str(refresh)}
    renewed = client.post("/api/v1/auth/token/refresh", body, content_type="application/json").json()["access"]
    assert jwt.decode(renewed, OTHER, algorithms=["HS256"])["token_type"] == "access"


def test_a_key_that_is_no_longer_listed_is_worth_nothing(client: Client, ada: User, settings: Settings) -> None:
    before = token_of(ada)
    settings.JWT_SIGNING_KEY = OTHER
    assert whoami(client, before).status_code == 401


def test_it_costs_one_query(client: Client, ada: User, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    token = token_of(ada)
    with django_assert_num_queries(1):
        whoami(client, token)


def test_in_an_outage_it_counts_by_its_signature(client: Client, outage: Outage, ada: User) -> None:
    token, bad = token_of(ada), forged(ada)
    with outage():
        assert whoami(client, token).json()["auth"] == "AccessToken"
        assert whoami(client, bad).status_code == 401
    assert whoami(client, token).json()["who"] == "ada"


def test_a_statement_that_postgres_refuses_is_no_outage(client: Client, transactional_db: None, ada: User) -> None:
    token = token_of(ada)
    with locked(User):
        assert whoami(client, token).status_code == 503


def test_a_table_that_is_locked_is_no_outage(client: Client, transactional_db: None, ada: User) -> None:
    token = token_of(ada)
    deactivated(ada)
    with locked_for_long(User):
        assert whoami(client, token).status_code == 503
    assert whoami(client, token).status_code == 401


def test_a_postgres_with_too_many_connections_is_what_its_probe_says(
    client: Client, transactional_db: None, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = token_of(ada)

    def full(*_: Any, **__: Any) -> None:
        raise OperationalError from TooManyConnections()

    monkeypatch.setattr("config.access.authentication.JWTAuthentication.stored_user", full)
    assert whoami(client, token).status_code == 503
    monkeypatch.setattr(snapshot, "refresh", lambda names, **_: {name: ProbeResult(status=ERROR) for name in names})
    assert whoami(client, token).status_code == 200


def test_in_an_outage_nothing_is_renewed_or_given(client: Client, refused: Outage, ada: User) -> None:
    body = {"refresh": str(RefreshToken.for_user(ada))}
    with refused():
        renewal = client.post("/api/v1/auth/token/refresh", body, content_type="application/json")
        fresh = sign_in(client, path="token", password=PASSWORD)
    for answer in (renewal, fresh):
        assert answer.status_code == 503
        assert answer["Retry-After"] == "5"
        assert "PostgreSQL" in answer.json()["detail"]
