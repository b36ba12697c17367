"""Hash at most two passwords at once: many sign-ins would take the processor from `/health`."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore
from typing import Final

from django.contrib.auth.hashers import PBKDF2PasswordHasher
from rest_framework.exceptions import Throttled

AT_ONCE: Final = 2
# Waiting sign-ins hold request threads, so few may wait.
WAITING: Final = 4
PATIENCE: Final = 2.0

_queue = BoundedSemaphore(AT_ONCE + WAITING)
_slots = BoundedSemaphore(AT_ONCE)


class TooManySignIns(Throttled):
    """429 with Retry-After."""

    default_detail = "Too many people are signing in at this moment."
    extra_detail_singular = "Try again in {wait} second."
    extra_detail_plural = "Try again in {wait} seconds."


class BoundedPBKDF2PasswordHasher(PBKDF2PasswordHasher):
    """Django's hasher, also of the admin's forms and of the dummy hash for an unknown name."""

    def encode(self, password: str, salt: str, iterations: int | None = None) -> str:
        """Return the hash. Raises TooManySignIns if this process is busy with hashes."""
        with _held(_queue, 0), _held(_slots, PATIENCE):
            return super().encode(password, salt, iterations)


@contextmanager
def _held(semaphore: BoundedSemaphore, patience: float) -> Iterator[None]:
    if not semaphore.acquire(timeout=patience):
        raise TooManySignIns(wait=1)
    try:
        yield
    finally:
        semaphore.release()
