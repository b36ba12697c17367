"""Generated requests over each kind of credential: every check of schemathesis holds.

FUZZ_CASES is the number of requests over all kinds. From 5,000 on, the schema's edge cases (wrong methods, missing
headers, bounds) and sequences of requests run too.
"""

import itertools
import os
import re
from collections.abc import Callable, Iterable, Iterator
from math import ceil
from typing import Any, Final, NamedTuple

import pytest
import schemathesis
import werkzeug
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import connection, connections
from django.test import Client
from pytest_django import Settings
from schemathesis.engine import events, from_schema
from schemathesis.openapi.checks import RejectedPositiveData

from config.access import keys
from config.access.tokens import AccessToken
from consistency.history.scanning import record_scan
from consistency.models.history import Trigger
from consistency.registry import CHECKS
from consistency.scan.selection import select_checks
from tests.consistency.data import a_file

CASES: Final = int(os.environ.get("FUZZ_CASES", "500"))
WHOLE: Final = {"enabled": CASES >= 5_000}
KINDS: Final = ("none", "API key", "JWT of an administrator", "JWT of a plain user", "session of an administrator")
OPERATIONS: Final = 17  # those with a parameter or a body; each of the others has a single case
CONFIG: Final = {
    "seed": 1,
    "base-url": "https://localhost",
    "continue-on-failure": True,
    "generation": {"max-examples": ceil(CASES / len(KINDS) / OPERATIONS), "with-security-parameters": False},
    "phases": {"coverage": WHOLE, "stateful": WHOLE},
    # Without these, nearly every generated name and number is unknown.
    "dictionaries": {"checks": {"values": list(CHECKS)}, "numbers": {"values": [*range(5)]}},
    "parameters": {
        "path.check": {"dictionary": "checks", "probability": 0.9},
        "path.number": {"dictionary": "numbers", "probability": 0.7},
    },
}
# The check `positive_data_acceptance` is wrong for these answers: JSON Schema cannot express the rule.
RULES: Final = re.compile(
    "cursor must be one from"  # of an answer before
    "|unknown (check|database)"  # a name that the history or the settings know
    "|may not be blank"  # a text of spaces
    "|[Nn]ull characters|character NUL|[Ss]urrogate"  # characters that PostgreSQL does not store
    "|the end must lie in the future"  # and before a limit of the settings
    "|is not a time with a time zone"  # RFC 3339 has years and zones that Python has not
    "|nothing to mute"  # the state of the check
)
CSRF: Final = "a" * 32


class Credentials(NamedTuple):
    headers: dict[str, str]
    cookies: dict[str, str]


@pytest.fixture(params=KINDS)
def credentials(request: pytest.FixtureRequest, transactional_db: None, settings: Settings) -> Credentials:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    admin, plain = User.objects.create_superuser("root"), User.objects.create_user("ada")
    match request.param:
        case "API key":
            return Credentials({"X-API-Key": keys.issue("tests", 1)[1]}, {})
        case "JWT of an administrator":
            return Credentials({"Authorization": f"Bearer {AccessToken.for_user(admin)}"}, {})
        case "JWT of a plain user":
            return Credentials({"Authorization": f"Bearer {AccessToken.for_user(plain)}"}, {})
        case "session of an administrator":
            client = Client()
            client.force_login(admin)
            cookies = {"sessionid": client.cookies["sessionid"].value, "csrftoken": CSRF}
            return Credentials({"X-CSRFToken": CSRF, "Origin": "https://localhost"}, cookies)
    return Credentials({}, {})


@pytest.fixture
def rows(transactional_db: None) -> None:
    """Store a scan and anomalies, numbered from 0: small numbers are generated often."""
    for number in range(5):
        a_file(f"stale-{number}", "processing")
    with connection.cursor() as cursor:
        for table in ("anomaly", "scan"):
            cursor.execute(f"ALTER TABLE consistency_{table} ALTER COLUMN id SET MINVALUE 0 RESTART WITH 0")
    record_scan(select_checks(), trigger=Trigger.API)


class Browser(werkzeug.Client):
    """The client of schemathesis, without the options of `requests` that some checks pass."""

    def open(self, *arguments: Any, **options: Any) -> Any:
        for name in ("max_redirects", "verify", "cert"):
            options.pop(name, None)
        return super().open(*arguments, **options)


@pytest.fixture
def api(credentials: Credentials, rows: None, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the document as schemathesis reads it, with the application over TLS."""
    from config.wsgi import application  # runs the probes, which need the tables

    sessions = list(Session.objects.all())

    def over_tls(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        for session in sessions:
            session.save()  # a request before may have signed out
        answer = application(environ | {"wsgi.url_scheme": "https"}, start_response)
        try:
            return list(answer)
        finally:
            getattr(answer, "close", list)()
            connections.close_all()  # schemathesis has threads of its own

    # On a busy machine a deadline would pass, and 503 is a failure here. This clock runs backwards.
    monkeypatch.setattr("common.postgres.deadline.monotonic", itertools.count(0, -60).__next__)
    monkeypatch.setattr("schemathesis.python.wsgi.get_client", Browser)
    schema = schemathesis.openapi.from_wsgi("/api/schema", over_tls, config=schemathesis.Config.from_dict(CONFIG))
    # Without credentials, the requests have generated ones.
    schema.config.generation.with_security_parameters = not any(credentials)

    @schema.auth()
    class _Provider:
        def get(self, case: Any, context: Any) -> Credentials | None:
            return credentials if any(credentials) else None

        def set(self, case: Any, data: Credentials, context: Any) -> None:
            case.headers.update(data.headers)
            case.cookies.update(data.cookies)

    @schema.hook
    def filter_failure(context: Any, failure: Any, case: Any, response: schemathesis.Response) -> bool:
        return not (isinstance(failure, RejectedPositiveData) and RULES.search(response.text))

    return schema


def problems(event: events.EngineEvent) -> Iterator[str]:
    if isinstance(event, events.NonFatalError | events.FatalError):
        yield str(event)
    if isinstance(event, events.ScenarioFinished):
        for number, checks in event.recorder.checks.items():
            answer = event.recorder.interactions[number].response
            for check in checks:
                if failure := check.failure_info:
                    text = answer and (answer.status_code, answer.content[:500])
                    yield f"{check.name}: {failure.failure.message}\n{failure.code_sample}\n{text}"


@pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning")  # of the strategies of schemathesis
def test_every_answer_is_as_documented(api: Any) -> None:
    cases, found = 0, list[str]()
    for event in from_schema(api).execute():
        found += problems(event)
        if isinstance(event, events.ScenarioFinished):
            cases += len(event.recorder.interactions)
    assert not found, "\n\n".join([f"{len(found)} problems of {cases} cases", *found])
    assert cases >= CASES / len(KINDS)
