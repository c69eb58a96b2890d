"""Which addresses a URL that somebody gave us may lead to: public ones, and those that the operator names."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TookTooLong
from dataclasses import dataclass
from urllib.parse import urlsplit

WEB_PORTS = frozenset({80, 443})
LONGEST_URL = 4_096
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# All of IPv6 that is given out. What lies outside (::a.b.c.d and ::ffff:0:a.b.c.d, fec0::, …) reaches no stranger.
_UNICAST = ipaddress.ip_network("2000::/3")
# Given out as public, and yet inside of each machine's own network at Azure: what tells machines of themselves.
_OF_HOSTS = frozenset({ipaddress.ip_address("168.63.129.16")})
_HOST = re.compile(r"[a-z0-9._:-]+")
# A resolver can't be told to hurry: it runs beside, and is not waited for beyond the deadline. So many that names which
# nobody answers for, as many as one client's webhooks and files can ask for, leave some for the others.
_resolvers = ThreadPoolExecutor(max_workers=64, thread_name_prefix="resolve")

Resolve = Callable[[str, int], list[str]]


class GuardError(Exception):
    """A fetch that was refused or failed; the message is for whoever gave the URL and tells nothing of our network."""


class RefusedAddressError(GuardError):
    """An address that is not fetched: another scheme or port, credentials in the URL, or a host that is not public."""


@dataclass(frozen=True)
class Address:
    """A URL taken apart. `host` is in lower case and ASCII."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def pair(self) -> str:
        """`host:port`, as the setting SSRF_ALLOW writes it."""
        return f"{self.host}:{self.port}"


def read_address(url: str, allow: Collection[str] = ()) -> Address:
    """Take a URL apart; raises RefusedAddressError for all but http and https on their ports, without credentials."""
    if len(url) > LONGEST_URL or not url.isprintable() or " " in url:
        raise RefusedAddressError("the URL is not well formed")
    try:
        parts = urlsplit(url)
        port = {"http": 80, "https": 443}.get(parts.scheme, 0) if parts.port is None else parts.port
        host = (parts.hostname or "").encode("idna").decode().lower().rstrip(".")
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        target.encode("ascii")
    except (ValueError, UnicodeError):
        raise RefusedAddressError("the URL is not well formed") from None
    if parts.scheme not in ("http", "https"):
        raise RefusedAddressError("only http and https URLs are looked at")
    if parts.username is not None or parts.password is not None:
        raise RefusedAddressError("the URL carries credentials")
    if not host:
        raise RefusedAddressError("the URL names no host")
    if not _HOST.fullmatch(host):
        raise RefusedAddressError("the URL is not well formed")
    address = Address(parts.scheme, host, port, target)
    if port not in WEB_PORTS and address.pair not in allow:
        raise RefusedAddressError(f"port {port} is not one of {', '.join(map(str, sorted(WEB_PORTS)))}")
    return address


def is_public(text: str) -> bool:
    """Whether an IP address is one of the public internet, also where it carries an IPv4 address inside."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
        if address not in _UNICAST:
            return False
    return address.is_global and not address.is_multicast and address not in _OF_HOSTS


def resolve(host: str, port: int) -> list[str]:
    """The IP addresses of a host, each once, as the system's resolver orders them. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def public_addresses(
    host: str, port: int, *, allow: Collection[str] = (), seconds: float = 3.0, resolver: Resolve = resolve
) -> list[str]:
    """Where to connect to for a host. One address that is not public refuses them all: who mixes has a reason to.

    Raises RefusedAddressError, or GuardError where the name can't be resolved within `seconds`.
    """
    try:
        found = _resolvers.submit(resolver, host, port).result(timeout=seconds)
    except TookTooLong:
        raise GuardError("the host's name was not resolved in time") from None
    except (OSError, UnicodeError):
        raise GuardError("the host's name can't be resolved") from None
    if not found:
        raise GuardError("the host's name can't be resolved")
    if f"{host}:{port}" not in allow and not all(map(is_public, found)):
        raise RefusedAddressError("the host is not on the public internet")
    return found
