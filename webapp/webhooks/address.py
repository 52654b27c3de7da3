"""Where a webhook may lead. A name is resolved once, every address behind it is judged, and only those are used."""

import ipaddress
import queue
import re
import socket
from threading import Thread
from typing import NamedTuple

import httpx
from django.conf import settings

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# Whatever the settings say: link-local and the clouds' metadata services give out the machine's own credentials;
# 0.0.0.0 means "this machine"; multicast and broadcast are nobody's address.
_NEVER = [
    ipaddress.ip_network(network)
    for network in (
        "169.254.0.0/16", "fe80::/10", "fd00:ec2::/32", "fd20:ce::/32", "100.100.100.200/32", "168.63.129.16/32",
        "192.0.0.192/32", "0.0.0.0/8", "::/128", "224.0.0.0/4", "ff00::/8", "240.0.0.0/4",
    )
]  # fmt: skip
_HOST = re.compile(rb"[A-Za-z0-9._-]{1,253}|[0-9A-Fa-f:.]{2,45}")
"""A name (made ASCII), or an IPv6 address."""
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class Refused(Exception):
    """The message says what is wrong with the address, and what to do."""


class Target(NamedTuple):
    url: httpx.URL
    addresses: list[str]
    """Judged, in the order to try them."""


def target_of(url: str, *, seconds: float) -> Target:
    """The addresses behind a URL, all of them allowed. Raises Refused."""
    parsed = _parsed(url)
    host = parsed.raw_host.decode()
    addresses = _resolved(host, seconds)
    if not all(is_allowed(ipaddress.ip_address(address)) for address in addresses):
        hint = "" if settings.WEBHOOK_PRIVATE_ADDRESSES else (
            " An admin can allow private networks: GRAFTWORK_WEBHOOK_PRIVATE_ADDRESSES=yes."
        )  # fmt: skip
        raise Refused(f"{host} does not lead to an address webhooks may go to.{hint}")
    return Target(parsed, addresses)


def is_allowed(address: Address) -> bool:
    faces = [address, *_hidden_in(address)]
    if any(face.version == network.version and face in network for face in faces for network in _NEVER):
        return False
    return settings.WEBHOOK_PRIVATE_ADDRESSES or all(_is_public(face) for face in faces)


def look_up(host: str) -> list[str]:
    """By the system's resolver, which also reads decimal, octal and short forms of IPv4."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _parsed(url: str) -> httpx.URL:
    not_an_address = Refused("This is not a web address. Give one as https://example.com/path.")
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, ValueError) as error:
        raise not_an_address from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise Refused("The address must begin with https:// or http:// and name a host.")
    if parsed.userinfo:
        raise Refused("Leave user name and password out of the address; check the signature instead.")
    port = 443 if parsed.port is None else parsed.port
    if not _HOST.fullmatch(parsed.raw_host) or not 0 < port < 65_536:
        raise not_an_address
    return parsed


def _resolved(host: str, seconds: float) -> list[str]:
    """The system's resolver has no time limit of its own, so it is asked in a thread that may be left behind."""
    found: queue.SimpleQueue[list[str] | None] = queue.SimpleQueue()
    Thread(target=lambda: found.put(_looked_up(host)), daemon=True).start()
    try:
        addresses = found.get(timeout=max(seconds, 0.001))
    except queue.Empty:
        raise Refused(f"The name {host} was not resolved in time.") from None
    if not addresses:
        raise Refused(f"The name {host} is not known here. Check its spelling.")
    return addresses


def _looked_up(host: str) -> list[str] | None:
    try:
        return look_up(host)
    except (OSError, UnicodeError):
        return None


def _hidden_in(address: Address) -> list[Address]:
    """IPv4 addresses that travel inside an IPv6 one."""
    if address.version == 4:
        return []
    hidden: list[Address | None] = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in _NAT64:
        hidden.append(ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF))
    return [each for each in hidden if each is not None]


def _is_public(address: Address) -> bool:
    return address.is_global and not address.is_multicast and not address.is_reserved
