"""Slows down the guessing of tokens: a peer may be wrong ten times, then once in six seconds."""

from __future__ import annotations

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable

_ALLOWED, _SECONDS_EACH = 10, 6.0
_PEERS = 10_000


class Throttle:
    """Counts wrong attempts per peer. A right token is never refused, so nobody is locked out."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_after_wrong(self, peer: str) -> int:
        """Count a wrong attempt; returns 0, or in how many seconds the next is looked at."""
        key, now = _network(peer), self._clock()
        left, at = self._last.pop(key, (float(_ALLOWED), now))
        left = min(_ALLOWED, left + (now - at) / _SECONDS_EACH)
        allowed = left >= 1
        self._last[key] = (left - 1 if allowed else left, now)
        if len(self._last) > _PEERS:
            self._last.popitem(last=False)
        return 0 if allowed else max(1, math.ceil((1 - left) * _SECONDS_EACH))


def _network(peer: str) -> str:
    """An IPv6 host has 2^64 addresses to come from, which count as one."""
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return peer
    if address.version == 4:
        return peer
    return str(ipaddress.ip_network((address, 64), strict=False))
