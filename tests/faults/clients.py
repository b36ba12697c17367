"""Requests to the service, and the judgement of each answer: in time, allowed, and without secrets."""

import http.client
import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode

from config.demo.process import HOST, ROOT
from tests.faults.platform import ADMINISTRATOR, Platform

MARGIN: Final = 3.0
"""Seconds beyond a deadline, on a machine that is not overloaded."""
CSRF: Final = "c" * 32


def margin() -> float:
    """Return the seconds that an answer may be late. Other programs may need the CPUs too."""
    return MARGIN * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


@dataclass(frozen=True)
class Endpoint:
    """An address of the service, and the seconds in which the service promises an answer."""

    path: str
    deadline: float
    method: str = "GET"
    expected: int = 200
    headers: Callable[["Access"], dict[str, str]] = lambda access: {}
    body: Callable[["Access"], str] = lambda access: ""
    may_be_refused: Collection[int] = ()
    """Statuses with Retry-After that the service may answer to too many clients."""


@dataclass
class Access:
    """The credentials of the clients."""

    platform: Platform
    token: str = ""

    def sign_in(self) -> None:
        """Get a new token."""
        answer = request(self, "sign-in")
        assert answer.status == 200, answer
        self.token = answer.body["access"]

    def credentials(self) -> dict[str, str]:
        return {"username": ADMINISTRATOR, "password": self.platform.password}


@dataclass(frozen=True)
class Answer:
    status: int
    """0: the connection ended without an answer."""
    headers: Mapping[str, str]
    body: Any
    text: str
    seconds: float


def _key(access: Access) -> dict[str, str]:
    return {"X-API-Key": access.platform.api_key}


def _token(access: Access) -> dict[str, str]:
    return {"Authorization": f"Bearer {access.token}"}


def _form(access: Access) -> str:
    return urlencode(access.credentials() | {"csrfmiddlewaretoken": CSRF, "next": "/admin/"})


ENDPOINTS: Final = {
    "health": Endpoint("/health", 1.0),
    "detailed, key": Endpoint("/health/detailed", 2.0, headers=_key, may_be_refused=(503,)),
    "detailed, JWT": Endpoint("/health/detailed", 2.0, headers=_token, may_be_refused=(503,)),
    "detailed, fresh": Endpoint("/health/detailed?fresh=1", 2.0, headers=_key),
    "consistency": Endpoint("/health/consistency", 10.0, headers=_key, may_be_refused=(503,)),
    "identity checks": Endpoint("/health/consistency?tag=identities", 10.0, headers=_key, may_be_refused=(503,)),
    "sftpgo": Endpoint("/api/v1/stats/sftpgo", 2.0, may_be_refused=(503,)),
    "sign-in": Endpoint(
        "/api/v1/auth/token",
        3.0,
        method="POST",
        headers=lambda access: {"Content-Type": "application/json"},
        body=lambda access: json.dumps(access.credentials()),
        may_be_refused=(429, 503),
    ),
    "admin page": Endpoint("/admin/login/", 3.0, may_be_refused=(503,)),
    "admin sign-in": Endpoint(
        "/admin/login/",
        3.0,
        method="POST",
        expected=302,
        headers=lambda access: {
            "Content-Type": "application/x-www-form-urlencoded",
            "Cookie": f"csrftoken={CSRF}",
        },
        body=_form,
        may_be_refused=(429, 503),
    ),
}
LOAD: Final = tuple(name for name in ENDPOINTS if name != "detailed, fresh")


def request(access: Access, name: str, timeout: float = 60.0) -> Answer:
    """Send one request on a new connection."""
    endpoint = ENDPOINTS[name]
    connection = http.client.HTTPConnection(HOST, access.platform.web.port, timeout=timeout)
    begin = time.monotonic()
    try:
        connection.request(endpoint.method, endpoint.path, endpoint.body(access), endpoint.headers(access))
        response = connection.getresponse()
        text = response.read().decode(errors="replace")
        status, headers = response.status, {key.lower(): value for key, value in response.getheaders()}
    except (OSError, http.client.HTTPException) as error:
        status, headers, text = 0, {}, type(error).__name__
    finally:
        connection.close()
    seconds = time.monotonic() - begin
    try:
        body = json.loads(text)
    except ValueError:
        body = None
    return Answer(status, headers, body, text, seconds)


def summary(text: str) -> str:
    """Return the end of a page without tags, or the beginning of another text."""
    words = " ".join(re.sub(r"(?s)<style.*?</style>|<[^>]*>", " ", text).split())
    return words[-150:] if text.startswith("<") else words[:150]


@dataclass
class Record:
    """Worst times and problems of the answers to a row."""

    access: Access
    may_503: Collection[str] = ()
    worst: dict[str, float] = field(default_factory=dict)
    problems: Counter[str] = field(default_factory=Counter)
    expected: Counter[str] = field(default_factory=Counter)
    """Number of answers with the expected status, by request."""

    def send(self, name: str) -> Answer:
        """Send a request and judge the answer."""
        answer = request(self.access, name)
        endpoint = ENDPOINTS[name]
        self.worst[name] = max(self.worst.get(name, 0.0), answer.seconds)
        if answer.seconds > endpoint.deadline + margin():
            self.problems[f"{name}: later than {endpoint.deadline:.0f} s and the margin"] += 1
        if answer.status == endpoint.expected:
            self.expected[name] += 1
        elif not self._is_honest(name, endpoint, answer):
            self.problems[f"{name}: {answer.status or 'no answer'} {summary(answer.text)!r}"] += 1
        for word in self.access.platform.secrets():
            if word in answer.text:
                self.problems[f"{name}: the answer betrays {word[:12]!r}"] += 1
        return answer

    def _is_honest(self, name: str, endpoint: Endpoint, answer: Answer) -> bool:
        """Return whether the status is that of the fault, or of too many clients. Load is no fault of PostgreSQL."""
        if name in self.may_503 and answer.status == 503:
            return "retry-after" in answer.headers or "read-only" in answer.text
        blames_postgres = "PostgreSQL does not answer" in answer.text
        return answer.status in endpoint.may_be_refused and "retry-after" in answer.headers and not blames_postgres

    def eight_clients(self) -> None:
        """Let eight clients send each request once, each client in another order."""

        def client(number: int) -> None:
            for position in range(len(LOAD)):
                self.send(LOAD[(number + position) % len(LOAD)])

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(client, range(8)))
        for name in LOAD:
            if name not in self.may_503 and not self.expected[name]:
                self.problems[f"{name}: all eight clients were refused"] += 1

    def burst(self, clients: int = 64) -> None:
        """Let many clients send a request at once."""
        with ThreadPoolExecutor(clients) as pool:
            list(pool.map(lambda number: self.send(LOAD[number % len(LOAD)]), range(clients)))


@dataclass(frozen=True)
class Run:
    """An ended command."""

    code: int
    out: str
    err: str
    seconds: float


def run_command(platform: Platform, *words: str, timeout: float) -> Run:
    """Run a command of Continuity. The code is -9 if the command must be killed after `timeout` seconds."""
    begin = time.monotonic()
    command = [sys.executable, "manage.py", *words]
    process = subprocess.Popen(
        command, cwd=ROOT, env=platform.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
    return Run(process.returncode, out, err, time.monotonic() - begin)
