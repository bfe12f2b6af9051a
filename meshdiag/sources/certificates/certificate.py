"""What is known of a certificate, and of the place where it was found: plain data, without a library's types.

Reading a certificate takes the library cryptography (``decoding.py``); passing one around does not.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class Certificate:
    """One X.509 certificate.

    ``subject`` and ``issuer`` are written as RFC 4514 does, most specific part first (``CN=node-1,O=mesh``).
    ``sans``: ``DNS:a``, ``IP:1.2.3.4``, ``URI:…``, ``email:…``. ``serial``: hexadecimal in capitals, whole bytes, with
    a minus where negative. ``sha256``: the fingerprint as ``openssl x509 -fingerprint -sha256`` prints it, ``AB:CD:…``.
    ``key_type``: ``RSA``, ``EC``, ``Ed25519``, ``DSA``, …; ``key_bits`` is 0 where the key cannot be read.
    ``signature_algorithm``: OpenSSL's name (``sha256WithRSAEncryption``). ``is_ca``: basic constraints say CA.
    ``flaws``: what the parser refused while the rest could be read, one sentence each.
    """

    subject: str
    issuer: str
    sans: tuple[str, ...]
    serial: str
    sha256: str
    key_type: str
    key_bits: int
    signature_algorithm: str
    is_ca: bool
    not_before: datetime
    not_after: datetime
    der: bytes = field(repr=False)
    curve: str = ""
    flaws: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Malformed:
    """Where a certificate should be, something that cannot be read as one: the parser's reason."""

    reason: str


@dataclass(frozen=True, slots=True)
class Found:
    """What one place gave.

    ``source``: a path (for an entry of a manifest ``path#namespace/name/key``) or ``host:port``. ``kind``: ``pem``,
    ``der``, ``pkcs7``, ``pkcs12``, ``tls``, ``starttls``, ``kubeconfig``, ``secret``, ``configmap``; ``file`` or
    ``directory`` where nothing could be read. ``chain``: in the order in which it was sent; a file's certificates in
    the file's order. ``host``: the name or address that the first certificate must be valid for, empty for files.
    ``trouble``: one sentence, why there is nothing or less than there is (refused, timeout, wrong password, too many
    to read). ``tls_version``: as ``TLSv1.3``; ``alpn``: the protocol agreed on.
    """

    source: str
    kind: str
    chain: tuple[Certificate | Malformed, ...] = ()
    host: str = ""
    tls_version: str = ""
    trouble: str = ""
    cipher: str = ""
    alpn: str = ""


SYSTEM = "the system's roots"
"""What the roots are called that nobody has named."""


@dataclass(frozen=True, slots=True)
class Trust:
    """The roots that chains must lead to, and what to call them in a sentence: ``the system's roots``."""

    roots: tuple[Certificate, ...]
    name: str
