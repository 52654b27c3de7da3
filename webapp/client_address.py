"""Where a request comes from. What it says about itself in headers is believed from configured proxies alone.

Anyone can send `X-Forwarded-For`; only a proxy listed in GRAFTWORK_TRUSTED_PROXIES writes there what it saw itself.
"""

import logging
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.deprecation import MiddlewareMixin

log = logging.getLogger(__name__)

FORWARDED = ("HTTP_FORWARDED", "HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_HOST", "HTTP_X_FORWARDED_PROTO")


def client_address(request: HttpRequest) -> str:
    """The address of whoever sent the request; empty if it came over a Unix socket.

    Read from the right: each trusted proxy appended the address it was called from, so the first one that is no
    proxy of ours is the client. What stands further left was written by the client itself.
    """
    address = _peer(request)
    hops = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
    while hops and _is_trusted(address) and (hop := _parse(hops.pop())) is not None:
        address = hop
    return str(address or "")


class DropUntrustedHeaders(MiddlewareMixin):
    """First of all middleware: afterwards Django itself sees forwarded headers of trusted proxies only."""

    def process_request(self, request: HttpRequest) -> HttpResponse | None:
        peer = _peer(request)
        if _is_trusted(peer):
            return None
        dropped = {name: request.META.pop(name) for name in FORWARDED if name in request.META}
        if settings.HTTPS and dropped.get("HTTP_X_FORWARDED_PROTO") == "https":
            # Sent on to https by us and passed on by the proxy as http, the browser would come back for ever.
            _log_untrusted(str(peer))
            return HttpResponse(_NOT_BELIEVED, content_type="text/plain; charset=utf-8", status=400)
        return None


_NOT_BELIEVED = (
    "A proxy says that you came by https, and this server is not told to believe it.\n"
    "Whoever runs it: set GRAFTWORK_TRUSTED_PROXIES to the proxy's address, which is in the log of the web process.\n"
)


@lru_cache(maxsize=64)
def _log_untrusted(address: str) -> None:
    """Once an address."""
    log.warning("%s sends X-Forwarded-Proto. If it is your proxy, name it in GRAFTWORK_TRUSTED_PROXIES.", address)


def _peer(request: HttpRequest) -> IPv4Address | IPv6Address | None:
    """The other end of the connection itself."""
    return _parse(request.META.get("REMOTE_ADDR", ""))


def _is_trusted(address: IPv4Address | IPv6Address | None) -> bool:
    return address is not None and any(address in network for network in settings.TRUSTED_PROXIES)


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    """None for what is no address. An IPv4 address inside IPv6 is taken out, so that both forms are the same client."""
    try:
        address = ip_address(text.strip().strip("[]").partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
