"""What the acts of a reviewer take: until when, or for how long, and why."""

from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any, TypeVar

from django.db import connections
from django.utils import timezone
from rest_framework import serializers

from common.arguments import parse_duration, parse_time
from common.choices import UnknownChoiceError, validate_choice
from consistency.history import names
from consistency.history.silence import MEMORY
from consistency.registry import CHECKS
from consistency.scan.selection import tags

B = TypeVar("B", bound="Body")


def read(body: "type[B]", data: Any) -> B:
    """What was sent, converted; what is wrong with it as DRF's own error."""
    if not isinstance(data, dict):
        raise serializers.ValidationError({"detail": "The body must be a JSON object: {...}."})
    told = body(data=data)
    told.is_valid(raise_exception=True)
    return told


class Body(serializers.Serializer[None]):
    """A body in which an unknown key is an error, not a wish that nobody hears."""

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse what is none of ours."""
        for name in self.initial_data:
            with_words(lambda name=name: validate_choice("key", name, list(self.fields)))
        return attrs


def with_words(convert: Any) -> Any:
    """What `convert` returns; what it raises as DRF's own error."""
    try:
        return convert()
    except (UnknownChoiceError, ValueError) as problem:
        raise serializers.ValidationError(str(problem)) from None


class Length(serializers.CharField):
    """A length of time, such as 12h or 7d; a timedelta once it is read."""

    def to_internal_value(self, data: Any) -> Any:
        return with_words(lambda: parse_duration(super(Length, self).to_internal_value(data)))


class Instant(serializers.DateTimeField):
    """A moment with its zone: whose midnight is meant by one without?"""

    def to_internal_value(self, data: Any) -> Any:
        return with_words(lambda: parse_time(str(data)))


class Word(serializers.CharField):
    """One of a few words: `read` returns it, or raises UnknownChoiceError."""

    def __init__(self, read: Callable[[str], str], **options: Any) -> None:
        super().__init__(**options)
        self.read = read

    def to_internal_value(self, data: Any) -> str:
        word: str = with_words(lambda: self.read(super(Word, self).to_internal_value(data)))
        return word


def _of(kind: str, allowed: Callable[[], Collection[str]]) -> Callable[[str], str]:
    return lambda word: validate_choice(kind, word, allowed())


class Silencing(Body):
    """Until when or for how long (one of the two), and why."""

    def get_fields(self) -> dict[str, Any]:
        """`for` is no name that Python lets an attribute have."""
        return {
            "for": Length(required=False, help_text="How long: a number and s, m, h, d or w, such as 12h or 7d."),
            "until": Instant(required=False, help_text="When it ends, in place of `for`."),
            "reason": serializers.CharField(max_length=2000, help_text="Why; everybody who looks will read it."),
            **super().get_fields(),
        }

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse both, and neither."""
        attrs = super().validate(attrs)
        if ("for" in attrs) == ("until" in attrs):
            raise serializers.ValidationError(
                "Give either `for`, a length of time such as 7d, or `until`, an instant such as 2026-05-18T17:30:00Z."
            )
        return attrs

    @property
    def until(self) -> datetime:
        """When it ends."""
        told = self.validated_data
        moment: datetime = told["until"] if "until" in told else timezone.now() + told["for"]
        return moment


class AcknowledgeBody(Silencing):
    """How long an anomaly is acknowledged, and why."""


class MuteBody(Silencing):
    """How long a check is muted, and why."""

    sticky = serializers.BooleanField(
        default=False, help_text="Hold when the count rises, and when the check is clean."
    )
    database = Word(names.database, default=MEMORY, help_text="Of which database.")


class ScanBody(Body):
    """What to scan; without anything the default checks on the default database."""

    database = Word(_of("database", lambda: list(connections)), default=MEMORY, help_text="Which database to ask.")
    checks = serializers.ListField(
        child=Word(_of("check", lambda: CHECKS)), default=list, help_text="These checks only."
    )
    tags = serializers.ListField(
        child=Word(_of("tag", tags)), default=list, help_text="The checks with one of these tags."
    )
