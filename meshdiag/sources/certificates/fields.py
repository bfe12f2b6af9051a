"""Single fields of a certificate, read from what encodes them and written as OpenSSL writes them."""

from __future__ import annotations

import hashlib

from meshdiag.sources.certificates.der import SEQUENCE, dotted, read_value, read_values
from meshdiag.sources.certificates.names import CURVES, EDWARDS_BITS, KEYS, SIGNATURES


def serial_text(serial: int) -> str:
    """Hexadecimal in capitals, whole bytes: ``0A``, ``-01``."""
    digits = f"{abs(serial):X}"
    return ("-" if serial < 0 else "") + digits.zfill(len(digits) + len(digits) % 2)


def fingerprint(der: bytes) -> str:
    """The SHA-256 as OpenSSL prints it: ``AB:CD:…``."""
    return hashlib.sha256(der).digest().hex(":").upper()


def signature_name(oid: str) -> str:
    """OpenSSL's name of a signature algorithm; its number where there is none."""
    return SIGNATURES.get(oid, oid)


def spki_of(der: bytes) -> bytes:
    """The subject's public key, as encoded. Raises ``ValueError``."""
    parts = [value for value in read_values(read_value(read_value(der).content).content) if value.tag != 0xA0]
    return parts[5].whole if len(parts) > 5 else b""


def read_key(spki: bytes) -> tuple[str, int, str]:
    """A public key's type, its bits and its curve (RFC 5280, 4.1.2.7): read here, for a library refuses to load the
    weak keys that are to be named. 0 bits and no curve where they cannot be read."""
    try:
        algorithm, bits = list(read_values(read_value(spki).content))[:2]
        oid, *parameters = read_values(algorithm.content)
        kind = KEYS.get(dotted(oid.content), dotted(oid.content))
        if kind == "EC":
            curve, size = CURVES.get(dotted(parameters[0].content), (dotted(parameters[0].content), 0))
            return kind, size, curve
        if kind.startswith("RSA"):
            modulus = next(read_values(read_value(bits.content, 1).content))
            return kind, int.from_bytes(modulus.content).bit_length(), ""
        if kind == "DSA" and parameters and parameters[0].tag == SEQUENCE:
            prime = next(read_values(parameters[0].content))
            return kind, int.from_bytes(prime.content).bit_length(), ""
        return kind, EDWARDS_BITS.get(kind, 0), ""
    except (ValueError, IndexError, StopIteration):
        return "", 0, ""
