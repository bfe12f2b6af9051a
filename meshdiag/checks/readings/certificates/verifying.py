"""Chains and names, verified by the library cryptography (its ``x509.verification``), with policies that suit a mesh.

The library's verifier is made for the web: it knows no keys but RSA and three curves, no certificates of version 1, no
odd serial numbers. A private CA may break such a rule and be trusted by everybody who is meant to trust it. So where
the verifier refuses for one of these rules, the signatures alone are followed to a root (``Path.rule`` then names the
rule); what it says of signatures, dates, CA flags, path lengths and name constraints stands.
"""

from __future__ import annotations

import ipaddress
import warnings
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import verification

from meshdiag.sources.certificates.decoding import REFUSED, load, reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from meshdiag.sources.certificates.certificate import Certificate

MOST_CHECKS = 64
"""Signatures checked in search of a path that the verifier does not know; its own limit is 128."""
DEEPEST = 16
_WEB_RULES = (
    "Forbidden public key algorithm",
    "Forbidden signature algorithm",
    "RSA key is too weak",
    "must be an X509v3 certificate",
    "serial",
    "must be UtcTime",
    "non-empty Issuer",
)
"""In the verifier's words: rules of the web that say nothing of trust."""
UNUSUAL = _WEB_RULES[:2]
"""Of these, what is no fault: a key or signature of a kind that the web does not use (Ed25519)."""
WEAK_CA = _WEB_RULES[2]


@dataclass(frozen=True, slots=True)
class Path:
    """How a certificate leads to a root: itself first, the root last. ``rule``: the rule of the web that it breaks."""

    certificates: tuple[x509.Certificate, ...]
    rule: str = ""


@dataclass(frozen=True, slots=True)
class NoPath:
    """Why a certificate leads to no root, in the verifier's words."""

    reason: str


class Roots:
    """The certificates that paths may end in."""

    def __init__(self, certificates: Iterable[Certificate]) -> None:
        self.loaded = [one for one in map(loaded, certificates) if one is not None]

    @cached_property
    def store(self) -> verification.Store | None:
        """For the verifier, which takes no empty one."""
        return verification.Store(self.loaded) if self.loaded else None

    @cached_property
    def by_subject(self) -> dict[x509.Name, list[x509.Certificate]]:
        """The roots by their names."""
        return _by_subject(self.loaded)


def loaded(certificate: Certificate) -> x509.Certificate | None:
    """The library's own form; None for what it refuses."""
    try:
        return load(certificate.der)
    except REFUSED:
        return None


def find_path(leaf: x509.Certificate, others: Sequence[x509.Certificate], roots: Roots, at: datetime) -> Path | NoPath:
    """A path from ``leaf`` to one of the roots through ``others``, in whatever order they are, valid at ``at``."""
    if roots.store is None:
        return NoPath("there are no roots")
    builder = verification.PolicyBuilder().store(roots.store).time(at)
    policies = builder.extension_policies(ca_policy=_ca_policy(), ee_policy=verification.ExtensionPolicy.permit_all())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return Path(tuple(policies.build_client_verifier().verify(leaf, list(others)).chain))
        except (verification.VerificationError, *REFUSED) as error:
            refused = reason(error)
        rule = next((rule for rule in _WEB_RULES if rule in refused), None)
        if rule is None:
            return NoPath(refused)
        walked = _Walk(_by_subject(others), roots, at).from_(leaf, DEEPEST)
    return Path(tuple(walked), _plain(refused)) if walked else NoPath(refused)


def _ca_policy() -> verification.ExtensionPolicy:
    """A CA says that it is one, and that its key may sign, if it says anything of that (RFC 5280, 6.1.4 k and n)."""
    agnostic = verification.Criticality.AGNOSTIC
    return (
        verification.ExtensionPolicy.permit_all()
        .require_present(x509.BasicConstraints, agnostic, None)
        .may_be_present(x509.KeyUsage, agnostic, _may_sign)
    )


def _may_sign(_policy: Any, certificate: x509.Certificate, usage: x509.KeyUsage | None) -> None:
    if usage is not None and not usage.key_cert_sign:
        raise ValueError(f"the key of {certificate.subject.rfc4514_string()} may not sign certificates")


def _plain(refused: str) -> str:
    """The verifier's reason without what it wraps it in."""
    said = refused.removeprefix("validation failed: ").removeprefix("candidates exhausted: ")
    return said.partition(" (encountered")[0]


def _by_subject(certificates: Iterable[x509.Certificate]) -> dict[x509.Name, list[x509.Certificate]]:
    found: dict[x509.Name, list[x509.Certificate]] = {}
    for one in certificates:
        try:
            found.setdefault(one.subject, []).append(one)
        except REFUSED:
            continue
    return found


@dataclass(slots=True)
class _Walk:
    """Follows signatures alone; every CA on the way says that it is one, and is valid."""

    others: dict[x509.Name, list[x509.Certificate]]
    roots: Roots
    at: datetime
    left: int = MOST_CHECKS

    def from_(self, certificate: x509.Certificate, depth: int) -> list[x509.Certificate]:
        if certificate in self.roots.loaded:
            return [certificate]
        for issuer in self.roots.by_subject.get(certificate.issuer, []):
            if self._signed(certificate, issuer) and _valid(issuer, self.at):
                return [certificate, issuer]
        for issuer in self.others.get(certificate.issuer, []) if depth else []:
            if (
                issuer != certificate
                and _valid(issuer, self.at)
                and _is_ca(issuer)
                and self._signed(certificate, issuer)
            ):
                rest = self.from_(issuer, depth - 1)
                if rest:
                    return [certificate, *rest]
        return []

    def _signed(self, certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
        self.left -= 1
        return self.left >= 0 and has_signed(issuer, certificate)


def has_signed(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    """Whether the key of ``issuer`` has signed the certificate, and its name says so."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, *REFUSED):
        return False
    return True


def is_self_signed(certificate: x509.Certificate) -> bool:
    """Whether it is its own issuer. Equal names alone do not say so: a CA may call what it issues as itself."""
    if certificate.subject != certificate.issuer:
        return False
    try:
        certificate.verify_directly_issued_by(certificate)
    except InvalidSignature:
        return False
    except REFUSED:  # old roots are signed with algorithms that nobody verifies any more
        return True
    return True


def _valid(certificate: x509.Certificate, at: datetime) -> bool:
    return certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc


def _is_ca(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, *REFUSED):
        return False


class Names:
    """Compares host names with certificates, by the verifier's rules for names alone.

    The verifier compares names only of a certificate that is right in every other way. So it is shown a copy that has
    nothing of the certificate but its alternative names.
    """

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "names")])
        self._at = datetime(2020, 1, 1, tzinfo=UTC)

    def match(self, certificate: x509.Certificate, host: str) -> bool:
        """Whether the certificate is valid for this host name or IP address."""
        try:
            sans = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except (x509.ExtensionNotFound, *REFUSED):
            return False
        copy = self._copy(sans)
        try:
            verifier = self._verifier(copy, _subject(host))
        except ValueError:  # a name that no host may have, such as trainer_1: as it is written, then
            return host.lower() in (name.lower() for name in sans.get_values_for_type(x509.DNSName))
        try:
            verifier.verify(copy, [])
        except verification.VerificationError:
            return False
        return True

    def _copy(self, sans: x509.SubjectAlternativeName) -> x509.Certificate:
        builder = x509.CertificateBuilder(self._name, self._name, self._key.public_key(), serial_number=1)
        dated = builder.not_valid_before(self._at).not_valid_after(self._at + timedelta(days=2))
        return dated.add_extension(sans, critical=False).sign(self._key, hashes.SHA256())

    def _verifier(self, copy: x509.Certificate, subject: verification.Subject) -> verification.ServerVerifier:
        agnostic = verification.Criticality.AGNOSTIC
        everything = verification.ExtensionPolicy.permit_all()
        builder = verification.PolicyBuilder().store(verification.Store([copy])).time(self._at + timedelta(days=1))
        policies = builder.extension_policies(
            ca_policy=everything.require_present(x509.BasicConstraints, agnostic, None),
            ee_policy=everything.require_present(x509.SubjectAlternativeName, agnostic, None),
        )
        return policies.build_server_verifier(subject)


def _subject(host: str) -> verification.Subject:
    """The verifier's form of a host. Raises ``ValueError`` for what cannot be a host's name."""
    try:
        return x509.IPAddress(ipaddress.ip_address(host.partition("%")[0]))
    except ValueError:
        return x509.DNSName(host.rstrip(".").encode("idna").decode("ascii"))
