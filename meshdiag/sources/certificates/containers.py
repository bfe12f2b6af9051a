"""Certificates out of bytes, whatever the bytes are: DER, PEM, PKCS#7, PKCS#12. The content says which, not a name."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from meshdiag.sources.certificates.certificate import Malformed
from meshdiag.sources.certificates.decoding import REFUSED, read_certificates, reason
from meshdiag.sources.certificates.der import INTEGER, OCTET_STRING, OID, SEQUENCE, dotted, read_value, read_values
from meshdiag.sources.certificates.pem import Blocks, decode, is_bundle

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from meshdiag.sources.certificates.certificate import Certificate

MOST_CERTIFICATES = 1000
"""Certificates read of one file; what is more is counted."""
MOST_BINARY = 8 * 1024 * 1024
"""The longest file that is read as a whole, in bytes."""

MOST_ROUNDS = 5_000_000
"""How often the password of a PKCS#12 file may be hashed: some seconds. Usual are 2,000 to 600,000 rounds."""

_SIGNED_DATA = "1.2.840.113549.1.7.2"
_CONSTRUCTED = 0x20
_JAVA_KEYSTORES = (b"\xfe\xed\xfe\xed", b"\xce\xce\xce\xce")


@dataclass(slots=True)
class Contents:
    """What bytes turned out to hold. ``passed_over``: other blocks of PEM, by label."""

    kind: str
    chain: tuple[Certificate | Malformed, ...] = ()
    trouble: str = ""
    passed_over: frozenset[str] = frozenset()


def read_bytes(data: bytes, password: bytes | None = None) -> Contents:
    """The certificates in these bytes."""
    if looks_binary(data):
        return read_binary(data, password)
    return read_pem(io.BytesIO(data).read)


def looks_binary(head: bytes) -> bool:
    """Whether a file that begins so is DER (a certificate, PKCS#7, PKCS#12) or a Java keystore. A certificate is never
    shorter than the 128 bytes from which on its length is written so; text never begins like this."""
    return (head[:1] == b"\x30" and 0x80 <= head[1:2].ljust(1)[0] <= 0x84) or head[:4] in _JAVA_KEYSTORES


def read_pem(read: Callable[[int], bytes]) -> Contents:
    """The certificates of a text in PEM. ``read`` gives the next bytes, b"" at the end."""
    blocks, taken = Blocks(read), _Taken()
    for label, content in blocks.certificates():
        taken.count += 1
        if taken.count > MOST_CERTIFICATES:
            continue
        try:
            data = decode(content)
            taken.add(_of_pkcs7(data) if is_bundle(label) else (_first(data),))
        except ValueError as error:
            taken.chain.append(Malformed(str(error)))
    return Contents("pem", tuple(taken.chain), taken.trouble, frozenset(blocks.labels))


@dataclass(slots=True)
class _Taken:
    """The certificates of a file so far, and how many blocks there were."""

    chain: list[Certificate | Malformed] = field(default_factory=list)
    count: int = 0

    def add(self, ders: Sequence[bytes]) -> None:
        room = MOST_CERTIFICATES - len(self.chain)
        self.chain += read_certificates(ders[: max(0, room)])

    @property
    def trouble(self) -> str:
        if self.count <= MOST_CERTIFICATES:
            return ""
        return f"it holds {self.count:,} certificates; the first {MOST_CERTIFICATES:,} were read"


def _first(data: bytes) -> bytes:
    """The certificate alone: a ``TRUSTED CERTIFICATE`` of OpenSSL has more behind it. Raises ``ValueError``."""
    return read_value(data).whole


def read_binary(data: bytes, password: bytes | None) -> Contents:
    """A Java keystore (only named), PKCS#12, PKCS#7, or certificates in DER one after the other."""
    if data[:4] in _JAVA_KEYSTORES:
        return Contents("file", trouble="it is a Java keystore; keytool -importkeystore turns it into PKCS#12")
    if len(data) > MOST_BINARY:
        return Contents("der", trouble=f"it is longer than {MOST_BINARY // 2**20} MiB and not PEM: not read")
    first = _first_inner(data)
    if first in ((INTEGER, b"\x00"), (INTEGER, b"\x01")):  # PKCS#1, PKCS#8, SEC 1: versions 0 and 1
        return Contents("der", passed_over=frozenset({"PRIVATE KEY"}))
    if first == (INTEGER, b"\x03"):
        return _read_pkcs12(data, password)
    if first[0] == OID and dotted(first[1]) == _SIGNED_DATA:
        try:
            return Contents("pkcs7", read_certificates(_of_pkcs7(data)[:MOST_CERTIFICATES]))
        except ValueError as error:
            return Contents("pkcs7", (Malformed(str(error)),))
    return _read_der(data)


def _first_inner(data: bytes) -> tuple[int, bytes]:
    """Tag and content of the first value within the first."""
    try:
        outer = read_value(data)
        inner = next(read_values(outer.content))
    except (ValueError, StopIteration):
        return 0, b""
    return inner.tag, inner.content


def _read_der(data: bytes) -> Contents:
    ders: list[bytes] = []
    flaw: Malformed | None = None
    try:
        for value in read_values(data):
            if len(ders) == MOST_CERTIFICATES:
                return Contents("der", read_certificates(ders), f"only the first {MOST_CERTIFICATES:,} were read")
            if value.tag != SEQUENCE:
                raise ValueError(f"{len(data) - sum(map(len, ders))} bytes follow that are no certificate")
            ders.append(value.whole)
    except ValueError as error:
        flaw = Malformed(str(error))
    chain = (*read_certificates(ders), *((flaw,) if flaw else ()))
    if len(chain) == 1 and isinstance(chain[0], Malformed) and (other := _something_else(data)):
        return Contents("der", passed_over=frozenset({other}))
    return Contents("der", chain)


def _something_else(data: bytes) -> str:
    """What a file in DER is that is no certificate, by the label that it would have in PEM; empty if nothing known."""
    from cryptography import x509

    for label, read in (
        ("CERTIFICATE REQUEST", x509.load_der_x509_csr),
        ("REVOCATION LIST", x509.load_der_x509_crl),
    ):
        try:
            read(data)
        except REFUSED:
            continue
        return label
    return ""


def _of_pkcs7(data: bytes) -> list[bytes]:
    """The certificates of a PKCS#7 structure. Raises ``ValueError``."""
    from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the encoding (BER); it is read all the same
        try:
            return [one.public_bytes(Encoding.DER) for one in pkcs7.load_der_pkcs7_certificates(data)]
        except REFUSED as error:
            raise ValueError(f"a PKCS#7 structure that cannot be read: {reason(error)}") from None


def _read_pkcs12(data: bytes, password: bytes | None) -> Contents:
    """The certificates of a PKCS#12 file, the key's own first. The key is decrypted with them and dropped at once."""
    if (rounds := _rounds(data)) > MOST_ROUNDS:
        return Contents("pkcs12", trouble=f"a PKCS#12 file whose password is to be hashed {rounds:,} times: not tried")
    from cryptography.hazmat.primitives.serialization import Encoding, pkcs12

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for attempt in (None, b"") if password is None else (password,):
            try:
                opened = pkcs12.load_pkcs12(data, attempt)
            except REFUSED as error:
                refused = reason(error)
                continue
            kept = ([opened.cert] if opened.cert else []) + opened.additional_certs
            ders = [one.certificate.public_bytes(Encoding.DER) for one in kept]
            return Contents("pkcs12", read_certificates(ders[:MOST_CERTIFICATES]))
    if "nvalid password" not in refused:
        return Contents("pkcs12", (Malformed(refused),))
    if password is None:
        return Contents("pkcs12", trouble="the PKCS#12 file needs a password: --password-file FILE")
    return Contents("pkcs12", trouble="the password is wrong: the PKCS#12 file does not open, or is damaged")


def _rounds(data: bytes, depth: int = 24) -> int:
    """The largest count of rounds in a PKCS#12 file: an integer behind a salt (RFC 8018, PBKDF2-params and
    PBEParameter; RFC 7292, MacData), wherever it stands."""
    try:
        values = list(read_values(data))
    except ValueError:
        return 0
    rounds = [
        int.from_bytes(behind.content)
        for value, behind in pairwise(values)
        if value.tag == OCTET_STRING and behind.tag == INTEGER
    ]
    within = [value.content for value in values if value.tag & _CONSTRUCTED or value.tag == OCTET_STRING]
    return max((*rounds, *(_rounds(content, depth - 1) for content in within if depth)), default=0)
