"""Reads certificates: the library cryptography parses, and what it refuses is noted while the rest is still read.

Old and odd certificates are what this is for: a negative serial number, a name that is too long, an extension that does
not parse cost that one field, not the certificate (RFC 5280 says what is right).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from meshdiag.sources.certificates.certificate import Certificate, Malformed
from meshdiag.sources.certificates.fields import fingerprint, read_key, serial_text, signature_name, spki_of
from meshdiag.sources.certificates.names import ATTRIBUTES
from meshdiag.sources.certificates.tolerant import read_partly

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

T = TypeVar("T")

REFUSED = (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion, x509.DuplicateExtension)
"""What the library raises of a certificate, or of a part of one, that it will not read."""
LONGEST_REASON = 200
_ATTRIBUTES = {x509.ObjectIdentifier(number): name for number, name in ATTRIBUTES.items()}


def read_certificates(ders: Iterable[bytes]) -> tuple[Certificate | Malformed, ...]:
    """Each of these as a certificate, or the reason why it is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library warns of what is told here as a flaw
        return tuple(map(_read, ders))


def read_certificate(der: bytes) -> Certificate | Malformed:
    """One certificate, or the reason why it is none."""
    return read_certificates((der,))[0]


def load(der: bytes) -> x509.Certificate:
    """The library's own form, for verifying. Raises one of ``REFUSED``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return x509.load_der_x509_certificate(der)


def _read(der: bytes) -> Certificate | Malformed:
    try:
        loaded = x509.load_der_x509_certificate(der)
    except REFUSED as error:
        return read_partly(der, reason(error))
    try:
        return _certificate(loaded, der)
    except REFUSED as error:  # the dates, without which nothing can be said
        return Malformed(reason(error))


@dataclass(slots=True)
class _Fields:
    """Reads the fields of one certificate and keeps what was refused."""

    flaws: list[str] = field(default_factory=list)

    def read(self, what: str, get: Callable[[], T], otherwise: T) -> T:
        try:
            return get()
        except REFUSED as error:
            self.flaws.append(f"{what}: {reason(error)}")
            return otherwise


def _certificate(loaded: x509.Certificate, der: bytes) -> Certificate:
    fields = _Fields()
    extensions = fields.read("extensions", lambda: loaded.extensions, x509.Extensions([]))
    serial = fields.read("serial number", lambda: loaded.serial_number, 0)
    if serial < 0:
        fields.flaws.append("serial number: negative, which RFC 5280 does not allow")
    key_type, key_bits, curve = read_key(spki_of(der))
    return Certificate(
        subject=fields.read("subject", lambda: name_text(loaded.subject), ""),
        issuer=fields.read("issuer", lambda: name_text(loaded.issuer), ""),
        sans=fields.read("subject alternative names", lambda: _sans(extensions), ()),
        serial=serial_text(serial),
        sha256=fingerprint(der),
        key_type=key_type,
        key_bits=key_bits,
        curve=curve,
        signature_algorithm=signature_name(loaded.signature_algorithm_oid.dotted_string),
        is_ca=_is_ca(extensions),
        not_before=loaded.not_valid_before_utc,
        not_after=loaded.not_valid_after_utc,
        der=der,
        flaws=tuple(fields.flaws),
    )


def reason(error: Exception) -> str:
    """The library's words on one line, without its types."""
    said = " ".join(str(error).split()) or type(error).__name__
    said = said.removeprefix("error parsing asn1 value: ")
    return said if len(said) <= LONGEST_REASON else said[: LONGEST_REASON - 1] + "…"


def name_text(name: x509.Name) -> str:
    """A distinguished name as RFC 4514 writes it, its parts called as OpenSSL calls them."""
    return name.rfc4514_string(_ATTRIBUTES)


def _sans(extensions: x509.Extensions) -> tuple[str, ...]:
    try:
        names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(map(general_name, names))


def general_name(name: x509.GeneralName) -> str:
    """``DNS:a``, ``IP:1.2.3.4``, ``URI:…``, ``email:…``, ``dirName:…``, ``RID:…``, ``othername:…``."""
    match name:
        case x509.DNSName(value=value):
            return f"DNS:{value}"
        case x509.IPAddress(value=address):
            return f"IP:{address}"
        case x509.UniformResourceIdentifier(value=value):
            return f"URI:{value}"
        case x509.RFC822Name(value=value):
            return f"email:{value}"
        case x509.DirectoryName(value=directory):
            return f"dirName:{name_text(directory)}"
        case x509.RegisteredID(value=oid):
            return f"RID:{oid.dotted_string}"
        case x509.OtherName(type_id=oid):
            return f"othername:{oid.dotted_string}"
        case _:
            return type(name).__name__


def _is_ca(extensions: x509.Extensions) -> bool:
    try:
        return extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False
