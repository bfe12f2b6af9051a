"""Addresses and names: what is read, what is refused, and a resolver that hangs holds up nothing."""

from __future__ import annotations

import asyncio
import socket
import sys
import threading

import pytest

from meshdiag.sources.resolving import PLACES, Resolver, join_address, split_address


async def test_numbers_are_not_looked_up(monkeypatch):
    """An IP address is its own answer, of either family."""
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_kwargs: pytest.fail("was looked up"))
    resolver = Resolver()
    assert await resolver.resolve("10.0.0.1", 4001, 1) == ((socket.AF_INET, ("10.0.0.1", 4001)),)
    assert await resolver.resolve("fd00::1", 4001, 1) == ((socket.AF_INET6, ("fd00::1", 4001)),)


async def test_a_name_is_looked_up_once_however_often_and_with_whatever_port_it_is_asked_for(monkeypatch):
    """A thousand peers of one host cost one look-up, and each has its own port."""
    asked = []

    def answer(host, *_args, **_kwargs):
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"10.0.0.{last}", 0)) for last in range(1, 9)]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    resolver = Resolver()
    answers = await asyncio.gather(*(resolver.resolve("many.example", port, 5) for port in range(1, 200)))
    assert asked == ["many.example"]
    assert [places[0][1][1] for places in answers] == list(range(1, 200))
    assert {len(places) for places in answers} == {PLACES}


async def test_a_failure_is_remembered_too(monkeypatch):
    """A name that nobody knows is not asked for again and again."""
    asked = []

    def fail(host, *_args, **_kwargs):
        asked.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    resolver = Resolver()
    for _ in range(3):
        with pytest.raises(socket.gaierror):
            await resolver.resolve("nobody.example", 1, 5)
    assert asked == ["nobody.example"]


async def test_look_ups_are_bounded_in_number(monkeypatch):
    """However many names there are, no more threads look them up than allowed."""
    under_way, most, guard = 0, 0, threading.Lock()

    def count(*_args, **_kwargs):
        nonlocal under_way, most
        with guard:
            under_way += 1
            most = max(most, under_way)
        threading.Event().wait(0.01)
        with guard:
            under_way -= 1
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.1", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", count)
    resolver = Resolver(at_once=5)
    await asyncio.gather(*(resolver.resolve(f"h{number}.example", 1, 10) for number in range(40)))
    assert 1 < most <= 5


async def test_a_resolver_that_hangs_costs_the_timeout_and_no_more(monkeypatch):
    """A look-up that never returns holds up neither other names nor the end of the program."""
    release = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_kwargs: release.wait(30) and [])
    try:
        resolver = Resolver()
        for _ in range(2):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(resolver.resolve("slow.example", 1, 0.1), 10)
        assert await resolver.resolve("10.0.0.1", 1, 0.1)
        threads = [thread for thread in threading.enumerate() if thread.name == "meshdiag-look-up"]
        assert threads and all(thread.daemon for thread in threads)
    finally:
        release.set()


async def test_the_exit_does_not_wait_for_a_hanging_resolver():
    """A process whose resolver hangs still ends."""
    code = (
        "import asyncio, socket, time\n"
        "from meshdiag.sources.probing import Method, Plan, Prober, Target\n"
        "socket.getaddrinfo = lambda *a, **k: time.sleep(600)\n"
        "print(asyncio.run(Prober().probe([Target('slow.example:1')], Plan(timeout_s=0.1)))[0].trouble)\n"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    try:
        answer, _ = await asyncio.wait_for(process.communicate(), 20)
    finally:
        if process.returncode is None:
            process.kill()
    assert answer.decode().strip() == "no-resolver"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("trainer-1:4001", ("trainer-1", 4001)),
        (" 10.0.0.1:1 ", ("10.0.0.1", 1)),
        ("[::1]:1", ("::1", 1)),
        ("[fe80::1%eth0]:4001", ("fe80::1%eth0", 4001)),
    ],
)
def test_host_and_port_are_split_and_joined(text, place):
    """Names, IPv4 and bracketed IPv6 addresses are read, and written again as they were."""
    assert split_address(text) == place
    assert join_address(*place) == text.strip()


@pytest.mark.parametrize(
    "text", ["", "host", "host:", ":1", "host:0", "host:65536", "host:٣", "::1:1", "[]:1", "h:1e3"]
)
def test_what_is_no_address_is_refused(text):
    """Anything else is named with the form that was expected."""
    with pytest.raises(ValueError, match="is not host:port"):
        split_address(text)
