"""The user of a request with an API key."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class KeyHolder:
    """A stand-in for Django's User: authenticated, without permissions."""

    prefix: str
    name: str

    is_authenticated: ClassVar[bool] = True
    is_anonymous: ClassVar[bool] = False
    is_active: ClassVar[bool] = True
    is_staff: ClassVar[bool] = False
    is_superuser: ClassVar[bool] = False
    pk: ClassVar[None] = None

    def __str__(self) -> str:
        return f"API key {self.prefix} ({self.name})"

    def get_username(self) -> str:
        return str(self)

    def has_perm(self, perm: str, obj: object = None) -> bool:
        """Return False: reading health and consistency needs no permission."""
        return False
