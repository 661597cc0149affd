"""How often a log-in may be tried: the waits grow, and nobody can lock out somebody who comes from elsewhere.

Three buckets, each a set of moving windows of the `limits` library:

- a name tried from one address (`PAIR`): the usual one;
- all names tried from one address (`ADDRESS`): one machine that goes through a list of names;
- a name tried in a browser in which that person logged in before (`DEVICE`), told by a signed cookie. Such a browser is
  measured by this bucket alone, so tries of others, even behind the same address, do not concern it.

There is no bucket by name alone: whoever tries a name from many addresses would lock its owner out (OWASP, *Slow down
online guessing attacks with device cookies*). What many addresses can try is bounded by the pair's day and by passwords
of ten letters at least.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
import time

from limits import RateLimitItem, parse_many
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

PAIR = tuple(parse_many("5/minute; 15/hour; 40/day"))
ADDRESS = tuple(parse_many("30/minute; 120/hour"))
DEVICE = tuple(parse_many("10/minute; 40/hour; 100/day"))
#: So many people are remembered in one browser.
_REMEMBERED = 6


class Throttle:
    """Counts tries; knows the browsers in which people logged in before.

    Args:
        key: signs the device cookies; the same after a restart.
    """

    def __init__(self, key: str) -> None:
        self._key = key.encode()
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def take(self, name_key: str, address: str, device: str) -> float:
        """Count a try before its password is looked at; return how many seconds to wait instead, 0 for none.

        Args:
            name_key: whom the try is about, whether there is such a person or not.
            address: where it comes from.
            device: the device cookie, "" for none.
        """
        buckets = self._buckets(name_key, address, device)
        # A try that is refused costs nothing: who presses the button again and again does not wait longer.
        waits = [self._wait_s(limit, who) for limit, who in buckets if not self._limiter.test(limit, *who)]
        if not waits:
            # Tries at the same moment may all have passed the test; each takes a place, or waits.
            waits = [self._wait_s(limit, who) for limit, who in buckets if not self._limiter.hit(limit, *who)]
        return max(waits, default=0.0)

    def forgive(self, name_key: str, address: str, device: str) -> None:
        """Forget the tries about a name from there, after the right password."""
        for limit, who in self._buckets(name_key, address, device):
            if who[0] != "address":
                self._limiter.clear(limit, *who)

    def device_cookie(self, name_key: str, cookie: str) -> str:
        """Return the device cookie that also remembers a person, made from the one that was sent (or "")."""
        device_id, *marks = cookie.split(".")
        if len(device_id) != 22:
            device_id, marks = secrets.token_urlsafe(16), []
        mine = self._mark(device_id, name_key)
        kept = [mark for mark in marks if mark != mine and len(mark) == len(mine)]
        return ".".join([device_id, mine, *kept[: _REMEMBERED - 1]])

    def knows(self, name_key: str, cookie: str) -> bool:
        """Return whether a person logged in before in the browser with this device cookie."""
        device_id, *marks = cookie.split(".")
        mine = self._mark(device_id, name_key)
        # All are compared, so that the time says nothing.
        return sum(hmac.compare_digest(mine.encode(), mark.encode()) for mark in marks[:_REMEMBERED]) > 0

    def _buckets(self, name_key: str, address: str, device: str) -> list[tuple[RateLimitItem, tuple[str, ...]]]:
        name = hashlib.sha256(name_key.encode()).hexdigest()
        if self.knows(name_key, device):
            return [(limit, ("device", device.partition(".")[0], name)) for limit in DEVICE]
        place = _place(address)
        by_pair = [(limit, ("pair", place, name)) for limit in PAIR]
        return [*by_pair, *((limit, ("address", place)) for limit in ADDRESS)]

    def _wait_s(self, limit: RateLimitItem, who: tuple[str, ...]) -> float:
        return max(1.0, self._limiter.get_window_stats(limit, *who).reset_time - time.time())

    def _mark(self, device_id: str, name_key: str) -> str:
        said = f"device\n{device_id}\n{name_key}".encode()
        return hmac.new(self._key, said, hashlib.sha256).hexdigest()[:32]


def _place(address: str) -> str:
    """Return what one place is: an IPv4 address, or the /64 that one household gets of IPv6.

    >>> _place("10.1.2.3"), _place("2001:db8:1:2:3:4:5:6"), _place("::ffff:10.1.2.3")
    ('10.1.2.3', '2001:db8:1:2::/64', '10.1.2.3')
    """
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
