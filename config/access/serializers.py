"""What the sign-in endpoints take and give."""

from rest_framework import serializers


class Credentials(serializers.Serializer[None]):
    """A user name and a password, as typed: spaces at the ends of a password belong to it."""

    username = serializers.CharField(max_length=150)
    password = serializers.CharField(max_length=4096, trim_whitespace=False, style={"input_type": "password"})


class TokenPair(serializers.Serializer[None]):
    """What a sign-in with JWT gives."""

    access = serializers.CharField(help_text="For `Authorization: Bearer <access>`; good for an hour.")
    refresh = serializers.CharField(help_text="For /api/v1/auth/token/refresh; good for seven days.")


class Refresh(serializers.Serializer[None]):
    """The refresh token."""

    refresh = serializers.CharField(max_length=4096)


class Access(serializers.Serializer[None]):
    """A new access token."""

    access = serializers.CharField(help_text="For `Authorization: Bearer <access>`; good for an hour.")
