"""Which checks to run: the default ones, or those that somebody named."""

from collections.abc import Iterable

from django.conf import settings

from common.choices import validate_choice
from consistency.registry import CHECKS, NOTHING, Check, CheckError, Query, Severity


def tags() -> list[str]:
    """All tags that any check has."""
    return sorted({tag for check in CHECKS.values() for tag in check.tags})


def chosen(names: Iterable[str] = (), with_tags: Iterable[str] = ()) -> list[Check]:
    """The named and the tagged checks, or without either the default ones; in the order of the registry."""
    wanted_names = {validate_choice("check", name, CHECKS) for name in names}
    wanted_tags = {validate_choice("tag", tag, tags()) for tag in with_tags}
    if not wanted_names | wanted_tags:
        return default()
    return [check for check in CHECKS.values() if check.name in wanted_names or wanted_tags.intersection(check.tags)]


def default() -> list[Check]:
    """The checks of every report: the contract's, then those that CONSISTENCY_CHECKS switches on.

    A name there that no check has is a check that could not run: a report without it would pass for complete.
    """
    switched_on = dict.fromkeys(settings.CONSISTENCY_CHECKS)
    here = [check for check in CHECKS.values() if check.default or check.name in switched_on]
    return here + [_unknown(name) for name in switched_on if name not in CHECKS]


def _unknown(name: str) -> Check:
    def refuse() -> Query:
        raise CheckError("unknown check name in CONSISTENCY_CHECKS")

    return Check(
        name=name,
        severity=Severity.WARN,
        title="CONSISTENCY_CHECKS names a check that does not exist",
        detail=NOTHING,
        hint="Correct the setting: check_consistency --list-checks names all checks.",
        tags=(),
        default=False,
        function=refuse,
    )
