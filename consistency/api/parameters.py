"""Read query parameters. Wrong parameters raise InvalidInputError with the allowed values."""

from collections.abc import Collection

from django.db import DEFAULT_DB_ALIAS
from django.http import QueryDict

from common.arguments import InvalidInputError
from common.choices import validate_choice
from consistency.history.queries import validate_database


def refuse_unknown(parameters: QueryDict, allowed: Collection[str]) -> None:
    """Raise InvalidInputError for a parameter that is not allowed."""
    for name in parameters:
        if not allowed:
            raise InvalidInputError(f"{name!r} is not known here: this address takes no parameters.")
        validate_choice("parameter", name, allowed)


def split_values(parameters: QueryDict, name: str) -> list[str]:
    """Return the values of a parameter that may be repeated, or hold several values with commas."""
    return [part for value in parameters.getlist(name) for part in value.split(",")]


def whole_number(parameters: QueryDict, name: str, least: int, most: int) -> int | None:
    """Return a whole number; None if the parameter is absent."""
    values = parameters.getlist(name)
    if not values:
        return None
    value = values[0] if len(values) == 1 else ""
    if not (value.isascii() and value.isdigit() and len(value) < 10 and least <= int(value) <= most):
        raise InvalidInputError(f"{name} must be one whole number from {least} to {most}.")
    return int(value)


def database(parameters: QueryDict) -> str:
    """Return the parameter `database`, a configured or recorded database."""
    values = parameters.getlist("database") or [DEFAULT_DB_ALIAS]
    if len(values) > 1:
        raise InvalidInputError("database may be given once.")
    return validate_database(values[0])
