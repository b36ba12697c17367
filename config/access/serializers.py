"""Bodies of the sign-in endpoints."""

from rest_framework import serializers


class Credentials(serializers.Serializer[None]):
    """A user name and a password. Spaces at the ends of a password belong to the password."""

    username = serializers.CharField(max_length=150)
    password = serializers.CharField(max_length=4096, trim_whitespace=False, style={"input_type": "password"})


class Access(serializers.Serializer[None]):
    access = serializers.CharField(help_text="For `Authorization: Bearer <access>`, valid for an hour.")


class TokenPair(Access):
    refresh = serializers.CharField(help_text="For /api/v1/auth/token/refresh, valid for seven days.")


class Refresh(serializers.Serializer[None]):
    refresh = serializers.CharField(max_length=4096)
