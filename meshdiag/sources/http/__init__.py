"""HTTP as meshdiag sees it: one client a server, bounded in time and size, one kind of error.

    client.py       requests, redirects, retries, limits, streams
    reply.py        an answer, and how it reads
    trouble.py      every failure underneath, translated once into a ``SourceError``
    failures.py     what an exchange without httpx raises
    credentials.py  secrets, read when they are needed and never shown
    body.py         decompression within a limit
    tls.py          trust: CA files, client certificates
    curl.py         the command that asks the same again
    fingerprint.py  what a server is, told from its answer

The client is imported when it is first asked for: whoever needs only the rest does not pay for httpx.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshdiag.sources.http.collector import collector_paused
from meshdiag.sources.http.credentials import auth_headers
from meshdiag.sources.http.curl import curl
from meshdiag.sources.http.fingerprint import Software, recognise, recognise_server
from meshdiag.sources.http.reply import Reply
from meshdiag.sources.http.tls import ssl_context
from meshdiag.sources.http.trouble import excerpt

if TYPE_CHECKING:
    from meshdiag.sources.http.client import HttpClient, Params

__all__ = [
    "HttpClient",
    "Params",
    "Reply",
    "Software",
    "auth_headers",
    "collector_paused",
    "curl",
    "excerpt",
    "recognise",
    "recognise_server",
    "ssl_context",
]


def __getattr__(name: str) -> Any:
    """The names of ``client.py``, which brings httpx (PEP 562)."""
    if name not in ("HttpClient", "Params"):
        raise AttributeError(name)
    from meshdiag.sources.http import client

    return getattr(client, name)
