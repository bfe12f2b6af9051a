"""The fast HTTP path of scraping, over real sockets: what it reads, what it refuses, and how it says so."""

from __future__ import annotations

import asyncio
import ssl
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
