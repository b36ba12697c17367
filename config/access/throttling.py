"""Limit failed sign-ins per minute, counted in Redis, or in memory while Redis is down.

Failures are counted by address and user name, and by address. A count by user name alone would let anybody lock out
the owner of a known name. Attempts of the same moment may exceed the limit, because only failures are counted.
"""

import hashlib
import logging
import time
import unicodedata
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from ipaddress import IPv6Address, ip_address
from math import ceil
from typing import Any, Final

from django.conf import settings
from django.core.cache import BaseCache, caches
from django.http import HttpRequest
from rest_framework.exceptions import Throttled

from common.bounded import within
from health.snapshot import snapshot

log = logging.getLogger(__name__)

MINUTE: Final = 60
REDIS_TIMEOUT: Final = 0.4


class TooManyFailures(Throttled):
    """429 with Retry-After."""

    default_detail = "Too many failed attempts to sign in."
    extra_detail_singular = "Try again in {wait} second."
    extra_detail_plural = "Try again in {wait} seconds."


class LoginThrottle:
    """The failures of one address and user name in the current minute."""

    def __init__(self, request: HttpRequest, username: str) -> None:
        window, elapsed = divmod(time.time(), MINUTE)
        address, name = client_address(request), unicodedata.normalize("NFKC", username).casefold()
        limits = settings.LOGIN_FAILURES_PER_MINUTE
        self._wait = ceil(MINUTE - elapsed)
        self._limits = {
            _key(window, address): limits["address"],
            _key(window, address, name): limits["address_and_user"],
        }
        self._cache = caches["memory" if snapshot.known_down("redis") else "default"]

    def check(self) -> None:
        """Raise TooManyFailures if a limit is reached."""
        counts = self._call(lambda cache: cache.get_many(self._limits))
        if any(counts.get(key, 0) >= limit for key, limit in self._limits.items()):
            raise TooManyFailures(wait=self._wait)

    def count_failure(self) -> None:
        """Count a wrong password until the end of the minute."""
        self._call(self._increment)

    def _increment(self, cache: BaseCache) -> None:
        for key in self._limits:
            cache.add(key, 0, timeout=2 * MINUTE)
            cache.incr(key)

    def _call(self, function: Callable[[BaseCache], Any]) -> Any:
        if self._cache is not caches["memory"]:
            try:
                # A server that drips bytes never reaches a read timeout, and a name server may hang.
                return within(REDIS_TIMEOUT, "sign-ins in Redis", partial(function, self._cache))
            except Exception as error:  # Redis is down, and the snapshot does not know yet
                log.warning("Failed sign-ins are counted in memory: Redis does not answer (%s)", type(error).__name__)
                self._cache = caches["memory"]
        return function(self._cache)


def client_address(request: HttpRequest) -> str:
    """Return the client's address, the /64 network of IPv6. Own proxies append addresses to X-Forwarded-For.

    A text that is no address counts as the peer, so that no header evades the limits.
    """
    proxies = settings.TRUSTED_PROXY
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")[-proxies:] if proxies else []
    for address in (*forwarded[:1], request.META.get("REMOTE_ADDR", "")):
        with suppress(ValueError):
            return _network(address.strip())
    return ""


def _network(address: str) -> str:
    """Return the network of `1.2.3.4`, `1.2.3.4:80`, `::1`, `[::1]` or `[::1]:80`. Raises ValueError."""
    if address.startswith("["):
        address = address[1:].partition("]")[0]
    elif address.count(":") == 1:
        address = address.partition(":")[0]
    ip = ip_address(address)
    ip = getattr(ip, "ipv4_mapped", None) or ip
    # A household has a whole /64.
    return str(IPv6Address(int(ip) >> 64 << 64)) if ip.version == 6 else str(ip)


def _key(window: float, *parts: str) -> str:
    # Names and addresses are personal data, so the key holds their hash.
    return f"sign-in:{window:.0f}:{hashlib.sha256(repr(parts).encode()).hexdigest()[:32]}"
