"""Whether a host that a URL names is this machine."""

from __future__ import annotations

import socket
from contextlib import suppress
from ipaddress import ip_address

import psutil


def is_here(host: str) -> bool:
    """By loopback, this machine's own name, or one of its addresses; names are not looked up."""
    name = host.strip("[]").lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    own = socket.gethostname().lower()
    if name and name in (own, own.partition(".")[0]):
        return True
    with suppress(ValueError):
        address = ip_address(name.partition("%")[0])
        return address.is_loopback or address.is_unspecified or str(address) in _addresses()
    return False


def _addresses() -> set[str]:
    """The addresses of this machine's interfaces."""
    with suppress(OSError):
        found = (one for several in psutil.net_if_addrs().values() for one in several)
        return {one.address.partition("%")[0] for one in found if one.family in (socket.AF_INET, socket.AF_INET6)}
    return set()
