"""An address with a NUL character is 404 or 400."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin as site
from django.contrib.auth.models import User
from django.test import Client
from django.urls import URLResolver, get_resolver

from config.access import keys
from tests.access.conftest import sign_in
from tests.access.test_openapi import document

NUL = ("%00", "1%00", "%001", "a%00b")
PAGES = ("", "add/", "1/change/", "1/history/", "1/delete/")
LOOKUPS = ("", "__exact", "__in", "__gte", "__icontains", "__isnull", "__range", "__id__exact")
ADMIN = {"q", "o", "p", "e", "all", "_to_field", "_popup", "_changelist_filters", "%00", "state", "after", "before"}


def paths(patterns: list[Any], prefix: str = "/") -> Iterator[str]:
    """Yield the path of every URL that has a parameter, with `{}` for each parameter."""
    for pattern in patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from paths(pattern.url_patterns, path)
        elif "<" in path:
            yield re.sub(r"\(\?P<\w+>.*\)\$$|<[^>]+>", "{}", path)


def test_a_path_with_nul_is_404(client: Client, admin: User) -> None:
    sign_in(client, "root")
    token = {"X-CSRFToken": client.cookies["csrftoken"].value, "Origin": "https://testserver"}
    statuses = {}
    for path in paths(get_resolver("config.urls").url_patterns):
        for value in NUL:
            for method in ("get", "post"):
                answer = getattr(client, method)(path.replace("{}", value), headers=token)
                statuses[method, path, value] = answer.status_code
    assert len(statuses) > 400
    assert {place for place, status in statuses.items() if status not in (404, 405)} == set()


@pytest.mark.parametrize("model", site.site._registry)
def test_a_filter_of_the_admin_with_nul_is_404(client: Client, admin: User, model: Any) -> None:
    sign_in(client, "root")
    fields = {field.name + lookup for field in model._meta.get_fields() for lookup in LOOKUPS}
    for page in PAGES:
        for name in (ADMIN | fields) if page == "" else ADMIN:
            path = f"/admin/{model._meta.app_label}/{model._meta.model_name}/{page}?{name}=a%00"
            assert client.get(path).status_code == 404, path


@pytest.mark.parametrize("path", ["", "login/", "autocomplete/", "health/", "jsi18n/", "password_change/"])
def test_a_page_of_the_admin_with_nul_is_404(client: Client, admin: User, path: str) -> None:
    sign_in(client, "root")
    for name in ("next", "term", "page", "app_label", "x"):
        assert client.get(f"/admin/{path}?{name}=%00").status_code == 404, name


def test_nul_that_is_quoted_twice_is_a_text(client: Client, admin: User) -> None:
    sign_in(client, "root")
    assert client.get("/admin/auth/user/?q=%2500").status_code == 200


@pytest.mark.parametrize("path", [path for path, operations in document()["paths"].items() if "get" in operations])
def test_a_parameter_with_nul_is_never_500(client: Client, db: None, path: str) -> None:
    key = {"X-API-Key": keys.issue("tests", 1)[1]}
    described = document()["paths"][path]["get"].get("parameters", [])
    for name in {parameter["name"] for parameter in described} | {"x", "%00"}:
        answer = client.get(f"{path.format(number=1)}?{name}=a%00", headers=key)
        # A server that has just started is not ready. Health addresses ignore unknown parameters.
        expected = (200, 400, 503) if path.startswith(("/health", "/api/v1/stats")) else (400, 404)
        assert answer.status_code in expected, name
