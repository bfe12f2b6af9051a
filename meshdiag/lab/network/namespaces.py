"""Network namespaces without names: made, entered and kept by descriptors alone, so that nothing outlives the lab.

A namespace is a property of a thread: the one that enters it opens sockets there, and goes back. A socket stays in
the namespace that it was opened in, whoever uses it; so one process can serve many machines.
Sources: namespaces(7), network_namespaces(7), user_namespaces(7), netdevice(7), the kernel's tuntap documentation.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

NEW_NETWORK = 0x4000_0000
NEW_USER = 0x1000_0000
DEVICE = b"mesh0"
TUN = "/dev/net/tun"
PREFIX, PREFIX6 = 15, 48
"""198.18.0.0/15 and 2001:2::/48 are set aside for tests of networks (RFC 2544, RFC 5180): nobody's real addresses."""

_TUNSETIFF = 0x4004_54CA
_TUN_WITHOUT_HEADER = 0x1001
_SET_FLAGS, _SET_ADDRESS, _SET_NETMASK = 0x8914, 0x8916, 0x891C
_UP_AND_RUNNING = 0x41
_OWN_NAMESPACE = "/proc/thread-self/ns/net"
_LIBC = ctypes.CDLL(None, use_errno=True)  # the calls are in os from Python 3.12 on


@dataclass(slots=True)
class Namespace:
    """A namespace that is held open. ``descriptor`` is the handle that keeps it, ``device`` the far end of its only
    link, which packets are read from and written to; None once another process has it. ``addresses`` are its own."""

    descriptor: int
    device: int | None
    addresses: tuple[str, ...]

    @property
    def name(self) -> str:
        """What /proc calls it: ``net:[4026531840]``."""
        return f"net:[{os.fstat(self.descriptor).st_ino}]"

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Have the calling thread in the namespace; for a few statements that wait for nothing."""
        with _there_and_back():
            self.enter()
            yield

    def enter(self) -> None:
        """Move the calling thread into it for good. Raises ``OSError``."""
        _enter(self.descriptor)

    def give_away(self) -> None:
        """Close the device here: another process has it, and it ends with that."""
        if self.device is not None:
            os.close(self.device)
            self.device = None

    def close(self) -> None:
        """Let go of it: it ends with the last socket and process in it."""
        self.give_away()
        os.close(self.descriptor)


class Host:
    """Where the program itself runs: there is nothing to enter."""

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Do nothing."""
        yield

    def enter(self) -> None:
        """Do nothing."""


HOST = Host()
Place = Host | Namespace


def make(address: str, address6: str) -> Namespace:
    """A new namespace with one link, a TUN device with these addresses; without the second one where the kernel has
    no IPv6. Raises ``OSError``."""
    with _there_and_back():
        _unshare(NEW_NETWORK)
        descriptor = os.open(_OWN_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)
        try:
            device = _open_device()
        except OSError:
            os.close(descriptor)
            raise
        _switch_on(address)
        addresses = (address, address6) if _add_ipv6(address6) else (address,)
        return Namespace(descriptor, device, addresses)


def become_root_of_an_own_world() -> None:
    """Move this process, which must have one thread, into a user namespace in which it is root, and an empty network
    of it. Raises ``OSError`` where the system does not allow that."""
    user, group = os.geteuid(), os.getegid()
    _unshare(NEW_USER | NEW_NETWORK)
    own = Path("/proc/self")
    (own / "setgroups").write_text("deny")
    (own / "uid_map").write_text(f"0 {user} 1")
    (own / "gid_map").write_text(f"0 {group} 1")


def in_own_world() -> bool:
    """Whether this process is in a user namespace that holds one user."""
    _inside, _outside, count = Path("/proc/self/uid_map").read_text().split()[:3]
    return count == "1"


def may_make() -> bool:
    """Whether this process can make namespaces as it is. Raises ``OSError`` for other troubles than permissions."""
    try:
        with _there_and_back():
            _unshare(NEW_NETWORK)
    except PermissionError:
        return False
    return True


@contextmanager
def _there_and_back() -> Iterator[None]:
    home = os.open(_OWN_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield
    finally:
        _enter(home)
        os.close(home)


def _open_device() -> int:
    device = os.open(TUN, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH22x", DEVICE, _TUN_WITHOUT_HEADER))
    except OSError:
        os.close(device)
        raise
    return device


def _switch_on(address: str) -> None:
    """Give the device its address and switch it on, and the loopback too."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        _set_inet(handle, _SET_ADDRESS, address)
        _set_inet(handle, _SET_NETMASK, _netmask())
        for name in (DEVICE, b"lo"):
            fcntl.ioctl(handle, _SET_FLAGS, struct.pack("16sH22x", name, _UP_AND_RUNNING))


def _add_ipv6(address: str) -> bool:
    """Give the device another address; whether the kernel takes it."""
    packed = socket.inet_pton(socket.AF_INET6, address)
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as handle:
            index = socket.if_nametoindex(DEVICE.decode())
            fcntl.ioctl(handle, _SET_ADDRESS, struct.pack("16sIi", packed, PREFIX6, index))
    except OSError:
        return False
    return True


def _set_inet(handle: socket.socket, what: int, address: str) -> None:
    request = struct.pack("16sHH4s16x", DEVICE, socket.AF_INET, 0, socket.inet_aton(address))
    fcntl.ioctl(handle, what, request)


def _netmask() -> str:
    return socket.inet_ntoa(struct.pack("!I", 0xFFFF_FFFF << (32 - PREFIX) & 0xFFFF_FFFF))


def _enter(descriptor: int) -> None:
    if _LIBC.setns(descriptor, NEW_NETWORK) != 0:
        raise _last_error("setns")


def _unshare(flags: int) -> None:
    if _LIBC.unshare(flags) != 0:
        raise _last_error("unshare")


def _last_error(call: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, f"{call}: {os.strerror(number).lower()}")
