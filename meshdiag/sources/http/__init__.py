"""HTTP as meshdiag sees it: one client a server, bounded in time and size, one kind of error.

    client.py       requests, redirects, retries, limits, streams
    reply.py        an answer, and how it reads
    trouble.py      every failure underneath, translated once into a ``SourceError``
    credentials.py  secrets, read when they are needed and never shown
    body.py         decompression within a limit
    tls.py          trust: CA files, client certificates
    curl.py         the command that asks the same again
    fingerprint.py  what a server is, told from its answer

It is imported before anything else imports httpx: httpx brings a command line of its own, and with it rich
and pygments, which costs half of its import time and is of no use here.
"""

from __future__ import annotations

import sys

if "httpx" not in sys.modules:
    # None is Python's documented way to say "this module is not there"; httpx then leaves its command line out.
    sys.modules["httpx._main"] = None  # type: ignore[assignment]
    try:
        import httpx  # noqa: F401
    finally:
        del sys.modules["httpx._main"]

from meshdiag.sources.http.client import HttpClient, Params
from meshdiag.sources.http.collector import collector_paused
from meshdiag.sources.http.credentials import auth_headers
from meshdiag.sources.http.curl import curl
from meshdiag.sources.http.fingerprint import Software, recognise, recognise_server
from meshdiag.sources.http.reply import Reply
from meshdiag.sources.http.tls import ssl_context
from meshdiag.sources.http.trouble import excerpt

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
