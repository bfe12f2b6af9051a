"""What a certificate says against itself: its dates, its key, its signature, how long it is to live.

Bounds: NIST SP 800-57 (RSA 2048 and curves of 224 bits are the least for 112 bits of security, which OpenSSL asks for
by default in Debian and Go since 1.22), RFC 9155 (no MD5 and SHA-1), CA/Browser Forum Baseline Requirements.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from meshdiag.checks.readings.certificates.judged import Code, Problem
from meshdiag.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from meshdiag.sources.certificates.certificate import Certificate

LEAST_RSA = 2048
LEAST_CURVE = 224
SMALL_CURVE = 256
LONGEST_LEAF = timedelta(days=3660)
"""Ten years: no key of a server should have to last longer. Public CAs are held to a tenth of it."""
LONGEST_CA = timedelta(days=40 * 366)
_WEAK_HASHES = ("md2", "md5", "sha1")
DAY_S = 86400.0


@dataclass(frozen=True, slots=True)
class Bounds:
    """The moment of judging, and how many days before the end a warning and a failure are due."""

    at: datetime
    warn_days: float
    fail_days: float


def days_left(certificate: Certificate, at: datetime) -> float:
    """Days until it expires; negative once it has."""
    return (certificate.not_after - at).total_seconds() / DAY_S


def date(moment: datetime) -> str:
    """A moment as a sentence says it."""
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def of_itself(certificate: Certificate, bounds: Bounds, *, leaf: bool) -> Iterator[Problem]:
    """All of these. ``leaf``: it is a server's or a client's own, not a CA's."""
    yield from dates(certificate, bounds)
    yield from key(certificate)
    yield from signature(certificate)
    yield from lifetime(certificate, leaf=leaf)
    if certificate.flaws:
        yield Problem(Code.MALFORMED, f"strict clients refuse it: {'; '.join(certificate.flaws)}", Verdict.WARN)


def dates(certificate: Certificate, bounds: Bounds) -> Iterator[Problem]:
    """Expired, not yet valid, expires soon."""
    left = days_left(certificate, bounds.at)
    if left < 0:
        said = f"it expired on {date(certificate.not_after)}, {span(-left)} ago"
        yield Problem(Code.EXPIRED, said, Verdict.FAIL)
    elif certificate.not_before > bounds.at:
        ahead = (certificate.not_before - bounds.at).total_seconds() / DAY_S
        said = f"it is not valid before {date(certificate.not_before)}, in {span(ahead)}"
        yield Problem(Code.NOT_YET_VALID, said, Verdict.FAIL)
    elif left <= max(bounds.fail_days, bounds.warn_days):
        verdict = Verdict.FAIL if left <= bounds.fail_days else Verdict.WARN
        yield Problem(Code.EXPIRES_SOON, f"it expires on {date(certificate.not_after)}, in {span(left)}", verdict)


def span(days: float) -> str:
    """``12 days``, ``5 hours``, ``10 minutes``: whole ones, rounded as the numbers of tables are."""
    for seconds, word in ((DAY_S, "day"), (3600.0, "hour")):
        if (count := days * DAY_S / seconds) >= 2:
            return f"{round(count):,} {word}s"
    minutes = round(days * DAY_S / 60)
    return "1 minute" if minutes == 1 else f"{minutes} minutes"


def key(certificate: Certificate) -> Iterator[Problem]:
    """A key that can be broken, or is close to it."""
    bits, kind = certificate.key_bits, certificate.key_type
    if not kind:
        yield Problem(Code.MALFORMED, "its public key cannot be read", Verdict.WARN)
    elif kind in ("RSA", "RSA-PSS", "DSA") and 0 < bits < LEAST_RSA:
        said = f"its {kind} key has {bits} bits, fewer than {LEAST_RSA}: today's clients refuse it"
        yield Problem(Code.WEAK_KEY, said, Verdict.FAIL)
    elif kind == "EC" and 0 < bits < SMALL_CURVE:
        said = f"its key is on the small curve {certificate.curve} ({bits} bits)"
        yield Problem(Code.WEAK_KEY, said, Verdict.FAIL if bits < LEAST_CURVE else Verdict.WARN)


def signature(certificate: Certificate) -> Iterator[Problem]:
    """A signature over a broken hash. A root's own signature is checked by nobody."""
    if certificate.subject == certificate.issuer:
        return
    name = certificate.signature_algorithm
    hashed = _pss_hash(certificate) if name == "rsassaPss" else name.lower()
    if any(weak in hashed for weak in _WEAK_HASHES):
        shown = f"{name} ({hashed})" if name == "rsassaPss" else name
        yield Problem(Code.WEAK_SIGNATURE, f"it is signed with {shown}: today's clients refuse it", Verdict.FAIL)


def _pss_hash(certificate: Certificate) -> str:
    """The hash of an RSA-PSS signature, which stands among its parameters."""
    from meshdiag.sources.certificates.decoding import REFUSED, load

    try:
        algorithm = load(certificate.der).signature_hash_algorithm
    except REFUSED:
        return ""
    return algorithm.name.lower() if algorithm is not None else ""


def lifetime(certificate: Certificate, *, leaf: bool) -> Iterator[Problem]:
    """Valid for so long that nobody will remember how to renew it."""
    lives = certificate.not_after - certificate.not_before
    longest = LONGEST_LEAF if leaf else LONGEST_CA
    if lives > longest:
        years = lives.days / 365.25
        whose = "a server's" if leaf else "a CA's"
        said = f"it is valid for {years:.0f} years; {whose} should be for {longest.days // 366} at most"
        yield Problem(Code.LIFETIME_TOO_LONG, said, Verdict.WARN)
