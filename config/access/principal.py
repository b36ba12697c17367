"""Who asks when it is nobody with an account: the holder of an API key."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class KeyHolder:
    """Stands where DRF expects a user: signed in, and with no right beyond that."""

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
        """Return what a log calls it."""
        return str(self)

    def has_perm(self, perm: str, obj: object = None) -> bool:
        """Refuse: a key reads health and consistency, which needs no permission."""
        return False
