"""API keys as credentials, also in an outage of PostgreSQL."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries
from rest_framework_api_key.models import AbstractAPIKey, APIKey

from config.access import keys
from config.access.principal import KeyHolder
from health.registry import PROBES
from tests.access.conftest import Outage, locked, locked_for_long, sign_in


@pytest.fixture(autouse=True)
def _nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "_remembered", {})


def whoami(client: Client, secret: str) -> Any:
    return client.get("/api/whoami", headers={"X-API-Key": secret})


def expire(key: AbstractAPIKey) -> None:
    APIKey.objects.filter(prefix=key.prefix).update(expiry_date=timezone.now() - timedelta(seconds=1))


def revoke(key: AbstractAPIKey) -> None:
    keys.revoke(key.prefix)


def delete(key: AbstractAPIKey) -> None:
    APIKey.objects.filter(prefix=key.prefix).delete()


def with_another_secret(secret: str) -> str:
    prefix, _, rest = secret.partition(".")
    return f"{prefix}.{rest[::-1]}"


def test_it_opens(client: Client, db: None) -> None:
    key, secret = keys.issue("grafana", 30)
    answer = whoami(client, secret)
    assert answer.json() == {"who": f"API key {key.prefix} (grafana)", "auth": "APIKey"}


def test_it_is_kept_as_a_hash_alone(db: None) -> None:
    _, secret = keys.issue("grafana", None)
    stored = str(APIKey.objects.values().get())
    assert secret not in stored
    assert secret.partition(".")[2] not in stored


def test_its_holder_has_no_right_but_to_be_signed_in() -> None:
    holder = KeyHolder("abcdefgh", "grafana")
    assert holder.is_authenticated
    assert holder.is_active
    assert (holder.is_staff, holder.is_superuser, holder.is_anonymous) == (False, False, False)
    assert not holder.has_perm("auth.view_user")
    assert holder.pk is None
    assert holder.get_username() == "API key abcdefgh (grafana)"


def test_it_does_not_open_the_admin(client: Client, db: None) -> None:
    _, secret = keys.issue("grafana", None)
    assert client.get("/admin/", headers={"X-API-Key": secret}).status_code == 302


@pytest.mark.parametrize("end", [expire, revoke, delete])
def test_it_ends_at_once(client: Client, db: None, end: Any) -> None:
    key, secret = keys.issue("grafana", 30)
    assert whoami(client, secret).status_code == 200
    end(key)
    answer = whoami(client, secret)
    assert answer.status_code == 401
    assert set(answer.json()) == {"detail"}
    assert answer["WWW-Authenticate"] == 'Bearer realm="api"'


@pytest.mark.parametrize(("end", "words"), [(expire, "The API key is expired."), (revoke, "The API key is revoked.")])
def test_it_says_why_only_to_who_holds_the_whole_key(client: Client, db: None, end: Any, words: str) -> None:
    key, secret = keys.issue("grafana", 30)
    end(key)
    assert whoami(client, secret).json() == {"detail": words}
    assert whoami(client, with_another_secret(secret)).json() == {"detail": "The API key is unknown."}


def test_it_refuses_a_wrong_secret_and_an_unknown_prefix(client: Client, db: None) -> None:
    _, secret = keys.issue("grafana", None)
    for wrong in (with_another_secret(secret), "x" * 8 + secret[8:], secret.swapcase()):
        assert whoami(client, wrong).status_code == 401


@pytest.mark.parametrize("garbage", ["x", ".", "a.b", "\x00" * 41, "ä" * 41, "a" * 100_000, "' OR 1=1 --", "a" * 41])
def test_garbage_is_refused_without_asking_the_database(client: Client, garbage: str) -> None:
    assert whoami(client, garbage).status_code == 401


def test_nothing_at_all_is_401_without_asking_the_database(client: Client) -> None:
    for headers in ({}, {"X-API-Key": ""}, {"Authorization": "Api-Key abc.def"}):
        answer = client.get("/api/whoami", headers=headers)
        assert answer.status_code == 401
        assert answer.json() == {"detail": "Authentication credentials were not provided."}
        assert answer["WWW-Authenticate"] == 'Bearer realm="api"'


def test_it_costs_one_query(client: Client, db: None, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    _, secret = keys.issue("grafana", None)
    with django_assert_num_queries(1):
        whoami(client, secret)


def test_it_goes_before_a_session_that_comes_along(client: Client, ada: User) -> None:
    _, secret = keys.issue("grafana", None)
    sign_in(client)
    assert whoami(client, secret).json()["auth"] == "APIKey"


# --- Outage ----------------------------------------------------------------------------------------------
def test_the_probe_remembers_what_is_usable_and_nothing_else(db: None) -> None:
    good, _ = keys.issue("good", 30)
    for end in (expire, revoke, delete):
        end(keys.issue("bad", 30)[0])
    PROBES["api_keys"].run()
    assert keys.remembered(good.prefix) == good
    assert len(keys._remembered) == 1


def test_the_probe_is_no_part_of_the_report_and_is_refreshed() -> None:
    probe = PROBES["api_keys"]
    assert (probe.section, probe.essential, probe.refreshed, probe.requires) == (None, False, True, ("postgres",))


def test_in_an_outage_a_remembered_key_opens(client: Client, outage: Outage) -> None:
    _, secret = keys.issue("grafana", 30)
    keys.remember()
    with outage():
        assert whoami(client, secret).status_code == 200
        assert whoami(client, with_another_secret(secret)).status_code == 401


def test_in_an_outage_a_key_that_nobody_remembers_is_503(client: Client, outage: Outage) -> None:
    keys.remember()
    _, secret = keys.issue("grafana", 30)
    with outage():
        answer = whoami(client, secret)
    assert answer.status_code == 503
    assert answer["Retry-After"] == "5"
    assert answer.json() == {"detail": "PostgreSQL does not answer. Try again in a few seconds."}


def test_in_an_outage_a_key_still_expires(client: Client, refused: Outage, monkeypatch: pytest.MonkeyPatch) -> None:
    _, secret = keys.issue("grafana", 1)
    keys.remember()
    later = timezone.now() + timedelta(days=2)
    with refused():
        monkeypatch.setattr("django.utils.timezone.now", lambda: later)
        assert whoami(client, secret).json() == {"detail": "The API key is expired."}


def test_an_outage_leaves_the_last_list_in_place(client: Client, refused: Outage) -> None:
    _, secret = keys.issue("grafana", None)
    keys.remember()
    with refused():
        with pytest.raises(Exception, match="refused"):
            keys.remember()
        assert whoami(client, secret).status_code == 200


def test_after_an_outage_a_revoked_key_is_looked_up_again(client: Client, refused: Outage) -> None:
    key, secret = keys.issue("grafana", None)
    keys.remember()
    keys.revoke(key.prefix)
    with refused():
        # The remembered keys are as old as the last run of the probe.
        assert whoami(client, secret).status_code == 200
    assert whoami(client, secret).status_code == 401


def test_a_statement_that_postgres_refuses_is_no_outage(client: Client, transactional_db: None) -> None:
    _, secret = keys.issue("grafana", None)
    keys.remember()
    with locked(APIKey):
        assert whoami(client, secret).status_code == 503


def test_a_table_that_is_locked_lets_no_revoked_key_in(client: Client, transactional_db: None) -> None:
    key, secret = keys.issue("grafana", None)
    keys.remember()
    keys.revoke(key.prefix)
    with locked_for_long(APIKey):
        assert whoami(client, secret).status_code == 503


@pytest.mark.parametrize("path", ["", "{}/change/"])
def test_the_admin_shows_the_state_in_words_and_no_red_cross(client: Client, db: None, path: str) -> None:
    healthy = keys.issue("healthy", 1)[0]
    person = User.objects.create_user("bob", is_staff=True)
    person.user_permissions.add(Permission.objects.get(codename="view_apikey"))
    client.force_login(person)
    html = client.get(f"/admin/rest_framework_api_key/apikey/{path.format(quote(healthy.pk))}").content.decode()
    assert ">active<" in html
    assert "icon-no" not in html
