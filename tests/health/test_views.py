"""The endpoints through Django: the shapes of the contract, permissions, parameters and refusals."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypedDict

import pytest
from django.contrib.auth.models import User
from django.test import Client
from drf_spectacular.plumbing import ComponentRegistry, build_mocked_view
from drf_spectacular.utils import extend_schema
from pytest_django import Settings
from rest_framework_api_key.models import APIKey

from health import report
from health.api import public, views
from health.registry import PROBES, Failed, probe
from health.report import SummarySerializer, report_serializer
from health.snapshot import snapshot
from tests.health.conftest import eventually

pytestmark = pytest.mark.django_db(transaction=True)

CONTRACT = Path(__file__).parents[1] / "contract"
PUBLIC = ["/health", "/health/live", "/health/ready", "/api/v1/stats/sftpgo"]


class Answers(Client):
    """A client over TLS, as production requires."""

    def generic(self, *arguments: Any, **options: Any) -> Any:
        return super().generic(*arguments, **options | {"secure": True})


@pytest.fixture
def anybody() -> Answers:
    return Answers()


@pytest.fixture
def somebody() -> Answers:
    _, key = APIKey.objects.create_key(name="tests")
    return Answers(headers={"X-API-Key": key})


@pytest.fixture
def down(settings: Settings) -> None:
    """Let Redis be down."""
    settings.REDIS_URL = "redis://127.0.0.1:1/0"


def shape(value: Any) -> Any:
    """Return the keys in order with the types of their values; of a list, the type of the first element."""
    if isinstance(value, dict):
        return [(key, shape(inner)) for key, inner in value.items()]
    if isinstance(value, list):
        return [shape(inner) for inner in value[:1]]
    return type(value)


# --- The contract's samples ------------------------------------------------------------------------------
def test_health_has_the_contracts_shape(anybody: Answers) -> None:
    answer = anybody.get("/health")
    assert answer.status_code == 200
    assert shape(answer.json()) == shape(json.loads((CONTRACT / "health.json").read_text()))
    # A first round on a busy machine may still be under way.
    assert eventually(lambda: anybody.get("/health").json()["status"] == "ok", 30)


def test_detailed_has_the_contracts_shape(somebody: Answers) -> None:
    answer = somebody.get("/health/detailed")
    assert answer.status_code == 200
    body, sample = answer.json(), json.loads((CONTRACT / "health_detailed.json").read_text())
    _keep_only(body, [*sample, "config", "integrations"])  # another app may have probes of its own
    _keep_only(body["services"], sample["services"])
    assert list(body) == [*list(sample)[:-1], "config", "integrations"]
    # The lengths of the lists depend on the database.
    for one in (body, sample):
        one["schema"]["applied"] = one["schema"]["required"] = []
    del body["config"]
    assert body["identities"].pop("unreadable") == 0  # beside the keys of the contract
    assert shape(body) == shape(sample)
    assert body["status"] == "ok"
    assert {part["status"] for part in body["services"].values()} == {"ok"}


def _keep_only(report: dict[str, Any], names: Iterable[str]) -> None:
    for name in report.keys() - set(names):
        del report[name]


def test_the_wsgi_entry_and_django_say_the_same(anybody: Answers) -> None:
    for path, answer in (("/health", public.summary), ("/health/live", public.live), ("/health/ready", public.ready)):
        through_django = anybody.get(path)
        direct = answer("")
        assert through_django.json() | {"uptime_ms": 0} == direct.body | {"uptime_ms": 0}
        assert direct.headers.items() <= dict(through_django.items()).items()


# --- Who -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", PUBLIC)
def test_the_public_endpoints_need_no_credentials(anybody: Answers, path: str) -> None:
    assert anybody.get(path).status_code == 200


@pytest.mark.parametrize("path", PUBLIC)
def test_the_public_endpoints_ignore_wrong_credentials(path: str) -> None:
    wrong = Answers(headers={"Authorization": "Bearer nonsense", "X-API-Key": "nonsense"})
    assert wrong.get(path).status_code == 200


def test_the_detailed_report_needs_credentials(anybody: Answers) -> None:
    answer = anybody.get("/health/detailed")
    assert answer.status_code == 401
    assert list(answer.json()) == ["detail"]
    assert answer["WWW-Authenticate"].startswith("Bearer")
    assert answer["Cache-Control"] == "private, no-store"


def test_a_session_sees_it(anybody: Answers) -> None:
    anybody.force_login(User.objects.create_user("ada"))
    assert anybody.get("/health/detailed").status_code == 200


# --- How -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", [*PUBLIC, "/health/detailed"])
def test_the_answer_is_uncached_json(somebody: Answers, path: str) -> None:
    answer = somebody.get(path)
    assert "no-store" in answer["Cache-Control"]
    assert ("private" in answer["Cache-Control"]) == (path == "/health/detailed")
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Type"] == "application/json"


@pytest.mark.parametrize("path", [*PUBLIC, "/health/detailed"])
def test_head_is_get_without_a_body(somebody: Answers, path: str) -> None:
    answer = somebody.head(path)
    assert (answer.status_code, answer.content) == (200, b"")
    assert int(answer["Content-Length"]) > 2


@pytest.mark.parametrize("path", [*PUBLIC, "/health/detailed"])
def test_nothing_can_be_changed(somebody: Answers, path: str) -> None:
    for change in (somebody.post, somebody.put, somebody.patch, somebody.delete):
        answer = change(path)
        assert (answer.status_code, list(answer.json())) == (405, ["detail"])
        assert answer["Allow"] == "GET, HEAD, OPTIONS"


def test_the_answer_is_json_whatever_the_client_accepts(anybody: Answers) -> None:
    for accept in ("text/plain", "text/html", "application/xml", "*/*", ""):
        answer = anybody.get("/health", headers={"Accept": accept})
        assert (answer.status_code, answer["Content-Type"]) == (200, "application/json")


def test_no_address_ends_with_a_slash(anybody: Answers) -> None:
    for path in [*PUBLIC, "/health/detailed"]:
        answer = anybody.get(f"{path}/")
        assert (answer.status_code, list(answer.json())) == (404, ["detail"])


# --- Parameters ------------------------------------------------------------------------------------------
def test_degraded_is_200_unless_strict(somebody: Answers, down: None, caplog: pytest.LogCaptureFixture) -> None:
    assert somebody.get("/health").status_code == 200
    assert somebody.get("/health?strict=0").status_code == 200
    for path in ("/health", "/health/detailed"):
        answer = somebody.get(f"{path}?strict=1")
        assert (answer.status_code, answer.json()["status"]) == (503, "degraded")
        assert int(answer["Retry-After"]) > 0
        assert "no-store" in answer["Cache-Control"]
    assert not [record for record in caplog.records if record.name == "django.request"], "as it was asked to"


def test_strict_leaves_ok_alone(somebody: Answers) -> None:
    for path in ("/health", "/health/detailed"):
        assert somebody.get(f"{path}?strict=1").status_code == 200


def test_a_bad_value_is_400_and_names_what_is_allowed(somebody: Answers) -> None:
    bad = ["strict=2", "strict=", "strict=true", "strict=%00", "strict=1&strict=yes"]
    addresses = [f"/health?{query}" for query in bad]
    addresses += [f"/health/detailed?{query}" for query in (*bad, "fresh=no", "fresh=-1")]
    for address in addresses:
        answer = somebody.get(address)
        assert answer.status_code == 400, address
        assert answer.json()["detail"].endswith("is not allowed. Expected: 0 or 1."), address
        assert answer.json()["detail"].startswith(address.partition("?")[2].partition("=")[0]), address


def test_other_parameters_are_let_pass(anybody: Answers) -> None:
    assert anybody.get("/health?cachebuster=17").status_code == 200


def test_fresh_reads_all_folders_again(somebody: Answers, tmp_path: Path, settings: Settings) -> None:
    settings.SCRIPTS_DIR = tmp_path
    assert somebody.get("/health/detailed").json()["pipeline"]["scripts_count"] == 0
    (tmp_path / "new.py").touch()
    assert somebody.get("/health/detailed?fresh=1").json()["pipeline"]["scripts_count"] == 1


def test_the_budget_counts_from_the_first_moment(somebody: Answers, monkeypatch: pytest.MonkeyPatch) -> None:
    budgets: list[float] = []
    whole = report.detailed

    def detailed(*, budget: float, fresh: bool) -> Any:
        budgets.append(budget)
        return whole(budget=budget, fresh=fresh)

    monkeypatch.setattr(report, "detailed", detailed)
    somebody.get("/health/detailed")
    assert 0 < budgets[0] < views.BUDGET


# --- Ready -----------------------------------------------------------------------------------------------
def test_a_server_that_starts_is_not_ready_but_alive(anybody: Answers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "is_ready", lambda: False)
    answer = anybody.get("/health/ready")
    assert (answer.status_code, list(answer.json())) == (503, ["detail"])
    assert int(answer["Retry-After"]) > 0
    assert anybody.get("/health/live").json() == {"status": "ok"}


# --- Another app's probe ---------------------------------------------------------------------------------
class Disk(TypedDict):
    free_gb: int


@pytest.fixture
def foreign() -> Iterator[None]:
    """Register probes as the health_probes.py of a different app does."""

    @probe("archive", ttl=1.0)
    def archive() -> None:
        """The archive answers."""

    @probe("disk", ttl=1.0, section="storage.disk")
    def disk() -> Disk:
        """The disk has room."""
        return {"free_gb": 7}

    @probe("tape", ttl=1.0, section="storage.tape")
    def tape() -> Disk:
        """The tape turns."""
        raise Failed("it is torn")

    yield
    for name in ("archive", "disk", "tape"):
        del PROBES[name]


def test_a_probe_of_another_app_is_in_the_report_at_once(somebody: Answers, foreign: None) -> None:
    body = somebody.get("/health/detailed").json()
    assert body["services"]["archive"]["status"] == "ok"
    assert body["storage"] == {"disk": {"free_gb": 7}, "tape": {"free_gb": None, "error": "it is torn"}}
    assert list(body)[-3:] == ["consistency", "storage", "process"]
    assert body["status"] == "ok", "only essential probes degrade"


def test_a_probe_of_another_app_is_in_the_document(foreign: None) -> None:
    schemas = components(report_serializer(tuple(probe for probe in PROBES.values() if probe.section)))
    assert schemas["DetailedHealthStorage"]["required"] == ["disk", "tape"]
    assert schemas["DiskHealth"]["properties"]["free_gb"] == {"type": ["integer", "null"]}
    assert schemas["ArchiveHealth"]["description"] == "The archive answers."
    assert "latency_ms" in schemas["ArchiveHealth"]["required"]
    assert "error" not in schemas["ArchiveHealth"]["required"]


def components(serializer: Any) -> Any:
    """Return the components of the OpenAPI document that drf-spectacular makes of a serializer."""
    registry = ComponentRegistry()
    view = build_mocked_view("GET", "/", extend_schema(responses=serializer), registry)
    view.schema.resolve_serializer(serializer, "response")
    return registry.build({})["schemas"]


def test_the_summary_has_the_fields_of_its_serializer() -> None:
    assert list(public.summary("").body) == list(SummarySerializer().fields)


def test_each_section_has_the_keys_that_its_probe_declares(somebody: Answers) -> None:
    body = somebody.get("/health/detailed").json()
    for one in PROBES.values():
        if one.section and one.keys is not None:
            section = body
            for part in one.section.split("."):
                section = section[part]
            assert list(section) == list(one.keys)
