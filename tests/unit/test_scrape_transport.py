"""The fast HTTP path of scraping, over real sockets: what it reads, what it refuses, and how it says so."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trustme

from meshdiag.sources.http.failures import ConnectError, LocalProtocolError, ReadTimeout, RemoteProtocolError
from meshdiag.sources.scrape.transport import Fetcher, Target, header_lines
from meshdiag.sources.scrape.wire import MAX_HEADER, ResponseReader, TooLarge
from tests.nodes import FakeNode, page, running, served

if TYPE_CHECKING:
    from meshdiag.sources.scrape.wire import Answer

LIMIT = 100_000


async def _fetch(answer: bytes, *, limit: int = LIMIT, timeout_s: float = 2.0) -> Answer:
    async with running(FakeNode(lambda _: answer)) as (node,):
        return await Fetcher().fetch(Target("127.0.0.1", node.port, "/metrics"), b"", limit=limit, timeout_s=timeout_s)


@pytest.mark.parametrize(
    "answer",
    [
        page("a 1\n"),
        b"HTTP/1.1 200 OK\r\n\r\na 1\n",
        b"HTTP/1.0 200\r\n\r\na 1\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\na \r\n2;x=y\r\n1\n\r\n0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" + page("a 1\n"),
        b"HTTP/1.1 200 OK\r\nContent-Length: 4, 4\r\n\r\na 1\nrubbish",
    ],
    ids=["length", "until-close", "http-1.0", "chunked", "informational", "length-twice"],
)
async def test_every_framing_gives_the_body(answer: bytes) -> None:
    """Content-length, chunked and close-delimited bodies come out the same."""
    got = await _fetch(answer)
    assert (got.status, got.body) == (200, b"a 1\n")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"SSH-2.0-OpenSSH\r\n", RemoteProtocolError),
        (b"", RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -4\r\n\r\n", RemoteProtocolError),
        (b"HTTP/1.1 2000 OK\r\n\r\n", RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\nbroken\r\n\r\n", RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\nX: " + b"a" * (MAX_HEADER + 10), RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 200000000\r\n\r\n", TooLarge),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n", TooLarge),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"a" * (LIMIT + 1), TooLarge),
    ],
)
async def test_broken_answers_are_protocol_errors(answer: bytes, error: type[Exception]) -> None:
    """What is not a whole HTTP response within its limits is refused, whatever it is."""
    with pytest.raises(error):
        await _fetch(answer)


async def test_a_byte_at_a_time_reads_the_same() -> None:
    """However the network cuts the answer, the result is the same."""
    wire = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nDate: x\r\n\r\n3\r\na 1\r\n1\r\n\n\r\n0\r\n\r\n"
    reader = ResponseReader(LIMIT)
    complete = [reader.feed(wire[i : i + 1]) for i in range(len(wire))]
    assert complete.index(True) == len(wire) - 3, "the last chunk ends it; what follows does not matter"
    assert reader.answer.body == b"a 1\n"


async def test_a_server_that_never_answers_is_given_up() -> None:
    """Accepting and staying silent, or sending a byte now and then, ends with the timeout."""

    async def drip(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"H")
            await writer.drain()
            await asyncio.sleep(0.05)

    async def silent(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(10)

    for handler in (silent, drip):
        async with served(handler) as port:
            with pytest.raises((ReadTimeout, RemoteProtocolError)):
                await Fetcher().fetch(Target("127.0.0.1", port, "/"), b"", limit=LIMIT, timeout_s=0.3)


async def test_refused_and_unknown_are_connect_errors() -> None:
    """Nobody listening and no such host are told apart by their cause."""
    async with served(FakeNode(lambda _: b"").serve) as port:
        pass
    for target in (Target("127.0.0.1", port, "/"), Target("no-such-host.invalid", 80, "/")):
        with pytest.raises(ConnectError):
            await Fetcher().fetch(target, b"", limit=LIMIT, timeout_s=2)


async def test_a_name_is_tried_at_each_of_its_addresses() -> None:
    """localhost is ::1 as well where there is IPv6, and the node listens on 127.0.0.1 alone."""
    async with running(FakeNode(lambda _: page("a 1\n"))) as (node,):
        got = await Fetcher().fetch(Target("localhost", node.port, "/"), b"", limit=LIMIT, timeout_s=2)
    assert got.body == b"a 1\n"


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_each_has_its_own_time_and_nothing_stays_open() -> None:
    """Of many side by side one ends with its short timeout and one is cancelled; all others come, and every socket is
    closed behind them."""
    hung_up: asyncio.Queue[bytes] = asyncio.Queue()

    async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        hung_up.put_nowait(await reader.read())

    before = _open_files()
    fetcher = Fetcher()
    async with running(FakeNode(lambda _: page("a 1\n"))) as (node,), served(silent) as port:
        mute = Target("127.0.0.1", port, "/")
        patient = asyncio.create_task(fetcher.fetch(mute, b"", limit=LIMIT, timeout_s=60))
        hasty = asyncio.create_task(fetcher.fetch(mute, b"", limit=LIMIT, timeout_s=0.2))
        target = Target("127.0.0.1", node.port, "/")
        many = [fetcher.fetch(target, b"", limit=LIMIT, timeout_s=10) for _ in range(150)]
        assert {answer.body for answer in await asyncio.gather(*many)} == {b"a 1\n"}
        with pytest.raises(ReadTimeout):
            await hasty
        assert not patient.done()
        patient.cancel()
        async with asyncio.timeout(5):
            assert [await hung_up.get(), await hung_up.get()] == [b"", b""]
    assert _open_files() <= before + 1


async def test_a_large_request_and_a_large_answer_go_in_pieces() -> None:
    """What does not fit into a socket's buffers at once is sent and read to its end."""
    body = "a 1\n" * 500_000
    node = FakeNode(lambda _: page(body))
    lines = header_lines({f"X-{number}": "v" * 5000 for number in range(10)})
    async with running(node):
        got = await Fetcher().fetch(Target("127.0.0.1", node.port, "/"), lines, limit=len(body), timeout_s=10)
    assert got.body == body.encode()
    assert lines in node.requests[0]


async def test_tls_is_verified() -> None:
    """A trusted certificate is taken, one of an unknown authority refused."""
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(server)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    node = FakeNode(lambda _: page("a 1\n"))
    async with served(node.serve, tls=server) as port:
        answer = await Fetcher().fetch(Target("localhost", port, "/", trusting), b"", limit=LIMIT, timeout_s=2)
        assert answer.body == b"a 1\n"
        with pytest.raises(ConnectError) as refused:
            wary = Target("localhost", port, "/", ssl.create_default_context())
            await Fetcher().fetch(wary, b"", limit=LIMIT, timeout_s=2)
        assert isinstance(refused.value.__cause__, ssl.SSLCertVerificationError)


async def test_headers_cannot_be_smuggled() -> None:
    """A line break in a header or path is refused before anything is sent."""
    with pytest.raises(LocalProtocolError):
        header_lines({"X": "a\r\nY: b"})
    node = FakeNode(lambda _: page("a 1\n"))
    async with running(node):
        with pytest.raises(LocalProtocolError):
            target = Target("127.0.0.1", node.port, "/a\r\nX: b")
            await Fetcher().fetch(target, b"", limit=LIMIT, timeout_s=2)
    assert node.requests == []
