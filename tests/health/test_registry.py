"""The definition of a probe: the forms allowed, and the error of a wrong definition."""

from typing import TYPE_CHECKING, TypedDict

import pytest

from health.registry import PROBES, Probe, ProbeError, probe
from tests.health.conftest import Registry

if TYPE_CHECKING:
    from nowhere import NotImported  # type: ignore[import-not-found]


class Values(TypedDict):
    answer: int
    question: str | None


def test_a_definition_becomes_the_registered_probe(registry: Registry) -> None:
    @probe("disk", ttl=3.0, registry=registry)
    def disk() -> None:
        """The disk has room.

        More about it.
        """

    assert registry == {"disk": disk}
    assert isinstance(disk, Probe)
    assert (disk.title, disk.section, disk.deadline) == ("The disk has room.", "services.disk", 1.0)
    assert disk.is_service


def test_its_keys_are_those_of_the_typed_dict_in_their_order(registry: Registry) -> None:
    @probe("deep", ttl=1.0, section="deep.thought", registry=registry)
    def deep() -> Values:
        """It thinks."""
        return {"answer": 42, "question": None}

    assert list(deep.keys or ()) == ["answer", "question"]
    assert not deep.is_service


def test_a_client_may_be_of_a_type_that_is_not_imported(registry: Registry) -> None:
    @probe("lazy", ttl=1.0, registry=registry, client=object)
    def lazy(client: "NotImported") -> None:
        """It is late."""

    assert lazy.is_service


def test_an_essential_probe_is_refreshed(registry: Registry) -> None:
    @probe("vital", ttl=1.0, essential=True, registry=registry)
    def vital() -> None:
        """It beats."""

    assert vital.refreshed


def test_a_second_probe_of_one_name_is_refused(registry: Registry) -> None:
    def define(section: str) -> None:
        @probe("twin", ttl=1.0, section=section, registry=registry)
        def twin() -> None:
            """One of two."""

    define("one")
    with pytest.raises(ProbeError, match="'twin' is defined twice"):
        define("two")


def test_sections_side_by_side_are_accepted(registry: Registry) -> None:
    for name in ("one", "two"):

        @probe(name, ttl=1.0, section="both.*", registry=registry)
        def one() -> None:
            """One."""

    assert [found.section for found in registry.values()] == ["both.one", "both.two"]


@pytest.mark.parametrize("section", ["status", "version", "Big", "a..b", "a b", ""])
def test_a_section_that_is_no_dotted_name_is_refused(registry: Registry, section: str) -> None:
    with pytest.raises(ProbeError, match="Expected: a dotted name"):

        @probe("odd", ttl=1.0, section=section, registry=registry)
        def odd() -> None:
            """Odd."""


@pytest.mark.parametrize(("ttl", "deadline"), [(0.0, 1.0), (1.0, 0.0), (-1.0, 1.0)])
def test_times_that_are_not_positive_are_refused(registry: Registry, ttl: float, deadline: float) -> None:
    with pytest.raises(ProbeError, match="more than 0 seconds"):

        @probe("never", ttl=ttl, deadline=deadline, registry=registry)
        def never() -> None:
            """Never."""


def test_a_probe_without_a_title_is_refused(registry: Registry) -> None:
    with pytest.raises(ProbeError, match="no docstring"):

        @probe("mute", ttl=1.0, registry=registry)
        def mute() -> None:
            pass


def test_a_probe_that_does_not_say_what_it_returns_is_refused(registry: Registry) -> None:
    with pytest.raises(ProbeError, match="does not say what it returns"):

        @probe("vague", ttl=1.0, registry=registry)
        def vague() -> dict[str, int]:
            """Vague."""
            return {}


def test_the_platform_has_its_probes_and_each_has_a_title_and_bounds() -> None:
    assert {"postgres", "redis", "qdrant", "resources", "pipeline", "schema", "config", "tmdb", "sftpgo"} <= set(PROBES)
    assert {name for name, one in PROBES.items() if one.essential} == {"postgres", "redis", "qdrant"}
    for one in PROBES.values():
        assert one.title.endswith(".")
        assert one.deadline <= 1.0, f"{one.name} would make /health/detailed late"
