"""Certificates as a run asks for them: from servers, from files, and the roots to hold them against.

What it takes is imported with the first question: reading certificates needs the library cryptography, and most runs
ask for none.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from meshdiag.sources.certificates.certificate import Found, Trust
    from meshdiag.sources.certificates.endpoints import Wanted

AT_ONCE = 200
"""Servers asked at once: a thousand that do not answer have been waited for within a run's deadline."""


class Certificates:
    """The three questions. ``timeout_s`` bounds the look at one server."""

    name = "certificates"

    def __init__(self, timeout_s: float = 5.0) -> None:
        self.timeout_s = timeout_s

    async def fetch(self, wanted: Sequence[Wanted]) -> tuple[Found, ...]:
        """What these servers show, in the order asked. Never raises for a server: see ``Found.trouble``."""
        from meshdiag.sources.certificates.endpoints import fetch

        return await fetch(wanted, timeout_s=self.timeout_s, at_once=AT_ONCE)

    async def read(self, paths: Sequence[str], password: bytes | None = None) -> tuple[Found, ...]:
        """What these files, folders and globs hold. Never raises for a file: see ``Found.trouble``."""
        from meshdiag.sources.certificates.files import read_paths

        return await asyncio.to_thread(lambda: tuple(read_paths(paths, password)))

    async def trust(self, ca_file: Path | None) -> Trust:
        """The roots in a file, or the system's. Raises ``SourceError`` for a file that holds none."""
        from meshdiag.sources.certificates.trust import load_trust

        return await asyncio.to_thread(load_trust, ca_file)
