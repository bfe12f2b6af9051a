"""Probes over connections: what answers is timed, each way of not answering is told apart, nothing holds up the run."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import trustme

from meshdiag.sources.probing import Method, Plan, Probed, Prober, ProbeTrouble, Target
from meshdiag.sources.probing.http import read_url
from meshdiag.sources.probing.looking import host_and_port
from meshdiag.sources.probing.pace import Pace
from meshdiag.sources.probing.prober import at_once
from meshdiag.sources.probing.troubles import of_error, of_icmp
from tests.faulty import FAULTS, Fault, faulty

T = ProbeTrouble
QUICK = {"count": 3, "interval_s": 0.0, "timeout_s": 0.25}
Serve = Callable[[socket.socket], None]


@contextlib.contextmanager
def server(serve: Serve | None = None) -> Iterator[str]:
    """A port that accepts; ``serve`` is given each connection, without it they are let lie."""
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listening:
        stop = threading.Event()

        def run() -> None:
            while not stop.is_set():
                try:
                    accepted, _ = listening.accept()
                except OSError:
                    return
                with accepted, contextlib.suppress(OSError):
                    accepted.settimeout(5)
                    serve(accepted)  # type: ignore[misc]

        if serve is not None:
            threading.Thread(target=run, daemon=True).start()
        yield f"127.0.0.1:{listening.getsockname()[1]}"
        stop.set()


@pytest.fixture
def listener() -> Iterator[str]:
    """A port that accepts, and then says nothing."""
    with server() as address:
        yield address


@pytest.fixture
def closed_port() -> str:
    """A port on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    return f"127.0.0.1:{port}"


@pytest.fixture
def deaf() -> Iterator[str]:
    """A port that never answers a connect: its queue is full, as if a firewall dropped the packets."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        waiting = []
        for _ in range(4):
            plain = socket.socket()
            plain.setblocking(False)
            plain.connect_ex(listening.getsockname())
            waiting.append(plain)
        yield f"127.0.0.1:{listening.getsockname()[1]}"
        for plain in waiting:
            plain.close()


async def probe(address: str, *methods: Method, url: str = "", **plan: float) -> Probed:
    """What probing one target brings."""
    (found,) = await Prober().probe([Target(address, url=url)], Plan(methods, **{**QUICK, **plan}))  # type: ignore[arg-type]
    return found


async def test_a_port_that_answers_is_timed(listener: str) -> None:
    """Each connect gives one positive time in seconds, and no trouble."""
    found = await probe(listener, Method.TCP)
    assert (found.method, found.sent, found.received, found.loss) == (Method.TCP, 3, 3, 0)
    assert all(0 < seconds < 1 for seconds in found.times_s)
    assert (found.trouble, found.tried, found.ip) == (None, (), "127.0.0.1")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells how long a handshake took")
async def test_a_busy_machine_is_not_taken_for_a_slow_link(listener: str) -> None:
    """A process that wakes late, even after the connect's deadline, still tells how long the handshake took."""

    async def busy() -> None:
        for _ in range(4):
            time.sleep(0.6)  # noqa: ASYNC251 (it is to hold up the loop)
            await asyncio.sleep(0)

    other = asyncio.ensure_future(busy())
    found = await probe(listener, Method.TCP, timeout_s=0.5)
    await other
    assert found.trouble is None
    assert found.received == 3
    assert max(found.times_s) < 0.2


async def test_refused_silent_unknown_and_misspelt_are_told_apart(listener: str, closed_port: str, deaf: str) -> None:
    """One look at five addresses gives five different answers, in the order in which they were asked for."""
    addresses = [listener, closed_port, deaf, "no such host:80", "h:port"]
    targets = [Target(address) for address in addresses]
    told: list[Probed] = []
    found = await Prober().probe(targets, Plan((Method.TCP,), **QUICK), told.append)  # type: ignore[arg-type]
    assert [one.target for one in found] == targets
    assert [one.trouble for one in found] == [None, T.REFUSED, T.TIMEOUT, T.BAD_ADDRESS, T.BAD_ADDRESS]
    assert [one.sent for one in found] == [3, 1, 3, 0, 0]
    assert sorted(map(id, told)) == sorted(map(id, found))


@pytest.mark.parametrize(("said", "trouble"), [(socket.EAI_NONAME, T.UNKNOWN_HOST), (socket.EAI_AGAIN, T.NO_RESOLVER)])
async def test_an_unknown_name_is_told_from_a_resolver_that_is_silent(
    monkeypatch: pytest.MonkeyPatch, said: int, trouble: ProbeTrouble
) -> None:
    """That there is no such name, and that nobody could say so, are different answers."""

    def fail(*_args: object, **_kwargs: object) -> None:
        raise socket.gaierror(said, "as the system says it")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    assert (await probe("peer.example:1")).trouble is trouble


class Counting(Pace):
    """A pace that counts its turns."""

    turns = 0

    async def turn(self) -> None:
        """Count, and wait like any other."""
        Counting.turns += 1
        await super().turn()


async def test_every_packet_takes_its_turn(monkeypatch: pytest.MonkeyPatch, listener: str) -> None:
    """Echo requests and connects alike, whatever the method; one host is pinged once however many peers it has."""
    monkeypatch.setattr("meshdiag.sources.probing.prober.Pace", Counting)
    port = listener.rpartition(":")[2]
    targets = [Target(f"127.0.0.{last}:{port}", name) for last in (1, 2) for name in "abc"]
    for methods, expected in (((Method.TCP,), 6 * 3), ((Method.ICMP,), 2 * 3), ((), 2 * 3 + 6)):
        Counting.turns = 0
        found = await Prober().probe(targets, Plan(methods, 3, 0.01, 1.0))
        if found[0].trouble is T.NOT_ALLOWED or found[0].tried:
            pytest.skip("this process may send no ICMP")
        # Those on 127.0.0.2 refuse: what listens listens on 127.0.0.1.
        refused = 3 * 2 if methods == (Method.TCP,) else 0
        assert Counting.turns == expected - refused, methods


async def test_ipv6_and_names_work() -> None:
    """An address in brackets and a name are connected to like any other."""
    with socket.create_server(("localhost", 0)) as listening:
        named = await probe(f"localhost:{listening.getsockname()[1]}", Method.TCP)
        assert named.trouble is None
    try:
        six = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    with six:
        found = await probe(f"[::1]:{six.getsockname()[1]}", Method.TCP)
        assert (found.trouble, found.ip) == (None, "::1")


async def test_a_name_is_tried_at_each_of_its_addresses(
    monkeypatch: pytest.MonkeyPatch, listener: str, closed_port: str
) -> None:
    """A host whose first address refuses is reached at its second."""
    port = int(listener.rpartition(":")[2])

    def two(*_args: object, **_kwargs: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, 0)) for host in ("127.0.0.9", "127.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", two)
    found = await probe(f"peer.example:{port}", Method.TCP)
    assert (found.received, found.trouble, found.ip) == (3, None, "127.0.0.1")


async def test_connections_are_bounded_in_number(deaf: str) -> None:
    """However many targets there are, no more connections are under way than allowed."""
    most, open_now = 0, 0
    real = socket.socket.connect_ex

    async def watch() -> None:
        nonlocal most
        while True:
            most = max(most, open_now)
            await asyncio.sleep(0.005)

    class Counted(socket.socket):
        def connect_ex(self, address: object) -> int:
            nonlocal open_now
            open_now += 1
            return real(self, address)  # type: ignore[arg-type]

        def close(self) -> None:
            nonlocal open_now
            open_now -= self.fileno() >= 0
            super().close()

    port = deaf.rpartition(":")[2]
    targets = [Target(f"127.0.0.1:{port}", name=str(number)) for number in range(40)]
    watching = asyncio.ensure_future(watch())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("meshdiag.sources.probing.tcp.socket.socket", Counted)
        await Prober(connections=7).probe(targets, Plan((Method.TCP,), 1, 0.0, 0.05))
    watching.cancel()
    assert 1 < most <= 7
    assert 16 <= at_once() <= 800


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (OSError(errno.EHOSTUNREACH, "No route to host"), T.HOST_UNREACHABLE),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), T.UNREACHABLE),
        (OSError(errno.EACCES, "Permission denied"), T.PROHIBITED),
        (OSError(errno.EMFILE, "Too many open files"), T.ERROR),
        (ConnectionResetError(errno.ECONNRESET, "reset"), T.CLOSED),
        (TimeoutError(), T.TIMEOUT),
        (UnicodeError("label too long"), T.UNKNOWN_HOST),
    ],
)
def test_every_error_has_a_word(error: Exception, word: ProbeTrouble) -> None:
    """What the system says is translated; what is not known is an error, never a success."""
    assert of_error(error) is word


def test_every_word_of_a_router_has_a_meaning() -> None:
    """All codes of destination unreachable, and time exceeded; nothing else of ICMP is a failure."""
    assert {of_icmp(3, code, six=False) for code in range(14) if code != 4} == {
        T.UNREACHABLE, T.HOST_UNREACHABLE, T.PROHIBITED,
    }  # fmt: skip
    assert {of_icmp(1, code, six=True) for code in range(7)} == {T.UNREACHABLE, T.HOST_UNREACHABLE, T.PROHIBITED}
    assert of_icmp(11, 0, six=False) is of_icmp(3, 0, six=True) is T.TTL_EXCEEDED
    assert of_icmp(0, 0, six=False) is of_icmp(3, 4, six=False) is of_icmp(129, 0, six=True) is None


def tls_server(
    *, demands: bool = False, newest: ssl.TLSVersion | None = None
) -> contextlib.AbstractContextManager[str]:
    """A server that shakes hands and then answers as HTTP; ``demands`` a client's certificate."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("peer.example").configure_cert(context)
    if demands:
        context.verify_mode = ssl.CERT_REQUIRED
        authority.configure_trust(context)
    if newest:
        context.maximum_version = newest

    def serve(plain: socket.socket) -> None:
        with contextlib.suppress(ssl.SSLError), context.wrap_socket(plain, server_side=True) as secure:
            if secure.recv(4096):
                secure.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    return server(serve)


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("demands", [False, True])
async def test_a_handshake_is_timed_whoever_is_trusted(newest: ssl.TLSVersion, demands: bool) -> None:
    """Neither an unknown authority nor a server that wants a certificate of us keeps it from being timed."""
    with tls_server(demands=demands, newest=newest) as address:
        found = await probe(address, Method.TLS, timeout_s=3)
    assert (found.method, found.received, found.trouble) == (Method.TLS, 3, None)
    assert list(found.stages_s) == ["name", "connect", "tls"]
    assert all(0 < took < 3 for took in found.times_s)


async def test_http_is_timed_to_the_first_byte_stage_by_stage() -> None:
    """Over TLS there are four stages, and the time is that of the last three together."""
    with tls_server() as address:
        found = await probe(address, url=f"https://{address}/metrics", timeout_s=3)
    assert (found.method, found.received, found.tried) == (Method.HTTP, 3, ())
    assert list(found.stages_s) == ["name", "connect", "tls", "first_byte"]
    assert min(found.times_s) <= sum(found.stages_s.values()) * 3


async def test_the_first_byte_is_waited_for() -> None:
    """A server that thinks for a while is not fast because it accepts at once."""

    def slow(plain: socket.socket) -> None:
        plain.recv(4096)
        time.sleep(0.15)
        plain.sendall(b"HT")
        time.sleep(0.15)
        plain.sendall(b"TP/1.1 503 Service Unavailable\r\n\r\n")

    with server(slow) as address:
        found = await probe(address, Method.HTTP, count=1, timeout_s=3)
    assert 0.15 <= found.stages_s["first_byte"] < 0.29
    assert found.stages_s["connect"] < 0.1


def silent(plain: socket.socket) -> None:
    """Accepts, reads, and never says anything."""
    while plain.recv(4096):
        pass


def hangs_up(_plain: socket.socket) -> None:
    """Accepts, and closes."""


def greets(plain: socket.socket) -> None:
    """Speaks first, and something else."""
    plain.sendall(b"220 mail.example ESMTP\r\n")
    silent(plain)


def half_a_handshake(plain: socket.socket) -> None:
    """Begins to answer a ClientHello, and stops in the middle."""
    plain.recv(4096)
    plain.sendall(b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03")
    silent(plain)


@pytest.mark.parametrize(
    ("serve", "method", "trouble"),
    [
        (silent, Method.TLS, T.STALLED),
        (silent, Method.HTTP, T.STALLED),
        (half_a_handshake, Method.TLS, T.STALLED),
        (hangs_up, Method.TLS, T.CLOSED),
        (hangs_up, Method.HTTP, T.CLOSED),
        (greets, Method.TLS, T.NO_TLS),
        (greets, Method.HTTP, T.NO_HTTP),
    ],
)
async def test_a_port_that_accepts_and_does_not_serve(serve: Serve, method: Method, trouble: ProbeTrouble) -> None:
    """It accepts and says nothing, stalls half way, hangs up, speaks something else: each is told, none hangs."""
    with server(serve) as address:
        found = await asyncio.wait_for(probe(address, method), 10)
    assert (found.method, found.times_s, found.trouble) == (None, (), trouble)


async def test_a_server_that_wants_a_certificate_before_it_answers_is_told() -> None:
    """Its handshake could be timed; its page cannot."""
    with tls_server(demands=True) as address:
        found = await probe(address, Method.HTTP, url=f"https://{address}/", timeout_s=3)
    assert found.trouble is T.CERTIFICATE_WANTED


NO_ANSWER = {
    "refused": T.REFUSED, "unknown-host": T.UNKNOWN_HOST, "not-tls": T.NO_TLS, "never-answers": T.STALLED,
    "closes-at-once": T.CLOSED, "not-http": T.NO_HTTP,
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_any_answer_of_a_server_is_an_answer(fault: Fault) -> None:
    """What the answer says does not matter here, nor whom the server is; that there is none does."""
    timeout_s = 1 if fault.name in NO_ANSWER else 20  # a test server that has a bomb to make first takes a while
    with faulty(fault.name) as server:
        address = server.url.partition("://")[2]
        asked = probe(address, Method.HTTP, url=server.url + "/", count=1, timeout_s=timeout_s)
        found = await asyncio.wait_for(asked, 30)
    if fault.name in NO_ANSWER:
        assert (found.times_s, found.trouble) == ((), NO_ANSWER[fault.name])
    else:
        assert found.times_s, found


async def test_a_url_that_does_not_answer_is_told_from_a_port_and_a_host_that_do(closed_port: str) -> None:
    """The answer says how far one gets: to the port, or only to the host."""
    with server(silent) as address:
        found = await probe(address, url=f"http://{address}/")
    assert (found.method, found.tried) == (Method.TCP, ((Method.HTTP, "stalled"),))
    found = await probe(closed_port, url=f"http://{closed_port}/")
    assert found.tried[:2] == ((Method.HTTP, "refused"), (Method.TCP, "refused"))


async def test_methods_are_tried_in_their_order(closed_port: str) -> None:
    """The first that answers is taken; what the port has just refused is not asked of it again."""
    with server(greets) as address:
        found = await probe(address, Method.TLS, Method.TCP)
        assert (found.method, found.tried) == (Method.TCP, ((Method.TLS, "no-tls"),))
    found = await probe(closed_port, Method.TCP, Method.TLS, Method.HTTP)
    assert (found.method, found.trouble) == (None, T.REFUSED)
    assert [word for _method, word in found.tried] == ["refused"] * 3


async def test_a_method_that_needs_a_port_says_so() -> None:
    """A bare host has no peer port to connect to."""
    assert (await probe("127.0.0.1", Method.TCP)).trouble is T.NO_PORT


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("trainer-1:4001", ("trainer-1", 4001)),
        ("trainer-1", ("trainer-1", 0)),
        ("10.0.0.1", ("10.0.0.1", 0)),
        ("fd00::1", ("fd00::1", 0)),
        ("[fd00::1]", ("fd00::1", 0)),
        ("[fd00::1]:4001", ("fd00::1", 4001)),
    ],
)
def test_an_address_may_lack_its_port(text: str, place: tuple[str, int]) -> None:
    """Hosts alone, of either family, are targets too."""
    assert host_and_port(text) == place


@pytest.mark.parametrize("text", ["", "a b", "user@host", "host/path", "h/:1", "a@b:1", "[]", "a:b:c", "host:99999"])
def test_what_is_no_target_is_refused(text: str) -> None:
    """Anything else is one sentence."""
    with pytest.raises(ValueError, match=r"is no(t)? host"):
        host_and_port(text)


def test_no_url_breaks_out_of_its_request() -> None:
    """Line breaks and blanks of a URL are escaped; a password in it is sent to nobody."""
    asked = read_url("http://user:s3cret@h.example:8080/a b\r\nX: y?q=\u00e9 \u202e&z=%20")
    lines = asked.request.decode("ascii").split("\r\n")
    assert lines[0] == "GET /a%20bX:%20y?q=%C3%A9%20%E2%80%AE&z=%20 HTTP/1.1"
    assert lines[1] == "Host: h.example:8080"
    assert b"s3cret" not in asked.request
    assert lines[-2:] == ["", ""]
    assert read_url("https://[fd00::1]/").request.split(b"\r\n")[1] == b"Host: [fd00::1]"


@pytest.mark.parametrize("url", ["ftp://h/", "http://", "http://h:99999/", "https://[::1", "nonsense"])
def test_what_is_no_url_is_refused(url: str) -> None:
    """Another scheme, no host, no port: one sentence each."""
    with pytest.raises(ValueError, match=r"URL|names no host"):
        read_url(url)


async def test_nothing_is_left_behind_when_the_user_stops_it(deaf: str) -> None:
    """Cancelled in the middle, it closes its sockets and leaves no task."""
    before = len(asyncio.all_tasks())
    probing = asyncio.ensure_future(Prober().probe([Target(deaf)] * 20, Plan(timeout_s=5)))
    await asyncio.sleep(0.1)
    probing.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await probing
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == before


def test_probing_imports_nothing_before_it_is_used() -> None:
    """A run that probes nothing does not pay for it."""
    import subprocess

    code = "import sys, meshdiag.sources.probing; print([name for name in sys.modules if 'probing' in name])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "meshdiag.sources.probing.prober" in done.stdout
    assert "looking" not in done.stdout
