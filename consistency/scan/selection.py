"""Choose the checks of a scan: the default checks, or checks by name and tag."""

from collections.abc import Iterable

from django.conf import settings

from common.choices import validate_choice
from consistency.registry import CHECKS, NULL, Check, CheckError, Query, Severity


def tags() -> list[str]:
    """Return the tags of the registry."""
    return sorted({tag for check in CHECKS.values() for tag in check.tags})


def select_checks(names: Iterable[str] = (), with_tags: Iterable[str] = ()) -> list[Check]:
    """Return the named and tagged checks, or the default checks, in the order of the registry.

    Raises UnknownChoiceError for an unknown name or tag.
    """
    wanted_names = {validate_choice("check", name, CHECKS) for name in names}
    wanted_tags = {validate_choice("tag", tag, tags()) for tag in with_tags}
    if not wanted_names | wanted_tags:
        return default_checks()
    return [check for check in CHECKS.values() if check.name in wanted_names or wanted_tags.intersection(check.tags)]


def default_checks() -> list[Check]:
    """Return the contract's checks, then the checks that CONSISTENCY_CHECKS adds.

    An unknown name in CONSISTENCY_CHECKS becomes a check that could not run: a report without it would look complete.
    """
    added = dict.fromkeys(settings.CONSISTENCY_CHECKS)
    known = [check for check in CHECKS.values() if check.default or check.name in added]
    return known + [_unknown_check(name) for name in added if name not in CHECKS]


def _unknown_check(name: str) -> Check:
    def refuse() -> Query:
        raise CheckError("unknown check name in CONSISTENCY_CHECKS")

    return Check(
        name=name,
        severity=Severity.WARN,
        title="CONSISTENCY_CHECKS names a check that does not exist",
        detail=NULL,
        hint="Correct the setting: check_consistency --list-checks names all checks.",
        tags=(),
        default=False,
        function=refuse,
        missing="",
    )
