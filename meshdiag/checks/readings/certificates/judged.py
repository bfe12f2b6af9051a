"""The verdict on a certificate, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meshdiag.sources.certificates.certificate import Certificate, Malformed
    from meshdiag.verdict import Verdict


class Code(StrEnum):
    """What can be wrong. The values are stable: scripts live on them."""

    EXPIRED = "expired"
    NOT_YET_VALID = "not-yet-valid"
    EXPIRES_SOON = "expires-soon"
    HOSTNAME_MISMATCH = "hostname-mismatch"
    NO_SAN = "no-san"
    UNTRUSTED_CHAIN = "untrusted-chain"
    MISSING_INTERMEDIATE = "missing-intermediate"
    WRONG_ORDER = "wrong-order"
    UNNEEDED_CERTIFICATE = "unneeded-certificate"
    SELF_SIGNED = "self-signed"
    CA_WITHOUT_CA_FLAG = "ca-without-ca-flag"
    LEAF_WITH_CA_FLAG = "leaf-with-ca-flag"
    WRONG_PURPOSE = "wrong-purpose"
    WEAK_KEY = "weak-key"
    WEAK_SIGNATURE = "weak-signature"
    LIFETIME_TOO_LONG = "lifetime-too-long"
    OLD_TLS = "old-tls"
    BREAKS_WEB_RULE = "breaks-web-rule"
    """It leads to a trusted root, but a strict client, such as a browser, refuses it all the same."""
    MALFORMED = "malformed"
    INCOMPLETE = "incomplete"
    """Not all that the place holds was read."""
    UNREADABLE = "unreadable"
    NO_ANSWER = "no-answer"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: a stable code, a sentence, how bad it is, and where it is so, unless it is so in all
    of the certificate's places (the sentence names them as well)."""

    code: Code
    message: str
    verdict: Verdict
    places: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Judged:
    """One certificate and the verdict on it; it is one however many places hold it.

    ``certificate`` is None where a place gave nothing. ``source`` and ``position`` (from 0) are where it was found
    first, ``places`` all of them. ``problems``: the worst first. ``days_left`` at the moment of judging, negative once
    it has expired, None without a certificate.
    """

    certificate: Certificate | Malformed | None
    source: str
    position: int
    places: tuple[str, ...]
    verdict: Verdict
    problems: tuple[Problem, ...]
    days_left: float | None
