"""The nodes' pages, fetched side by side: a body, or what was wrong with it."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode, urljoin

from msgspec import Struct

from meshdiag import __version__
from meshdiag.errors import SourceError, Trouble
from meshdiag.sources.exposition import ACCEPT, is_openmetrics
from meshdiag.sources.http import auth_headers, recognise, ssl_context
from meshdiag.sources.http.address import parse_address, shown
from meshdiag.sources.http.body import Body, BodyBroken, BodyTooLarge
from meshdiag.sources.http.failures import LocalProtocolError
from meshdiag.sources.http.reply import Reply
from meshdiag.sources.http.tls import TlsFileError
from meshdiag.sources.http.trouble import Where, from_exception, from_status
from meshdiag.sources.scrape.crew import Crew
from meshdiag.sources.scrape.transport import Fetcher, Target, header_lines
from meshdiag.sources.scrape.wire import TooLarge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshdiag.context import Endpoint, NodeAddress
    from meshdiag.sources.http.address import Address
    from meshdiag.sources.scrape.wire import Answer

MAX_OPEN = 400
"""Most connections at once, slow ones included."""
MAX_REDIRECTS = 3
MAX_KEPT = 512 * 1024 * 1024
"""Most bytes of pages kept of one look."""

_SAMPLE = re.compile(rb"^(?:# (?:HELP|TYPE|UNIT|EOF)|[A-Za-z_:{][^\n]*[ \t][-+0-9.NI])", re.MULTILINE)
_PROMETHEUS = b"prometheus_tsdb_head_series"
_MESH = (b"\nmesh_", b"\nconsensus_", b"\nfl_")


class NodePage(Struct, frozen=True):
    """One node's page at one moment. ``asked`` and ``answered``: epoch seconds (UTC). Either ``error`` says why
    there is none, or ``body`` holds it. ``date`` is the Date header."""

    asked: float
    answered: float
    body: bytes = b""
    openmetrics: bool = False
    date: str = ""
    error: SourceError | None = None


class PageFetcher:
    """Fetches the pages of nodes, with the credentials and TLS settings of ``endpoint``."""

    def __init__(self, endpoint: Endpoint, *, concurrency: int, max_page_bytes: int) -> None:
        self._endpoint = endpoint
        self._concurrency = concurrency
        self._max_page_bytes = max_page_bytes
        self._fetcher = Fetcher()
        self._near = self._far = b""
        """The header lines for nodes on this machine and elsewhere, once the credentials have been read."""
        self._kept = 0

    async def fetch_all(self, nodes: Sequence[NodeAddress]) -> list[NodePage]:
        """The pages, in the order of the nodes. Raises ``SourceError`` only for credentials that cannot be read, and
        for them or other headers that cannot be sent."""
        if not self._near:
            await self._make_headers()
        self._kept = 0
        pages: dict[int, NodePage] = {}

        async def fetch(place: int) -> None:
            pages[place] = await self._page(nodes[place])

        places = min(self._concurrency, len(nodes))
        await Crew(fetch, places=places, most=MAX_OPEN).run(range(len(nodes)))
        return [pages[place] for place in range(len(nodes))]

    async def _make_headers(self) -> None:
        headers = {
            "User-Agent": f"meshdiag/{__version__}",
            "Accept": ACCEPT,
            **self._endpoint.headers,
            **await auth_headers(self._endpoint, name="node pages"),
        }
        try:
            self._near = header_lines(headers)
            # compressing costs more than it saves where there is no network in between
            self._far = header_lines({**headers, "Accept-Encoding": "gzip"})
        except LocalProtocolError as error:
            raise SourceError(
                f"node pages: the request cannot be sent: {error}",
                trouble=Trouble.NOT_CONFIGURED,
                source="node pages",
                hint="check the headers and credentials of the node pages in the configuration",
            ) from error

    async def _page(self, node: NodeAddress) -> NodePage:
        asked = time.time()
        where = Where("node page", shown(node.url))
        try:
            answer = await self._get(node.url, where)
            body = self._body(answer, where)
            problem = self._judge(answer, body, where, asked)
        except SourceError as error:
            return NodePage(asked, time.time(), error=error)
        openmetrics = is_openmetrics(answer.headers)
        date = answer.headers.get("date", "")
        return NodePage(asked, time.time(), b"" if problem else body, openmetrics, date, problem)

    async def _get(self, url: str, where: Where) -> Answer:
        """The answer for a URL, redirects within its origin followed. Raises ``SourceError``."""
        timeout_s = self._endpoint.timeout_s
        origin = None
        for _ in range(MAX_REDIRECTS + 1):
            try:
                address = parse_address(url)
                if origin is not None and address.origin != origin:
                    raise where.error(Trouble.REDIRECT, "it redirects to another server", "check the node's address")
                origin = address.origin
                target = _target(address, self._endpoint)
                headers = self._near if address.loopback else self._far
                answer = await self._fetcher.fetch(target, headers, limit=self._max_page_bytes, timeout_s=timeout_s)
            except TooLarge as error:
                raise self._too_large(where) from error
            except TlsFileError as error:
                raise where.error(Trouble.TLS, str(error), "check the TLS files of the node pages") from error
            except SourceError:
                raise
            except Exception as error:  # sockets, TLS and protocol errors of every kind
                raise from_exception(error, where, timeout_s) from error
            location = answer.headers.get("location")
            if answer.status not in (301, 302, 303, 307, 308) or not location:
                return answer
            url = urljoin(url, location)
        raise where.error(Trouble.REDIRECT, "it redirects in a circle", "check the path of the node's page")

    def _too_large(self, where: Where) -> SourceError:
        limit = self._max_page_bytes // (1024 * 1024)
        return where.error(
            Trouble.TOO_LARGE, f"the page is larger than {limit} MiB", "is it the right port? a metrics page is small"
        )

    def _body(self, answer: Answer, where: Where) -> bytes:
        """The body, decompressed. Raises ``SourceError``."""
        encoding = answer.headers.get("content-encoding", "")
        content = answer.body
        if encoding:
            try:
                body = Body(self._max_page_bytes, encoding)
                body.feed(content)
            except BodyTooLarge:
                raise self._too_large(where) from None
            except BodyBroken as error:
                raise where.error(Trouble.MALFORMED, f"its answer {error}", "check the server") from error
            if not body.whole:
                raise where.error(Trouble.TRUNCATED, "the page was cut short", "look at the node's log")
            content = body.content
        self._kept += len(content)
        if self._kept > MAX_KEPT:
            raise where.error(
                Trouble.TOO_LARGE, f"left out: the pages together exceed {MAX_KEPT // 1024**2} MiB", "ask fewer nodes"
            )
        return content

    def _judge(self, answer: Answer, body: bytes, where: Where, asked: float) -> SourceError | None:
        """What keeps a complete answer from being a node's metrics page, if anything."""
        if not 200 <= answer.status < 300:
            return from_status(answer.status, body[:65536], where, answer.headers.get("retry-after"))
        if not body.strip():
            return where.error(Trouble.MALFORMED, "the page is empty", "check the path of the node's page")
        if not _SAMPLE.search(body, 0, 8192):
            moment = datetime.fromtimestamp(asked, UTC)
            found = recognise(Reply(answer.status, answer.headers, body, where, moment, moment))
            return where.error(
                Trouble.WRONG_SERVER, f"not a metrics page but {found.phrase}", "check the port and path of the node"
            )
        if _PROMETHEUS in body and not any(mark in body for mark in _MESH):
            return where.error(
                Trouble.WRONG_SERVER,
                "a Prometheus server's own metrics, not an Agent Mesh node's",
                "both have port 9090 by default; check the node's address",
            )
        if is_openmetrics(answer.headers):
            cut = not body.endswith((b"# EOF\n", b"# EOF")) and not body.rstrip().endswith(b"# EOF")
        else:
            framed = "content-length" in answer.headers or "transfer-encoding" in answer.headers
            cut = not framed and not body.endswith(b"\n")
        return where.error(Trouble.TRUNCATED, "the page was cut short", "look at the node's log") if cut else None


def _target(address: Address, endpoint: Endpoint) -> Target:
    """Where a request for an address goes. Raises ``TlsFileError``."""
    tls = ssl_context(endpoint) if address.scheme == "https" else None
    path = "/" + address.base.partition("://")[2].partition("/")[2]
    if not path.isascii():
        path = quote(path, safe="/%:@!$&'()*+,;=~-._")
    if address.query:
        path += "?" + urlencode(address.query)
    return Target(address.host, address.port, path, tls)
