"""URLs of the usual form, taken apart by one expression.

A mesh has a thousand nodes, and urllib takes twenty times as long for each of them. What is in any way unusual is left
to urllib. The module imports nothing from the rest of the package.
"""

from __future__ import annotations

import re

DEFAULT_PORTS = {"http": 80, "https": 443}
_AUTHORITY = r"([A-Za-z0-9_][A-Za-z0-9._-]*)(?::([1-9][0-9]{0,4}))?"
_USUAL = re.compile(rf"(https?)://{_AUTHORITY}(/[A-Za-z0-9._~/-]*)?")
HIGHEST_PORT = 65_535

Usual = tuple[str, str, int | None, str]
"""Scheme, host as it is written, port or None, path."""


def usual_url(text: str) -> Usual | None:
    """The parts of an http:// or https:// URL of a host, perhaps a port, and a path of plain letters; None for every
    other text, which need not be wrong."""
    found = _USUAL.fullmatch(text)
    if found is None:
        return None
    scheme, host, port, path = found.groups("")
    number = int(port) if port else None
    return None if number is not None and number > HIGHEST_PORT else (scheme, host, number, path)
