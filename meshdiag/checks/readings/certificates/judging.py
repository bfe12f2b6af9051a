"""Judges certificates: each once, however many places hold it, with everything that is wrong in any of them."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from meshdiag.checks.readings.certificates.chains import Held, Judge, Shelf, Shown, order
from meshdiag.checks.readings.certificates.judged import Code, Judged, Problem
from meshdiag.checks.readings.certificates.traits import Bounds, days_left, of_itself
from meshdiag.checks.readings.certificates.verifying import Names, Roots, has_signed, is_self_signed, loaded
from meshdiag.sources.certificates.certificate import SYSTEM, Certificate
from meshdiag.sources.certificates.decoding import REFUSED
from meshdiag.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from meshdiag.sources.certificates.certificate import Found, Malformed, Trust

WARN_DAYS = 30.0
FAIL_DAYS = 7.0
_OLD_TLS = ("SSLv2", "SSLv3", "TLSv1", "TLSv1.1")
_SERVED = ("tls", "starttls")
_UNORDERED = ("pkcs12", "pkcs7")
"""Kinds of files whose certificates are in no order."""
MOST_PLACES_NAMED = 3


def judge(
    found: Sequence[Found],
    *,
    at: datetime,
    trust: Trust,
    warn_days: float = WARN_DAYS,
    fail_days: float = FAIL_DAYS,
) -> tuple[Judged, ...]:
    """The verdicts at the moment ``at`` (UTC), in the order found: one for each certificate, each that could not be
    read, and each place that gave nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library warns of what is told here as a problem
        board = _Board(Bounds(at, warn_days, fail_days), trust, found)
        for place in found:
            board.take(place)
    return tuple(row.judged(at) for row in board.rows.values())


@dataclass(slots=True)
class _Row:
    """One certificate on its way to a verdict: what is wrong, and in which of its places."""

    certificate: Certificate | Malformed | None
    source: str
    position: int
    places: list[str] = field(default_factory=list)
    problems: dict[Problem, list[str]] = field(default_factory=dict)
    leaf: bool = False

    def add(self, problems: Iterable[Problem], place: str) -> None:
        for problem in problems:
            places = self.problems.setdefault(problem, [])
            if place not in places:
                places.append(place)

    def judged(self, at: datetime) -> Judged:
        problems = sorted(map(self._placed, self.problems), key=lambda problem: -problem.verdict.severity)
        left = days_left(self.certificate, at) if isinstance(self.certificate, Certificate) else None
        return Judged(
            self.certificate,
            self.source,
            self.position,
            tuple(self.places),
            Verdict.worst([Verdict.PASS, *(problem.verdict for problem in problems)]),
            tuple(problems),
            left,
        )

    def _placed(self, problem: Problem) -> Problem:
        """The problem, with the places where it is so unless it is so in all of them."""
        places = self.problems[problem]
        if len(places) >= len(self.places):
            return problem
        rest = len(places) - MOST_PLACES_NAMED
        named = ", ".join(places[:MOST_PLACES_NAMED]) + (f" and {rest} more" if rest > 0 else "")
        return Problem(problem.code, f"at {named}: {problem.message}", problem.verdict, tuple(places))


class _Board:
    """All that was found, certificate by certificate."""

    def __init__(self, bounds: Bounds, trust: Trust, found: Sequence[Found]) -> None:
        self._bounds = bounds
        self._names = Names()
        self._held: dict[str, Held | None] = {}
        elsewhere = self._elsewhere(found)
        self._signers = self._without_flag(found)
        self._judge = Judge(Roots(trust.roots), trust.name, trust.name != SYSTEM, elsewhere, bounds.at)
        self._chains: dict[tuple[object, ...], tuple[Problem, ...]] = {}
        self.rows: dict[object, _Row] = {}

    def take(self, place: Found) -> None:
        """Judge what one place holds."""
        if not place.chain:
            self._nothing(place)
            return
        leaves = self._leaves(place)
        of_chains: dict[int, list[Problem]] = {}
        for position, problem in self._chains_of(place, leaves):
            of_chains.setdefault(position, []).append(problem)
        for position, certificate in enumerate(place.chain):
            row = self._row(certificate, place.source, position)
            if isinstance(certificate, Certificate):
                row.add(of_itself(certificate, self._bounds, leaf=position in leaves), place.source)
                row.add(self._flag(certificate, place, position), place.source)
                row.add(of_chains.get(position, ()), place.source)
            else:
                row.add((Problem(Code.MALFORMED, certificate.reason, Verdict.FAIL),), place.source)
            if position == 0:
                row.add(self._of_place(place), place.source)
            if position in leaves and isinstance(certificate, Certificate):
                row.add(self._as_leaf(certificate, place), place.source)

    def _nothing(self, place: Found) -> None:
        code = Code.NO_ANSWER if place.kind in _SERVED else Code.UNREADABLE
        row = self.rows[("nothing", place.source, len(self.rows))] = _Row(None, place.source, 0, [place.source])
        row.add((Problem(code, place.trouble or "there is no certificate", Verdict.UNKNOWN),), place.source)

    def _row(self, certificate: Certificate | Malformed, source: str, position: int) -> _Row:
        key = certificate.sha256 if isinstance(certificate, Certificate) else (source, position)
        row = self.rows.get(key)
        if row is None:
            row = self.rows[key] = _Row(certificate, source, position)
        if source not in row.places:
            row.places.append(source)
        return row

    def _leaves(self, place: Found) -> set[int]:
        """Which of the certificates are a server's or client's own: the first that a server sends; in a file those
        that are no CA and have signed no other."""
        if place.kind in _SERVED:
            return {0}
        return {
            position
            for position, one in enumerate(place.chain)
            if isinstance(one, Certificate) and not one.is_ca and one.sha256 not in self._signers
        }

    def _heads(self, place: Found, leaves: set[int]) -> set[int]:
        """Which of the certificates have to lead to a root on their own: the leaves; in a file without any, every CA
        that is not a root itself."""
        if leaves:
            return leaves
        return {
            position
            for position, one in enumerate(place.chain)
            if isinstance(one, Certificate) and not self._is_root(one)
        }

    def _hold(self, certificate: Certificate, source: str = "") -> Held | None:
        """The certificate with the library's form of it; None where the library refuses it."""
        if certificate.sha256 not in self._held:
            known = loaded(certificate)
            held = Held(certificate, known, source, is_self_signed(known)) if known is not None else None
            self._held[certificate.sha256] = held
        return self._held[certificate.sha256]

    def _load(self, certificate: Certificate) -> x509.Certificate | None:
        held = self._hold(certificate)
        return held.loaded if held is not None else None

    def _is_root(self, certificate: Certificate) -> bool:
        held = self._hold(certificate)
        return held is not None and held.root

    def _chains_of(self, place: Found, leaves: set[int]) -> Iterator[tuple[int, Problem]]:
        """What is wrong with the chains of a place, by the position of the certificate that begins each."""
        held = [self._hold(one) if isinstance(one, Certificate) else None for one in place.chain]
        shelf = Shelf(one for one in held if one is not None)
        for position in sorted(self._heads(place, leaves)):
            head = held[position]
            if head is None:
                said = "its chain cannot be verified: it is malformed"
                yield position, Problem(Code.UNTRUSTED_CHAIN, said, Verdict.WARN)
                continue
            above = tuple(one for one in shelf.above(head.certificate) if one is not head)
            for problem in self._chain(Shown(head, above, place.kind in _SERVED)):
                yield position, problem
            if leaves == {position} and place.kind not in _UNORDERED:
                for problem in _order(position, [one.loaded for one in held if one is not None], head.loaded):
                    yield position, problem

    def _chain(self, shown: Shown) -> tuple[Problem, ...]:
        """Judged once, however many places show the same."""
        key = (shown.served, shown.head.certificate.sha256, *(one.certificate.sha256 for one in shown.above))
        if key not in self._chains:
            self._chains[key] = tuple(self._judge.problems(shown))
        return self._chains[key]

    def _of_place(self, place: Found) -> Iterator[Problem]:
        """What is wrong with the place rather than with a certificate."""
        if place.trouble:
            yield Problem(Code.INCOMPLETE, place.trouble, Verdict.UNKNOWN)
        if place.tls_version in _OLD_TLS:
            said = f"the server speaks no TLS newer than {place.tls_version}; today's clients ask for 1.2 at least"
            yield Problem(Code.OLD_TLS, said, Verdict.FAIL)

    def _flag(self, certificate: Certificate, place: Found, position: int) -> Iterator[Problem]:
        """Who signs says so, and who does not sign does not say so."""
        if certificate.sha256 in self._signers:
            yield Problem(
                Code.CA_WITHOUT_CA_FLAG, "it has signed another and does not say that it is a CA", Verdict.FAIL
            )
        if not certificate.is_ca:
            return
        if place.kind in _SERVED and position == 0:
            yield Problem(Code.LEAF_WITH_CA_FLAG, "a server's certificate that says it is a CA", Verdict.WARN)
        elif self._may_not_sign(certificate):
            yield Problem(Code.LEAF_WITH_CA_FLAG, "it says it is a CA, and that its key may not sign", Verdict.WARN)

    def _as_leaf(self, certificate: Certificate, place: Found) -> Iterator[Problem]:
        """Names and purpose."""
        served = place.kind in _SERVED
        purposes = self._purposes(certificate)
        for_servers = purposes is None or bool(purposes & _FOR_SERVERS)
        if served and not for_servers:
            yield Problem(Code.WRONG_PURPOSE, "it is not meant for servers (extended key usage)", Verdict.FAIL)
        unread = any("names" in flaw or "extensions" in flaw for flaw in certificate.flaws)
        if not certificate.sans:
            if for_servers and not unread:
                said = "it has no subject alternative name, and clients do not look at the common name"
                yield Problem(Code.NO_SAN, said, Verdict.FAIL if served else Verdict.WARN)
        elif place.host and not self._matches(certificate, place.host):
            yield Problem(Code.HOSTNAME_MISMATCH, _mismatch(certificate, place.host), Verdict.FAIL)

    def _matches(self, certificate: Certificate, host: str) -> bool:
        known = self._load(certificate)
        return known is not None and self._names.match(known, host)

    def _purposes(self, certificate: Certificate) -> set[x509.ObjectIdentifier] | None:
        """The extended key usages; None where it does not restrict them."""
        known = self._load(certificate)
        try:
            return set(known.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) if known else None
        except (x509.ExtensionNotFound, *REFUSED):
            return None

    def _may_not_sign(self, certificate: Certificate) -> bool:
        known = self._load(certificate)
        try:
            usage = known.extensions.get_extension_for_class(x509.KeyUsage).value if known else None
        except (x509.ExtensionNotFound, *REFUSED):
            return False
        return usage is not None and not usage.key_cert_sign

    def _all(self, found: Sequence[Found]) -> Iterator[tuple[Certificate, str]]:
        """Every certificate once, with where it was found first."""
        seen: set[str] = set()
        for place in found:
            for one in place.chain:
                if isinstance(one, Certificate) and one.sha256 not in seen:
                    seen.add(one.sha256)
                    yield one, place.source

    def _elsewhere(self, found: Sequence[Found]) -> Shelf:
        held = (self._hold(one, source) for one, source in self._all(found) if one.is_ca)
        return Shelf(one for one in held if one is not None)

    def _without_flag(self, found: Sequence[Found]) -> set[str]:
        """The certificates that have signed another one and do not say that they are a CA."""
        every = [one for one, _ in self._all(found)]
        plain: dict[str, list[Certificate]] = {}
        for one in every:
            if not one.is_ca:
                plain.setdefault(one.subject, []).append(one)
        signers: set[str] = set()
        for one in every:
            for issuer in plain.get(one.issuer, []) if one.issuer != one.subject else []:
                above, below = self._load(issuer), self._load(one)
                if above is not None and below is not None and has_signed(above, below):
                    signers.add(issuer.sha256)
        return signers


_FOR_SERVERS = {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}


def _order(position: int, chain: list[x509.Certificate], head: x509.Certificate) -> Iterator[Problem]:
    """What is wrong with the order in which a place shows its only leaf and what is to stand behind it."""
    yield from order(head, [one for one in chain if one is not head])
    if position > 0:
        yield Problem(Code.WRONG_ORDER, "it is to stand first in its file, before its issuers", Verdict.WARN)


def _mismatch(certificate: Certificate, host: str) -> str:
    names = [name.partition(":")[2] for name in certificate.sans]
    shown = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
    return f"it is not valid for {host}, only for {shown}"
