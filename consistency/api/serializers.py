"""Bodies of requests. An unknown key is an error."""

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from django.db import DEFAULT_DB_ALIAS, connections
from django.utils import timezone
from drf_spectacular.extensions import OpenApiSerializerExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import Direction, extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from common.arguments import DURATION, parse_duration, parse_time
from common.choices import validate_choice
from consistency.history.queries import validate_database
from consistency.history.serializers import CheckSerializer
from consistency.models.history import Category
from consistency.registry import CHECKS
from consistency.scan.selection import tags


class TextField(serializers.CharField):
    """A text. CharField would accept a number."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class SwitchField(serializers.BooleanField):
    """True or false. BooleanField would accept a number and a text."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class ParsedField(TextField):
    """A text that `parse` converts. A ValueError of `parse` is the message to the client."""

    def __init__(self, parse: Callable[[str], Any], **options: Any) -> None:
        super().__init__(**options)
        self.parse = parse

    def to_internal_value(self, data: Any) -> Any:
        try:
            return self.parse(super().to_internal_value(data))
        except ValueError as error:
            raise serializers.ValidationError(str(error)) from None


@extend_schema_field({"type": "string", "pattern": DURATION})
class DurationField(ParsedField):
    """A duration."""


@extend_schema_field(OpenApiTypes.DATETIME)
class TimeField(ParsedField):
    """A time with its zone. DRF's DateTimeField would accept a time without."""


class Body(serializers.Serializer[None]):
    """A JSON object with known keys."""

    rules: ClassVar[dict[str, Any]] = {"additionalProperties": False}
    """Keywords of JSON Schema beside the fields."""
    default_error_messages = dict.fromkeys(("invalid", "null"), "The body must be a JSON object: {{...}}.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse unknown keys, and suggest the nearest key."""
        for name in self.initial_data:
            try:
                validate_choice("key", name, list(self.fields))
            except ValueError as error:
                raise serializers.ValidationError(str(error)) from None
        return attrs


class BodyScheme(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]
    target_class = Body
    match_subclasses = True

    def map_serializer(self, auto_schema: AutoSchema, direction: Direction) -> dict[str, Any]:
        """Return the schema of the fields with the rules."""
        mapped = auto_schema._map_serializer(self.target, direction, bypass_extensions=True)  # type: ignore[no-untyped-call]
        return {**mapped, **self.target.rules}


class SuppressionBody(Body):
    """An end, as a duration or a time, and a reason. The validated data hold `until` and `reason`."""

    rules = Body.rules | {"oneOf": [{"required": ["for"]}, {"required": ["until"]}]}

    def get_fields(self) -> dict[str, Any]:
        """Return the fields. `for` is a keyword of Python and cannot be an attribute."""
        duration = "Duration: a number and s, m, h, d or w, such as 12h or 7d."
        return {
            "for": DurationField(parse_duration, required=False, help_text=duration),
            "until": TimeField(parse_time, required=False, help_text="End, instead of `for`."),
            "reason": TextField(max_length=2000, help_text="Reason, for every reader."),
            **super().get_fields(),
        }

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs = super().validate(attrs)
        if ("for" in attrs) == ("until" in attrs):
            raise serializers.ValidationError(
                "Give either `for`, a length of time such as 7d, or `until`, an instant such as 2026-05-18T17:30:00Z."
            )
        if "for" in attrs:
            attrs["until"] = timezone.now() + attrs.pop("for")
        return attrs


class MuteBody(SuppressionBody):
    """End and reason of a mute, for one database."""

    sticky = SwitchField(default=False, help_text="Hold for any number of findings, and while clean.")
    database = ParsedField(validate_database, default=DEFAULT_DB_ALIAS, help_text="Database of the mute.")


def one_of(words: Iterable[str]) -> dict[str, Any]:
    """Return the JSON Schema of a word."""
    return {"type": "string", "enum": list(words)}


def _choice(kind: str, allowed: Callable[[], Any], **options: Any) -> ParsedField:
    @extend_schema_field(one_of(allowed()))
    class Choice(ParsedField):
        """A word of `allowed`."""

    return Choice(lambda word: validate_choice(kind, word, allowed()), **options)


class AcknowledgeBody(SuppressionBody):
    """End and reason of an acknowledgement."""

    category = _choice("category", lambda: Category.values, required=False, help_text="Kind of reason, to be counted.")


class ScanBody(Body):
    """Checks of a scan; without names and tags the default checks."""

    database = _choice("database", lambda: list(connections), default=DEFAULT_DB_ALIAS, help_text="Scanned database.")
    checks = serializers.ListField(
        child=_choice("check", lambda: CHECKS), default=list, help_text="Names of checks to run."
    )
    tags = serializers.ListField(
        child=_choice("tag", tags), default=list, help_text="Run the checks with at least one of these tags."
    )


@extend_schema_serializer(many=False)
class CheckList(serializers.Serializer[None]):
    """All checks."""

    checks = CheckSerializer(many=True)
