"""TCP connects: what answers is timed, what does not is named, and nothing holds up the run."""

from __future__ import annotations

import asyncio
import errno
import socket
import sys
import threading
import time
from types import SimpleNamespace

import pytest

from meshdiag.sources import tcp
from meshdiag.sources.tcp import ConnectTrouble, TcpConnect, split_address


@pytest.fixture
def listener():
    """A socket that accepts connects."""
    with socket.create_server(("127.0.0.1", 0), backlog=512) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def closed_port():
    """A port on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    return f"127.0.0.1:{port}"


@pytest.fixture
def deaf():
    """A port that never answers a connect: its queue is full, as if a firewall dropped the packets."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        waiting = []
        for _ in range(4):
            plain = socket.socket()
            plain.setblocking(False)
            plain.connect_ex(server.getsockname())
            waiting.append(plain)
        yield f"127.0.0.1:{server.getsockname()[1]}"
        for plain in waiting:
            plain.close()


async def test_a_peer_that_answers_is_timed(listener):
    """Each connect gives one positive time in seconds, and no trouble."""
    answer = (await TcpConnect().measure([listener], count=3))[listener]
    assert len(answer.times_s) == 3
    assert all(0 < seconds < 1 for seconds in answer.times_s)
    assert answer.trouble is None


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells how long a handshake took")
@pytest.mark.parametrize("busy_s", [0.3, 0.7])
async def test_a_busy_machine_is_not_taken_for_a_slow_link(listener, busy_s):
    """A process that wakes late, even after the connect's deadline, still tells how long the handshake took."""

    async def busy():
        for _ in range(4):
            time.sleep(busy_s)  # noqa: ASYNC251 (it is to hold up the loop)
            await asyncio.sleep(0)

    other = asyncio.ensure_future(busy())
    answer = (await TcpConnect().measure([listener], count=3, timeout_s=0.5))[listener]
    await other
    assert answer.trouble is None
    assert len(answer.times_s) == 3
    assert max(answer.times_s) < 0.2


async def test_refused_silent_unknown_and_misspelt_are_told_apart(listener, closed_port, deaf):
    """One look at five addresses gives five different answers."""
    addresses = [listener, closed_port, deaf, "no-such-host.invalid:80", "no-port"]
    answers = await TcpConnect().measure(addresses, count=2, timeout_s=0.4)
    assert [answers[address].trouble for address in addresses] == [
        None,
        ConnectTrouble.REFUSED,
        ConnectTrouble.TIMEOUT,
        ConnectTrouble.UNKNOWN_HOST,
        ConnectTrouble.BAD_ADDRESS,
    ]
    assert all(answers[address].times_s == () for address in addresses[1:])


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (OSError(errno.EHOSTUNREACH, "No route to host"), ConnectTrouble.UNREACHABLE),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), ConnectTrouble.UNREACHABLE),
        (OSError(errno.EMFILE, "Too many open files"), ConnectTrouble.ERROR),
        (TimeoutError(), ConnectTrouble.TIMEOUT),
        (UnicodeError("label too long"), ConnectTrouble.UNKNOWN_HOST),
    ],
)
def test_every_error_has_a_word(error, word):
    """What the system says is translated; what is not known is an error, never a success."""
    assert tcp._trouble(error) is word


async def test_ipv6_and_names_work():
    """An address in brackets and a name are connected to like any other."""
    with socket.create_server(("localhost", 0)) as server:
        named = f"localhost:{server.getsockname()[1]}"
        assert (await TcpConnect().measure([named]))[named].trouble is None
    try:
        server = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    with server:
        bracketed = f"[::1]:{server.getsockname()[1]}"
        assert (await TcpConnect().measure([bracketed]))[bracketed].trouble is None


async def test_a_name_is_tried_at_each_of_its_addresses(monkeypatch, listener, closed_port):
    """A host whose first address refuses is reached at its second."""
    good, bad = split_address(listener), split_address(closed_port)

    def two(*_args, **_kwargs):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", place) for place in (bad, good)]

    monkeypatch.setattr(socket, "getaddrinfo", two)
    answer = (await TcpConnect().measure(["peer.example:1"]))["peer.example:1"]
    assert len(answer.times_s) == 3
    assert answer.trouble is None


async def test_a_resolver_that_hangs_costs_the_timeout_and_no_more(monkeypatch, listener):
    """A name look-up that never returns holds up neither the other addresses nor the end of the program."""
    release = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_kwargs: release.wait(30) and [])
    try:
        answers = await asyncio.wait_for(TcpConnect().measure(["slow.example:1", listener], timeout_s=0.2), 10)
        assert answers["slow.example:1"].trouble is ConnectTrouble.TIMEOUT
        assert answers[listener].trouble is None
        threads = [thread for thread in threading.enumerate() if thread.name == "meshdiag-look-up"]
        assert threads and all(thread.daemon for thread in threads)
    finally:
        release.set()


async def test_the_exit_does_not_wait_for_a_hanging_resolver():
    """A process whose resolver hangs still ends."""
    code = (
        "import asyncio, socket, time\n"
        "from meshdiag.sources.tcp import TcpConnect\n"
        "socket.getaddrinfo = lambda *a, **k: time.sleep(600)\n"
        "print(asyncio.run(TcpConnect().measure(['slow.example:1'], timeout_s=0.1))['slow.example:1'].trouble)\n"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    try:
        answer, _ = await asyncio.wait_for(process.communicate(), 20)
    finally:
        if process.returncode is None:
            process.kill()
    assert answer.decode().strip() == "timeout"


async def test_many_addresses_are_bounded_in_number(listener, monkeypatch):
    """However many addresses there are, no more connects are under way than allowed."""
    loop = asyncio.get_running_loop()
    real, under_way, most = loop.sock_connect, 0, 0

    async def counted(plain, target):
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        try:
            await asyncio.sleep(0.005)
            await real(plain, target)
        finally:
            under_way -= 1

    monkeypatch.setattr(loop, "sock_connect", counted)
    port = listener.rpartition(":")[2]
    addresses = [f"127.0.0.{last}:{port}" for last in range(1, 60)]
    await TcpConnect(at_once=7, per_second=100_000).measure(addresses, count=1)
    assert 1 < most <= 7


async def test_connects_begin_at_the_stated_pace(listener, monkeypatch):
    """The turns that connects wait for lie at least an interval apart."""
    delays = []

    async def note(delay):
        delays.append(delay)

    monkeypatch.setattr(tcp.asyncio, "sleep", note)
    monkeypatch.setattr(tcp, "time", SimpleNamespace(monotonic=lambda: 100.0, perf_counter=time.perf_counter))
    await TcpConnect(per_second=10).measure([listener], count=5)
    assert delays == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("trainer-1:4001", ("trainer-1", 4001)),
        (" 10.0.0.1:1 ", ("10.0.0.1", 1)),
        ("[::1]:1", ("::1", 1)),
        ("[fe80::1%eth0]:4001", ("fe80::1%eth0", 4001)),
    ],
)
def test_host_and_port_are_split(text, place):
    """Names, IPv4 and bracketed IPv6 addresses are read."""
    assert split_address(text) == place


@pytest.mark.parametrize(
    "text", ["", "host", "host:", ":1", "host:0", "host:65536", "host:٣", "::1:1", "[]:1", "h:1e3"]
)
def test_what_is_no_address_is_refused(text):
    """Anything else is named with the form that was expected."""
    with pytest.raises(ValueError, match="is not host:port"):
        split_address(text)
