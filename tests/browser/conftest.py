"""A real Chromium on a real server."""

import os
import shutil
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.test import override_settings
from pytest_django.live_server_helper import LiveServer

from tests.consistency.conftest import transactional_db

__all__ = ["transactional_db"]

PASSWORD = "a browser's own password"


@pytest.fixture(scope="module")
def address(django_db_setup: None) -> Iterator[str]:
    """Serve without TLS, as the demo does; the middleware that would redirect reads the settings once, at its start."""
    with override_settings(SECURE_SSL_REDIRECT=False, SESSION_COOKIE_SECURE=False, CSRF_COOKIE_SECURE=False):
        server = LiveServer("127.0.0.1")
        yield server.url
        server.stop()


@pytest.fixture(scope="module")
def chromium(address: str) -> Iterator[Any]:
    """Start the installed browser. Without playwright (requirements-dev.txt) skip the tests, and fail them in CI.

    The browser ends before the server: an open connection would keep the server's connection to the database.
    """
    if not find_spec("playwright"):
        end = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        end("not run: playwright not installed (requirements-dev.txt)")
    from playwright.sync_api import sync_playwright

    # Playwright runs an event loop in this thread, where Django refuses to use the database.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield browser
        browser.close()
        # Inside the loop, this thread has connections of its own.
        connections.close_all()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture
def person(transactional_db: None) -> Iterator[User]:
    user = User.objects.create_superuser("root", password=PASSWORD)
    yield user
    user.delete()


@pytest.fixture
def open_page(chromium: Any, address: str, person: User) -> Iterator[Callable[..., Any]]:
    """Open a page as a signed-in person; an error in its console fails the test."""
    contexts: list[Any] = []
    wrong: list[str] = []

    def opened(path: str = "/admin/", **look: Any) -> Any:
        context = chromium.new_context(base_url=address, **look)
        context.set_default_timeout(20_000)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto("/admin/login/?next=" + path)
        page.fill("#id_username", "root")
        page.fill("#id_password", PASSWORD)
        page.click("input[type=submit]")
        page.wait_for_url("**" + path)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert wrong == []
