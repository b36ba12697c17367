"""How often somebody may fail to sign in: counted per address and user name, and per address, in Redis or in memory.

Not per user name alone: whoever knows a name could lock its owner out. Only failures stay counted, so scripts that
sign in often are left alone; each attempt is counted before the password is looked at, so a salvo gains nothing.
"""

import hashlib
import logging
import time
import unicodedata
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from math import ceil
from typing import Final, Self

from django.conf import settings
from django.core.cache import BaseCache, caches
from django.http import HttpRequest
from rest_framework.exceptions import Throttled
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from health.snapshot import snapshot

log = logging.getLogger(__name__)

MINUTE: Final = 60


class TooManyAttempts(Throttled):
    """429, with Retry-After (DRF makes it of `wait`)."""

    def __init__(self, wait: float) -> None:
        seconds = ceil(wait)
        super().__init__(detail=f"Too many failed attempts to sign in. Try again in {seconds} seconds.")
        # Not through the constructor, which would add a sentence of its own.
        self.wait = seconds


@dataclass(slots=True)
class Attempt:
    """One attempt to sign in, which counts as failed until it is forgiven."""

    counters: dict[str, int]
    """Limit by counter."""
    store: BaseCache

    @classmethod
    def begin(cls, request: HttpRequest, username: str) -> Self:
        """Count it. Raises TooManyAttempts when it is one too many."""
        window, elapsed = divmod(time.time(), MINUTE)
        address = client(request)
        limits = settings.LOGIN_FAILURES_PER_MINUTE
        attempt = cls(
            {
                _counter(window, address): limits["address"],
                _counter(window, address, _folded(username)): limits["address_and_user"],
            },
            caches["memory" if snapshot.known_down("redis") else "default"],
        )
        if not attempt._count():
            raise TooManyAttempts(MINUTE - elapsed)
        return attempt

    def forgive(self) -> None:
        """Take it back: the password was right."""
        for counter in self.counters:
            self._add(counter, -1)

    def _count(self) -> bool:
        # The address first: past its limit no more counters are made, however many names are tried.
        return all(self._add(counter, 1) <= limit for counter, limit in self.counters.items())

    def _add(self, counter: str, amount: int) -> int:
        try:
            return _added(self.store, counter, amount)
        except Exception as error:
            if self.store is caches["memory"]:
                raise
            # Redis is away but the snapshot does not say so yet. It is waited for once, not once per counter.
            log.warning("Sign-ins are counted in memory: Redis does not answer (%s)", type(error).__name__)
            self.store = caches["memory"]
            return self._add(counter, amount)


def client(request: HttpRequest) -> str:
    """Return the address of who asks: as our own proxies tell it (TRUSTED_PROXY), else the peer's; of IPv6 the /64."""
    said = BaseThrottle().get_ident(Request(request)) or ""
    try:
        address = ip_address(said)
    except ValueError:
        return said
    # One household or server has a whole /64 to choose from.
    return str(IPv6Address(int(address) >> 64 << 64)) if isinstance(address, IPv6Address) else said


def _folded(username: str) -> str:
    return unicodedata.normalize("NFKC", username).casefold()


def _counter(window: float, *parts: str) -> str:
    # Hashed: names and addresses are personal data, of any length and with any character in them.
    return f"sign-in:{window:.0f}:{hashlib.sha256(repr(parts).encode()).hexdigest()[:32]}"


def _added(store: BaseCache, counter: str, amount: int) -> int:
    store.add(counter, 0, timeout=2 * MINUTE)
    return store.incr(counter, amount)
