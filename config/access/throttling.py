"""How often somebody may fail to sign in: counted per address and user name, and per address, in Redis or in memory.

Not per user name alone: whoever knows a name could lock its owner out. Only failures stay counted, so scripts that
sign in often are left alone; each attempt is counted before the password is looked at, so a salvo gains nothing. What
was refused is taken back: a salvo of the owner's is over when its last attempt is.
"""

import hashlib
import logging
import time
import unicodedata
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv6Address, ip_address
from math import ceil
from time import monotonic
from typing import Final, Self

from django.conf import settings
from django.core.cache import BaseCache, caches
from django.http import HttpRequest
from rest_framework.exceptions import Throttled
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from config.access.bounded import within
from health.snapshot import snapshot

log = logging.getLogger(__name__)

MINUTE: Final = 60
# Seconds of one attempt that Redis may take, with all its answers together.
PATIENCE: Final = 0.5
# One number holds both, so that they are read and changed at once: those under way by ones, the failed by millions.
UNDER_WAY: Final = 1
FAILED: Final = 1_000_000


class TooManyAttempts(Throttled):
    """429, with Retry-After (DRF makes it of `wait`)."""

    def __init__(self, wait: float, *, failed: bool = True) -> None:
        """Say how long to wait (seconds): after failures until they are forgotten, else until others are done."""
        seconds = ceil(wait)
        what = "failed attempts to sign in" if failed else "attempts to sign in at once"
        super().__init__(detail=f"Too many {what}. Try again in {seconds} second{'s' if seconds > 1 else ''}.")
        # Not through the constructor, which would add a sentence of its own.
        self.wait = seconds


@dataclass(slots=True)
class Attempt:
    """One attempt to sign in, which takes the place of a failure until it is known not to be one."""

    counters: dict[str, int]
    """Limit by counter."""
    store: BaseCache
    patience: float = PATIENCE
    """Seconds that are left to Redis."""

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
        attempt._take_place(MINUTE - elapsed)
        return attempt

    def forgive(self) -> None:
        """Take it back: the password was right, or could not be looked at."""
        for counter in self.counters:
            self._add(counter, -UNDER_WAY)

    def fail(self) -> None:
        """Count it for the rest of the minute: the password was wrong."""
        for counter in self.counters:
            self._add(counter, FAILED - UNDER_WAY)

    def _take_place(self, left: float) -> None:
        taken = []
        # The address first: past its limit no more counters are made, however many names are tried.
        for counter, limit in self.counters.items():
            taken.append(counter)
            failed, under_way = _read(self._add(counter, UNDER_WAY))
            if failed + under_way > limit:
                for each in taken:
                    self._add(each, -UNDER_WAY)
                raise TooManyAttempts(left) if failed >= limit else TooManyAttempts(1, failed=False)

    def _add(self, counter: str, amount: int) -> int:
        if self.store is caches["memory"]:
            return _added(self.store, counter, amount)
        began = monotonic()
        try:
            return within(self.patience, partial(_added, self.store, counter, amount))
        except Exception as error:
            # Redis is away but the snapshot does not say so yet. It is waited for once, not once per counter.
            log.warning("Sign-ins are counted in memory: Redis does not answer (%s)", type(error).__name__)
            self.store = caches["memory"]
            return self._add(counter, amount)
        finally:
            self.patience -= monotonic() - began


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


def _read(count: int) -> tuple[int, int]:
    """Failures and attempts under way; where a store lost what it had, what is taken back may be below nothing."""
    failed = round(count / FAILED)
    return failed, max(0, count - failed * FAILED)


def _added(store: BaseCache, counter: str, amount: int) -> int:
    store.add(counter, 0, timeout=2 * MINUTE)
    return store.incr(counter, amount)
