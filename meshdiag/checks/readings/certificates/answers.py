"""What the checks of certificates say of one look: a finding for each certificate, by the problems that concern it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from meshdiag.catalog import Unit
from meshdiag.checks import Outcome
from meshdiag.checks.readings.certificates.commands import verify_served
from meshdiag.checks.readings.certificates.gathering import EXPIRY, WHOM
from meshdiag.errors import SourceError, Trouble
from meshdiag.model import Evidence, Finding, Verdict, count_verdicts
from meshdiag.sources.certificates.certificate import Certificate
from meshdiag.units import human

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from meshdiag.checks.readings.certificates.gathering import Seen
    from meshdiag.checks.readings.certificates.judged import Judged, Problem

READABLE, HOST, CHAIN, STRENGTH = "certs.readable", "certs.host", "certs.chain", "certs.strength"
CONCERN: Mapping[str, str] = {
    "unreadable": READABLE,
    "no-answer": READABLE,
    "incomplete": READABLE,
    "malformed": READABLE,
    "expired": EXPIRY,
    "not-yet-valid": EXPIRY,
    "expires-soon": EXPIRY,
    "hostname-mismatch": HOST,
    "no-san": HOST,
    "weak-key": STRENGTH,
    "weak-signature": STRENGTH,
    "lifetime-too-long": STRENGTH,
    "old-tls": STRENGTH,
}
"""Which check each kind of problem concerns; what is not listed concerns the chain."""
MOST_EVIDENCE = 5
MOST_ALIKE = 2
"""Problems of one kind that a sentence tells: a certificate at a thousand places may be wrong at each."""


def answer(seen: Seen, id_: str, good: str, *, served: bool = False) -> Outcome:
    """The outcome of one check. ``good`` says what a certificate without its problems is, ``served`` whether only those
    that servers show for themselves are concerned. Raises ``SourceError`` where no certificate could be read at all."""
    if id_ != READABLE and not any(is_read(one) for one in seen.judged):
        raise none_read(seen)
    concerned = [_narrowed(one, id_) for one in seen.judged if _is_concerned(one, seen, id_, served=served)]
    if not concerned:
        return Outcome(verdict=Verdict.SKIP, summary="not looked at: no server was asked, files belong to no host")
    findings = tuple(_finding(one, seen, id_, good) for one in concerned)
    evidence = tuple(_evidence(concerned, findings, seen, id_))
    return Outcome(findings, sum_up(findings, good), evidence, hint=_hint(findings))


def _hint(findings: Sequence[Finding]) -> str:
    """Another next step than the check's own, where all that is wrong is that nobody said whom the nodes trust."""
    wrong = [one for one in findings if one.verdict is not Verdict.PASS]
    if wrong and all(WHOM in one.message for one in wrong):
        return "name the authority of the mesh: --ca-file FILE, or peer_ca_file in the context"
    return ""


def none_read(seen: Seen) -> SourceError:
    """The error that stands for a look in which no certificate could be read."""
    first = next((problem.message for one in seen.judged for problem in one.problems), "there is none")
    return SourceError(
        f"no certificate could be read: {first}", trouble=Trouble.NOT_AVAILABLE, source="certificates", because=READABLE
    )


def is_read(judged: Judged) -> bool:
    """Whether it is a certificate, not the place of one that is damaged or missing."""
    return read_of(judged) is not None


def read_of(judged: Judged) -> Certificate | None:
    """The certificate, where it could be read."""
    return judged.certificate if isinstance(judged.certificate, Certificate) else None


def problems_of(judged: Judged, id_: str) -> list[Problem]:
    """The problems of a certificate that concern a check, the worst first."""
    concerned = [one for one in judged.problems if CONCERN.get(one.code, CHAIN) == id_]
    return sorted(concerned, key=lambda one: -one.verdict.severity)


def _is_concerned(judged: Judged, seen: Seen, id_: str, *, served: bool) -> bool:
    if id_ == READABLE:
        return judged.position == 0 or not is_read(judged)
    if served:
        return is_read(judged) and judged.position == 0 and bool(seen.founds[judged.source].host)
    return is_read(judged)


def _narrowed(judged: Judged, id_: str) -> Judged:
    """The certificate as it is at the one place where it has problems of this check, where others hold it without."""
    where = {one.places for one in problems_of(judged, id_) if one.verdict is not Verdict.PASS}
    places = next(iter(where), ())
    if len(where) != 1 or len(places) != 1 or (judged.position and judged.source not in places):
        return judged
    said = f"at {places[0]}: "
    problems = tuple(replace(one, message=one.message.removeprefix(said), places=()) for one in judged.problems)
    return replace(judged, source=places[0], places=places, problems=problems)


def _finding(judged: Judged, seen: Seen, id_: str, good: str) -> Finding:
    problems = problems_of(judged, id_)
    verdict = Verdict.worst([Verdict.PASS, *(one.verdict for one in problems)])
    message = in_full(problems) or good
    if (more := len(judged.places) - 1) and not any(one.places for one in problems):
        message += f" (and {more:,} more place{'s' if more > 1 else ''})"
    lasting = id_ == EXPIRY
    return Finding(
        subject_of(judged),
        verdict,
        message,
        judged.days_left if lasting else None,
        Unit.DAYS if lasting else None,
        seen.lasting if lasting else None,
        labels=labels_of(judged, seen),
    )


def in_full(problems: Sequence[Problem]) -> str:
    """The sentences of some problems. Of a kind that is so in many places, each in words of its own, the first ones."""
    said, kinds = [], Counter(one.code for one in problems)
    for code in kinds:
        alike = [one.message for one in problems if one.code == code]
        said += alike[:MOST_ALIKE]
        if (rest := len(alike) - MOST_ALIKE) > 0:
            said.append(f"and {rest:,} more like that")
    return "; ".join(said)


def subject_of(judged: Judged) -> str:
    """How a finding names a certificate: by its place, and by its position there where it is not the first."""
    return f"{judged.source} #{judged.position + 1}" if judged.position else judged.source


def labels_of(judged: Judged, seen: Seen) -> dict[str, str]:
    """Whose it is: node and role, where it is a node's own; who it says it is for."""
    place = seen.whose(judged) if not judged.position else None
    labels = {"node": place.node or place.what, "role": place.role} if place is not None else {}
    return {key: text for key, text in {**labels, "certificate": name_of(judged)}.items() if text}


def name_of(judged: Judged) -> str:
    """What a certificate calls itself, in short: its common name, else its first alternative name, else its subject."""
    certificate = read_of(judged)
    if certificate is None:
        return ""
    common = next((part[3:] for part in certificate.subject.split(",") if part.startswith("CN=")), "")
    return common or next((san.partition(":")[2] for san in certificate.sans), "") or certificate.subject


def sum_up(findings: Sequence[Finding], good: str) -> str:
    """One line: the most urgent certificate and how many are like it, or how many are fine and what the first one has
    left."""
    worst = max(findings, key=lambda one: one.verdict.severity)
    if worst.verdict is Verdict.PASS:
        left = min((one.value for one in findings if one.value is not None), default=None)
        first = f", the first for {human(left, Unit.DAYS)}" if left is not None else ""
        count = len(findings)
        return f"{count:,} certificate{'s' if count > 1 else ''} {'all ' if count > 1 else ''}{good}{first}"
    alike = count_verdicts(findings)[worst.verdict] - 1
    who = worst.labels.get("node") or worst.subject
    return f"{who}: {worst.message}" + (f", and {alike:,} more" if alike else "")


def _evidence(judged: Sequence[Judged], findings: Sequence[Finding], seen: Seen, id_: str) -> Iterable[Evidence]:
    """The commands that show the worst few again."""
    pairs = sorted(zip(judged, findings, strict=True), key=lambda pair: -pair[1].verdict.severity)
    bad = [pair for pair in pairs if pair[1].verdict is not Verdict.PASS]
    for one, finding in (bad or pairs)[:MOST_EVIDENCE]:
        place, found = seen.places.get(one.source), seen.founds.get(one.source)
        command = seen.command(one)
        if id_ in (HOST, CHAIN) and place is not None and found is not None:
            command = verify_served(place.wanted, found.host if id_ == HOST else "", seen.roots.get(one.source))
        yield Evidence(subject_of(one), command, _excerpt(one, finding))


def _excerpt(judged: Judged, finding: Finding) -> str:
    """What matters of the answer: what is wrong, else who it is for and until when."""
    certificate = read_of(judged)
    if finding.verdict is not Verdict.PASS or certificate is None:
        return finding.message
    return f"{name_of(judged)}, notAfter={certificate.not_after:%Y-%m-%d %H:%M:%S} UTC"
