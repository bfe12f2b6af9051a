"""Reads what can be read of a certificate that the library refuses as a whole: its fields, one by one, from the DER.

RFC 5280, 4.1, in order: version, serial number, signature algorithm, issuer, validity, subject, public key, and among
the extensions the alternative names and the basic constraints.
"""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from meshdiag.sources.certificates.certificate import Certificate, Malformed
from meshdiag.sources.certificates.der import UTC_TIME, dotted, read_value, read_values
from meshdiag.sources.certificates.fields import fingerprint, read_key, serial_text, signature_name
from meshdiag.sources.certificates.names import ATTRIBUTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshdiag.sources.certificates.der import Value

_VERSION, _EXTENSIONS = 0xA0, 0xA3
_BMP_STRING, _BOOLEAN = 0x1E, 0x01
_SAN, _BASIC_CONSTRAINTS = "2.5.29.17", "2.5.29.19"
_GENERAL_NAMES = {0x81: "email:", 0x82: "DNS:", 0x86: "URI:"}
_ESCAPED = str.maketrans({char: f"\\{char}" for char in '\\",+;<>'})


def read_partly(der: bytes, refused: str) -> Certificate | Malformed:
    """The certificate with ``refused``, the library's reason, as its flaw; ``Malformed`` with that reason where not
    even its dates can be read."""
    try:
        whole = read_value(der)
        tbs = list(read_values(read_value(whole.content).content))
        tbs = tbs[1:] if tbs and tbs[0].tag == _VERSION else tbs
        serial, algorithm, issuer, validity, subject, key, *rest = tbs
        before, after = (_moment(value) for value in read_values(validity.content))
        extensions = dict(_extensions(rest))
        key_type, key_bits, curve = read_key(key.whole)
        return Certificate(
            subject=_name(subject),
            issuer=_name(issuer),
            sans=tuple(_sans(extensions.get(_SAN, b""))),
            serial=serial_text(int.from_bytes(serial.content, signed=True)),
            sha256=fingerprint(der),
            key_type=key_type,
            key_bits=key_bits,
            curve=curve,
            signature_algorithm=signature_name(dotted(next(read_values(algorithm.content)).content)),
            is_ca=_is_ca(extensions.get(_BASIC_CONSTRAINTS, b"")),
            not_before=before,
            not_after=after,
            der=der,
            flaws=(refused,),
        )
    except (ValueError, StopIteration, OverflowError):
        return Malformed(refused)


def _moment(value: Value) -> datetime:
    """``UTCTime`` (two digits of a year, 1950 to 2049) or ``GeneralizedTime``."""
    text = value.content.decode("ascii").removesuffix("Z")
    if value.tag == UTC_TIME:
        text = ("19" if text[:2] >= "50" else "20") + text
    return datetime.strptime(text[:14].ljust(14, "0"), "%Y%m%d%H%M%S").replace(tzinfo=UTC)


def _name(name: Value) -> str:
    parts = []
    for relative in read_values(name.content):
        pairs = (list(read_values(pair.content)) for pair in read_values(relative.content))
        parts.append("+".join(f"{_attribute(oid)}={_text(value)}" for oid, value in pairs))
    return ",".join(reversed(parts))


def _attribute(oid: Value) -> str:
    number = dotted(oid.content)
    return ATTRIBUTES.get(number, number)


def _text(value: Value) -> str:
    encoding = "utf-16-be" if value.tag == _BMP_STRING else "utf-8"
    return value.content.decode(encoding, "replace").translate(_ESCAPED)


def _extensions(rest: list[Value]) -> Iterator[tuple[str, bytes]]:
    """Each extension's number and what is in its octets."""
    for tagged in rest:
        if tagged.tag == _EXTENSIONS:
            for extension in read_values(read_value(tagged.content).content):
                oid, *_, octets = read_values(extension.content)
                yield dotted(oid.content), octets.content


def _sans(octets: bytes) -> Iterator[str]:
    for name in read_values(read_value(octets).content) if octets else ():
        if name.tag in _GENERAL_NAMES:
            yield _GENERAL_NAMES[name.tag] + name.content.decode("utf-8", "replace")
        elif name.tag == 0x87 and len(name.content) in (4, 16):
            yield f"IP:{ipaddress.ip_address(name.content)}"


def _is_ca(octets: bytes) -> bool:
    fields = list(read_values(read_value(octets).content)) if octets else []
    return bool(fields) and fields[0].tag == _BOOLEAN and fields[0].content != b"\0"
