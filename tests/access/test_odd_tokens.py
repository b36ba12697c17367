"""Odd tokens are 401: also with a good signature, and also while PostgreSQL is down."""

import json
from base64 import urlsafe_b64encode
from typing import Any, Final

import jwt
import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client

from config.access.tokens import AccessToken, RefreshToken
from tests.access.conftest import Outage, bearer

MISSING: Final = object()
DEEP: Final = b"[" * 30_000
NAN, INFINITY = float("nan"), float("inf")
ODD: tuple[Any, ...] = (
    [],
    ["1"],
    {},
    {"a": 1},
    None,
    True,
    1.5,
    NAN,
    INFINITY,
    "",
    " ",
    "\0",
    "1\0",
    "\ud800",
    "1 ",
    "x" * 3000,
)
IDS: tuple[Any, ...] = (*ODD, 0, -1, 10**30, -(10**30), "01", "\u0663", MISSING)
TIMES: tuple[Any, ...] = (*ODD, "soon", "4000000000", -1, 10**12, 10**17, 1e18, 10**30, "9" * 400, -INFINITY, MISSING)
CLAIMS: list[tuple[str, Any]] = [
    *(("user_id", value) for value in IDS),
    *(("exp", value) for value in TIMES),
    *((claim, value) for claim in ("iat", "nbf") for value in (*ODD[:5], NAN, INFINITY, "soon", 4e9, 10**30)),
    *(("token_type", value) for value in (*ODD, 1, ["access"], MISSING)),
    ("jti", MISSING),
]


def signed(payload: bytes, header: dict[str, Any] | None = None) -> str:
    return jwt.PyJWS().encode(payload, settings.JWT_SIGNING_KEY, algorithm="HS256", headers=header)


def odd(user: User, claim: str, value: Any, kind: Any = AccessToken) -> str:
    """Return a token of the user with a claim changed or (MISSING) absent."""
    payload = {**kind.for_user(user).payload, claim: value}
    if value is MISSING:
        del payload[claim]
    return signed(json.dumps(payload).encode())


def statuses(client: Client, tokens: list[str]) -> list[int]:
    return [client.get("/api/whoami", headers=bearer(token)).status_code for token in tokens]


def test_an_odd_claim_is_401(client: Client, ada: User) -> None:
    accepted = [(claim, value) for claim, value in CLAIMS if statuses(client, [odd(ada, claim, value)]) != [401]]
    assert accepted == []


def test_in_an_outage_an_odd_claim_is_401_too(client: Client, refused: Outage, ada: User) -> None:
    tokens = [odd(ada, claim, value) for claim, value in CLAIMS]
    with refused():
        assert statuses(client, tokens) == [401] * len(CLAIMS)


def test_an_odd_claim_of_a_refresh_token_is_refused(client: Client, ada: User) -> None:
    answers = {}
    for claim, value in CLAIMS:
        body = {"refresh": odd(ada, claim, value, RefreshToken)}
        answer = client.post("/api/v1/auth/token/refresh", body, content_type="application/json")
        answers[claim, str(value)] = answer.status_code
    # The serializer refuses a text of more than 4,096 characters.
    assert {key: status for key, status in answers.items() if status != (400 if "xxx" in key[1] else 401)} == {}


@pytest.mark.parametrize("claim", ["iss", "aud", "sub"])
def test_a_claim_that_nobody_reads_does_no_harm(client: Client, ada: User, claim: str) -> None:
    values: tuple[Any, ...] = (None, [], {}, 1, [1], "\0")
    for value in values:
        body = {"refresh": odd(ada, claim, value, RefreshToken)}
        answer = client.post("/api/v1/auth/token/refresh", body, content_type="application/json")
        assert answer.status_code in (200, 401), value


def test_a_segment_that_is_nested_too_deeply_is_401(client: Client, ada: User) -> None:
    head, payload, signature = odd(ada, "jti", "x").split(".")
    nested = urlsafe_b64encode(DEEP).decode().rstrip("=")
    tokens = [f"{nested}.{payload}.{signature}", f"{head}.{nested}.{signature}", signed(DEEP)]
    assert statuses(client, tokens) == [401] * 3


@pytest.mark.parametrize("payload", [b"[]", b"null", b"1", b'"text"', b"", b"{", b"\xff\xfe", b"{}", b'{"exp": 1e999}'])
def test_a_payload_that_is_no_object_is_401(client: Client, db: None, payload: bytes) -> None:
    assert statuses(client, [signed(payload)]) == [401]


@pytest.mark.parametrize(
    "header",
    [None, 1, *ODD[:4], *({"alg": value} for value in (*ODD[:8], "none", "None", "RS256", ["HS256"]))],
)
def test_a_header_without_our_algorithm_is_401(client: Client, ada: User, header: Any) -> None:
    _, payload, signature = odd(ada, "jti", "x").split(".")
    head = urlsafe_b64encode(json.dumps(header).encode()).decode().rstrip("=")
    assert statuses(client, [f"{head}.{payload}.{signature}", f"{head}.{payload}."]) == [401] * 2


@pytest.mark.parametrize("token", ["..", "a.b.c", "\xff.\xfe.\xfd", "=.=.=", "." * 3000, "\0", "e30.e30.e30"])
def test_a_text_that_is_no_token_is_401(client: Client, db: None, token: str) -> None:
    assert statuses(client, [token]) == [401]
