"""Whether what a place shows leads to a trusted root, and if it does not, why: found by trying.

Tried in turn: at another time, with intermediates from elsewhere in the input, with roots from the input. What then
makes the chain build is the reason why it does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshdiag.checks.readings.certificates.judged import Code, Problem
from meshdiag.checks.readings.certificates.traits import date
from meshdiag.checks.readings.certificates.verifying import (
    UNUSUAL,
    WEAK_CA,
    Path,
    Roots,
    find_path,
    has_signed,
    is_self_signed,
)
from meshdiag.sources.certificates.decoding import REFUSED, name_text
from meshdiag.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from cryptography import x509

    from meshdiag.checks.readings.certificates.verifying import NoPath
    from meshdiag.sources.certificates.certificate import Certificate

MOST_ISSUERS = 64
"""Certificates that are tried as issuers of one, directly or further up."""
MOST_TIMES = 8
"""Other moments at which a chain is tried."""


@dataclass(frozen=True, slots=True)
class Held:
    """A certificate, the library's form of it, and where it was found. ``root``: it is its own issuer."""

    certificate: Certificate
    loaded: x509.Certificate
    source: str
    root: bool = False


class Shelf:
    """Certificates by their subjects, so that of thousands only those are tried that can be of use."""

    def __init__(self, held: Iterable[Held]) -> None:
        self._by_subject: dict[str, list[Held]] = {}
        for one in held:
            self._by_subject.setdefault(one.certificate.subject, []).append(one)

    def above(self, *certificates: Certificate) -> list[Held]:
        """What may be the issuers of these, and theirs in turn, by names; the nearest first."""
        found: dict[str, Held] = {}
        names = [one.issuer for one in certificates]
        asked: set[str] = set()
        while names and len(found) < MOST_ISSUERS:
            name = names.pop(0)
            if name in asked:
                continue
            asked.add(name)
            for one in self._by_subject.get(name, ())[:MOST_ISSUERS]:
                found.setdefault(one.certificate.sha256, one)
                names.append(one.certificate.issuer)
        return list(found.values())


@dataclass(frozen=True, slots=True)
class Shown:
    """What one place shows: a certificate, and of those that come with it the ones that may stand above it.
    ``served``: a server sends it, so that what is missing is missing to its clients."""

    head: Held
    above: tuple[Held, ...]
    served: bool

    @property
    def leaf(self) -> x509.Certificate:
        """The certificate that has to lead to a root."""
        return self.head.loaded

    @property
    def others(self) -> tuple[x509.Certificate, ...]:
        """What it may lead through."""
        return tuple(one.loaded for one in self.above)

    @property
    def grave(self) -> Verdict:
        """How bad it is when it leads nowhere: a file may be the half of something."""
        return Verdict.FAIL if self.served else Verdict.WARN


@dataclass(frozen=True, slots=True)
class Judge:
    """Judges chains. ``name`` is what to call the roots; ``own``: they were named by the user, not the system's.
    ``elsewhere``: the CA certificates found anywhere in the input, which a chain may lack."""

    roots: Roots
    name: str
    own: bool
    elsewhere: Shelf
    at: datetime

    def problems(self, shown: Shown) -> Iterator[Problem]:
        """Why the chain does not build; nothing where it does. At the time of judging, or at the end of the
        certificate's own life that is nearest to it: that it has expired is told on its own."""
        leaf = shown.leaf
        at = min(max(self.at, leaf.not_valid_before_utc), leaf.not_valid_after_utc)
        path = find_path(leaf, shown.others, self.roots, at)
        if isinstance(path, Path):
            yield from _broken_rule(path)
            return
        problem = (
            self._self_signed(shown)
            or self._out_of_time(shown, at)
            or self._lacks_intermediate(shown, at)
            or self._leads_elsewhere(shown, at)
            or self._ends(shown, path, at)
        )
        if problem.verdict is not Verdict.PASS:
            yield problem

    def _self_signed(self, shown: Shown) -> Problem | None:
        leaf = shown.leaf
        if not is_self_signed(leaf):
            return None
        said = f"it is signed by itself and not among {self.name}: nobody but who pins it can trust it"
        return Problem(Code.SELF_SIGNED, said, shown.grave)

    def _out_of_time(self, shown: Shown, at: datetime) -> Problem | None:
        """A chain that would build at another time: somebody above has expired, or is not valid yet."""
        for moment in self._moments(shown):
            path = find_path(shown.leaf, shown.others, self.roots, moment)
            if isinstance(path, Path):
                late = [one for one in path.certificates[1:] if not _covers(one, at)]
                said = " and ".join(_when(one, at) for one in late) or "no moment suits all of its chain"
                return Problem(Code.UNTRUSTED_CHAIN, f"its chain does not hold: {said}", shown.grave)
        return None

    def _moments(self, shown: Shown) -> list[datetime]:
        """Other moments of the certificate's life: those at which something of its chain begins or ends."""
        leaf = shown.leaf
        issuers = [one for above in shown.others for one in self.roots.by_subject.get(above.issuer, [])]
        chain = (*shown.others, *issuers, *self.roots.by_subject.get(leaf.issuer, []))
        moments = {moment for one in chain for moment in (one.not_valid_before_utc, one.not_valid_after_utc)}
        moments.add(leaf.not_valid_before_utc)
        return sorted(moment for moment in moments if _covers(leaf, moment))[:MOST_TIMES]

    def _lacks_intermediate(self, shown: Shown, at: datetime) -> Problem | None:
        known = {one.loaded: one.source for one in self._known(shown) if not one.root}
        path = find_path(shown.leaf, (*shown.others, *known), self.roots, at)
        if not isinstance(path, Path):
            return None
        missing = [one for one in path.certificates[1:-1] if one not in shown.others]
        names = " and ".join(f"{_name(one)} (it is in {known.get(one, 'the input')})" for one in missing)
        if not shown.served:
            # A certificate alone in its file is how most are kept: its chain is in a file beside it.
            verdict = Verdict.WARN if shown.others else Verdict.PASS
            return Problem(Code.MISSING_INTERMEDIATE, f"to be served it needs {names} behind it", verdict)
        return Problem(Code.MISSING_INTERMEDIATE, f"the server does not send {names}", Verdict.FAIL)

    def _leads_elsewhere(self, shown: Shown, at: datetime) -> Problem | None:
        """To a root that is at hand, and that nobody has named as trusted."""
        held = self._known(shown)
        known = {one.loaded: one.source for one in held if one.root}
        others = (*shown.others, *(one.loaded for one in held if not one.root))
        path = find_path(shown.leaf, others, Roots(one.certificate for one in held if one.root), at)
        if not isinstance(path, Path):
            return None
        root = path.certificates[-1]
        where = "which it sends itself" if root in shown.others else f"which is in {known[root]}"
        said = f"it leads to {_name(root)}, {where} and not among {self.name}; if you trust it, name it with --ca-file"
        return Problem(Code.UNTRUSTED_CHAIN, said, shown.grave)

    def _known(self, shown: Shown) -> list[Held]:
        return self.elsewhere.above(shown.head.certificate, *(one.certificate for one in shown.above))

    def _ends(self, shown: Shown, refused: NoPath, at: datetime) -> Problem:
        """Where the chain ends: at a CA that is known and has not signed, or at one that is not known."""
        *below, top = climb(shown.leaf, shown.others)
        issuer, known = name_text(top.issuer), self.roots.by_subject.get(top.issuer, [])
        late = [one for one in (*below[1:], top, *known) if one != shown.leaf and not _covers(one, at)]
        if known and late and "not valid at" in refused.reason:
            said = " and ".join(_when(one, at) for one in late)
            return Problem(Code.UNTRUSTED_CHAIN, f"its chain does not hold: {said}", shown.grave)
        if known:
            said = f"a CA called {issuer} is among {self.name}, but {_reason(refused)}"
            return Problem(Code.UNTRUSTED_CHAIN, said, shown.grave)
        if any(one.subject == top.issuer for one in shown.others):
            return Problem(Code.UNTRUSTED_CHAIN, f"its chain does not hold: {_reason(refused)}", shown.grave)
        subject = "its issuer" if top == shown.leaf else f"the issuer of {_name(top)},"
        said = f"{subject} {issuer} is neither sent along nor among {self.name}"
        if not shown.served:
            said = f"{subject} {issuer} is not among {self.name}; name its CA with --ca-file"
        if shown.served and top == shown.leaf and (self.own or _says_where_issuer_is(top)):
            return Problem(Code.MISSING_INTERMEDIATE, f"{said}: the server has to send it", Verdict.FAIL)
        return Problem(Code.UNTRUSTED_CHAIN, said, shown.grave)


def _broken_rule(path: Path) -> Iterator[Problem]:
    if path.rule == "" or path.rule.startswith(UNUSUAL):
        return
    if path.rule.startswith(WEAK_CA):
        yield Problem(Code.WEAK_KEY, "a CA in its chain has an RSA key of fewer than 2048 bits", Verdict.FAIL)
        return
    yield Problem(Code.BREAKS_WEB_RULE, f"strict clients refuse its chain: {path.rule}", Verdict.WARN)


def _reason(refused: NoPath) -> str:
    """The verifier's reason as the rest of a sentence."""
    said = refused.reason.removeprefix("validation failed: ").removeprefix("candidates exhausted: ")
    said = said.partition(" (encountered")[0]
    if "signature does not match" in said:
        return "another key has signed this"
    if "Forbidden signature algorithm" in said:
        return "it is signed with an algorithm that is not accepted any more"
    return said.removeprefix("invalid extension: ")


def climb(leaf: x509.Certificate, others: Sequence[x509.Certificate]) -> list[x509.Certificate]:
    """From a certificate up to the last issuer that is at hand, by names; of two the one that has signed."""
    chain = [leaf]
    while not is_self_signed(chain[-1]):
        candidates = [one for one in others if one.subject == chain[-1].issuer and one not in chain]
        if not candidates:
            break
        chain.append(next((one for one in candidates if has_signed(one, chain[-1])), candidates[0]))
    return chain


def order(leaf: x509.Certificate, others: Sequence[x509.Certificate]) -> Iterator[Problem]:
    """Certificates that are not sent each before its issuer (RFC 5246, 7.4.2), and such that nobody needs."""
    chain = climb(leaf, others)
    places = [others.index(one) for one in chain[1:]]
    if places != sorted(places):
        said = "the certificates are not in order: each is to be followed by its issuer; some clients give up here"
        yield Problem(Code.WRONG_ORDER, said, Verdict.WARN)
    signers = {one.issuer for one in (leaf, *others) if not is_self_signed(one)}
    unneeded = [one for one in dict.fromkeys(others) if one not in chain and one.subject not in signers]
    if unneeded:
        names = ", ".join(map(_name, unneeded[:3])) + (" …" if len(unneeded) > 3 else "")
        yield Problem(Code.UNNEEDED_CERTIFICATE, f"sent along and of no use: {names}", Verdict.WARN)


def _covers(certificate: x509.Certificate, at: datetime) -> bool:
    return certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc


def _when(certificate: x509.Certificate, at: datetime) -> str:
    if certificate.not_valid_after_utc < at:
        return f"{_name(certificate)} expired on {date(certificate.not_valid_after_utc)}"
    return f"{_name(certificate)} is not valid before {date(certificate.not_valid_before_utc)}"


def _name(certificate: x509.Certificate) -> str:
    try:
        return name_text(certificate.subject) or "a CA without a name"
    except REFUSED:
        return "a CA whose name cannot be read"


def _says_where_issuer_is(certificate: x509.Certificate) -> bool:
    """Whether it tells where its issuer can be fetched, as public CAs do for their intermediates."""
    from cryptography import x509
    from cryptography.x509.oid import AuthorityInformationAccessOID

    try:
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except (x509.ExtensionNotFound, *REFUSED):
        return False
    return any(one.access_method == AuthorityInformationAccessOID.CA_ISSUERS for one in access)
