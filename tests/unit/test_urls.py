"""URLs of the usual form: what is taken apart quickly comes out as urllib takes it apart."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshdiag.urls import usual_url

URLS = st.from_regex(
    r"\A(http|https|HTTP|ftp)://[A-Za-z0-9_.\-\[\]@:%]{1,12}(:[0-9]{0,6})?(/[A-Za-z0-9._~/?#%;:\\ -]{0,9})?\Z"
)


@given(URLS)
def test_the_quick_way_agrees_with_urllib(url: str) -> None:
    """Scheme, host, port and path are the same, and nothing is left that only urllib sees."""
    if (found := usual_url(url)) is None:
        return
    parts = urlsplit(url)
    scheme, host, port, path = found
    assert (scheme, host.lower(), port, path) == (parts.scheme, parts.hostname, parts.port, parts.path)
    assert (parts.query, parts.fragment, parts.username) == ("", "", None)


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("http://127.0.0.1:9090/metrics", ("http", "127.0.0.1", 9090, "/metrics")),
        ("https://Node-1.example.com", ("https", "Node-1.example.com", None, "")),
        ("http://node:65535/", ("http", "node", 65535, "/")),
    ],
)
def test_what_nodes_are_called_is_usual(url: str, parts: object) -> None:
    """The addresses that a mesh has are taken apart the quick way."""
    assert usual_url(url) == parts


@pytest.mark.parametrize(
    "url",
    [
        "http://user:secret@node:9090/",
        "http://node:65536/",
        "http://node:0/",
        "http://[::1]:9090/",
        "http://node/?q=1",
        "http://node/%41",
        "http://node:+9/",
        "http:///metrics",
        "http://node:9090/metrics\n",
        "node:9090",
    ],
)
def test_everything_else_is_left_to_urllib(url: str) -> None:
    """Passwords, queries, escapes, IPv6 and whatever is wrong do not go the quick way."""
    assert usual_url(url) is None
