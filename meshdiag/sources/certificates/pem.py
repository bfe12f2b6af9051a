"""PEM (RFC 7468): the blocks of a file, whatever text stands around them, read piece by piece.

Only blocks that may hold certificates are handed on. Of a private key nothing is kept but that there was one.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PIECE = 1024 * 1024
LONGEST_BLOCK = 4 * 1024 * 1024
_BEGIN = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----")
_MARK = re.compile(rb"-----(BEGIN|END) ")
"""Where a block ends, or the next one begins without that: one search for both, so that no file is gone over twice."""
_LONGEST_BEGIN = 64
_CERTIFICATES = (b"CERTIFICATE", b"X509 CERTIFICATE", b"TRUSTED CERTIFICATE")
_BUNDLES = (b"PKCS7", b"CMS")
_NOT_BASE64 = re.compile(rb"\\[rn]|[\s,\"']+")
"""What may stand within a block: line ends, also as a string of JSON or of a shell writes them."""


@dataclass(slots=True)
class Blocks:
    """Reads the blocks of a file. ``read`` gives the next bytes, at most as many as it is asked for; b"" at the end.

    ``labels`` fills with the kinds of blocks that were passed over (``PRIVATE KEY``, ``CERTIFICATE REQUEST``).
    """

    read: Callable[[int], bytes]
    labels: set[str] = field(default_factory=set)
    _buffer: bytes = b""
    _at: int = 0
    _ended: bool = False

    def certificates(self) -> Iterator[tuple[bytes, bytes | None]]:
        """Label and content of each block that may hold certificates; None for a block that does not end."""
        while (label := self._next()) is not None:
            wanted = label in _CERTIFICATES or label in _BUNDLES
            content = self._content(keep=wanted)
            if wanted:
                yield label, content
            else:
                self.labels.add(label.decode("ascii"))

    def _next(self) -> bytes | None:
        """Go behind the next beginning, and return its label."""
        while True:
            begin = _BEGIN.search(self._buffer, self._at)
            if begin is not None:
                self._at = begin.end()
                return begin[1]
            if self._ended:
                return None
            self._at = max(self._at, len(self._buffer) - _LONGEST_BEGIN)
            self._more()

    def _content(self, *, keep: bool) -> bytes | None:
        """What stands before the end of the block; None where it does not end before the next begins."""
        searched = self._at
        while (mark := _MARK.search(self._buffer, searched)) is None:
            if self._ended or len(self._buffer) - self._at > LONGEST_BLOCK:
                return None
            searched = max(self._at, len(self._buffer) - _LONGEST_BEGIN)
            self._at = self._at if keep else searched
            searched -= self._at
            self._more()
        content = self._buffer[self._at : mark.start()] if keep and mark[1] == b"END" else None
        self._at = mark.start()
        return content

    def _more(self) -> None:
        """Read on, and forget what is behind."""
        piece = self.read(PIECE)
        self._ended = not piece
        self._buffer = self._buffer[self._at :] + piece
        self._at = 0


def is_bundle(label: bytes) -> bool:
    """Whether the block is a PKCS#7 structure, which holds certificates."""
    return label in _BUNDLES


def decode(content: bytes | None) -> bytes:
    """The bytes that a block stands for. Raises ``ValueError`` with one sentence."""
    if content is None:
        raise ValueError("a block begins and does not end (no -----END line)")
    try:
        return base64.b64decode(_NOT_BASE64.sub(b"", content), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"what stands between BEGIN and END is not base64 ({error})") from None
