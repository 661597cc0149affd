"""Where a webhook may connect: its name is looked up once, every address is judged, and that very one is used.

A name that leads to this machine or into a private network would let who may write the configuration reach what only
the appliance can reach (server-side request forgery), so that must be allowed on purpose. Because the connection goes
to the address that was judged, a name that changes its mind in between (DNS rebinding) gains nothing.
"""

from __future__ import annotations

import ipaddress
import socket
from ipaddress import IPv4Address, IPv6Address

from core.errors import TraylaneError

_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class AddressRefused(TraylaneError):
    """The receiver's address is one that we do not connect to; a retry may find another one."""


def judged_addresses(host: str, port: int, allow_private: bool) -> list[tuple[int, tuple[str, int]]]:
    """Return (family, (address, port)) of a host, all of them allowed.

    Raises:
        AddressRefused: the name does not exist, or one of its addresses is not allowed.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as err:
        raise AddressRefused(f"{host}: no address: {err}") from err
    addresses = list(dict.fromkeys((int(family), (str(place[0]), port)) for family, _, _, _, place in found))
    for _, (address, _) in addresses:
        why = _why_not(address, allow_private)
        if why:
            raise AddressRefused(f"{host} is {address}: {why}")
    return addresses


def _innermost(place: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the IPv4 address that an IPv6 address stands for (mapped, NAT64, 6to4, Teredo), or the address itself."""
    if isinstance(place, IPv4Address):
        return place
    if place in _NAT64:
        return IPv4Address(place.packed[-4:])
    teredo = None if place.teredo is None else place.teredo[1]
    return place.ipv4_mapped or place.sixtofour or teredo or place


def _why_not(address: str, allow_private: bool) -> str:
    """Return why an address is not allowed, or "".

    >>> _why_not("93.184.216.34", False), _why_not("10.0.0.7", True)
    ('', '')
    >>> _why_not("::ffff:127.0.0.1", False)
    'not a public address; set allow_private for this webhook if it is meant'
    >>> _why_not("169.254.169.254", True), _why_not("64:ff9b::a9fe:a9fe", True) == _why_not("169.254.169.254", True)
    ('a link-local address (cloud metadata lives there)', True)
    """
    place = _innermost(ipaddress.ip_address(address.partition("%")[0]))
    if place.is_link_local:
        return "a link-local address (cloud metadata lives there)"
    if place.is_multicast or place.is_unspecified or place.is_reserved:
        return "not an address of one machine"
    if not place.is_global and not allow_private:
        return "not a public address; set allow_private for this webhook if it is meant"
    return ""
