"""One row per certificate: what ``meshdiag certs`` shows, the most urgent first.

Where a node's peer port shows none, its metric is a row instead: it tells of days, and of nothing else.
"""

from __future__ import annotations

from datetime import timedelta
from math import isnan
from typing import TYPE_CHECKING, Any

from meshdiag.catalog import CERT_EXPIRY, Unit
from meshdiag.checks.readings.certificates.answers import in_full, name_of, read_of
from meshdiag.checks.readings.certificates.gathering import WHOM, known_nodes, look
from meshdiag.checks.readings.certificates.truth import served_certificates, told_days
from meshdiag.errors import SourceError
from meshdiag.model import Column, Table, Verdict

if TYPE_CHECKING:
    from meshdiag.checks.inputs import Inputs
    from meshdiag.checks.readings.certificates.gathering import Options, Seen
    from meshdiag.checks.readings.certificates.judged import Judged, Problem

COLUMNS = (
    Column("verdict", "", "verdict"),
    Column("name", "certificate"),
    Column("days_left", "left", "number", Unit.DAYS),
    Column("matter", "what is the matter"),
    Column("place", "place"),
    Column("message", "in full", detail=True),
    Column("source", "source", detail=True),
    Column("position", "position", "number", detail=True),
    Column("subject", "subject", detail=True),
    Column("issuer", "issuer", detail=True),
    Column("sans", "alternative names", detail=True),
    Column("serial", "serial", detail=True),
    Column("sha256", "SHA-256", detail=True),
    Column("key_type", "key", detail=True),
    Column("key_bits", "bits", "number", detail=True),
    Column("signature_algorithm", "signature", detail=True),
    Column("is_ca", "CA", detail=True),
    Column("not_before", "valid from", "time", detail=True),
    Column("not_after", "valid until", "time", detail=True),
    Column("problems", "problems", detail=True),
    Column("places", "places", detail=True),
    Column("kind", "kind", detail=True),
    Column("tls_version", "TLS", detail=True),
    Column("node", "node", detail=True),
)
KEYS = ("source", "position", "subject", "issuer", "serial", "node")
"""What tells certificates apart, as labels of metrics."""
OF_CERTIFICATE = (
    "subject",
    "issuer",
    "sans",
    "serial",
    "sha256",
    "key_type",
    "key_bits",
    "signature_algorithm",
    "is_ca",
    "not_before",
    "not_after",
)
IN_WORDS = {
    "expires-soon": "ends soon",
    "hostname-mismatch": "wrong host name",
    "no-san": "no alternative name",
    "untrusted-chain": "root not trusted",
    "missing-intermediate": "intermediate missing",
    "breaks-web-rule": "strict clients refuse it",
    "old-tls": "old TLS version",
}
"""Problems in words, where their codes with blanks are not enough."""


class CertsView:
    """The table for one call's options."""

    def __init__(self, options: Options) -> None:
        self._options = options

    async def draw(self, inputs: Inputs) -> Table:
        """The table. Raises ``SourceError`` where there is nothing to look at."""
        seen = await look(inputs, self._options)
        rows = [row_of(one, seen) for one in seen.judged]
        if not self._options.named:
            rows += await _told(inputs, seen)
            rows.sort(key=lambda row: -Verdict(str(row["verdict"])).severity)
        return Table(COLUMNS, tuple(rows), noun="cert", keys=KEYS)


def row_of(judged: Judged, seen: Seen) -> dict[str, Any]:
    """A certificate's row; what is damaged or gave none has a row as well, with what there is to say."""
    found = seen.founds[judged.source]
    place = seen.whose(judged)
    certificate = read_of(judged)
    return {
        "verdict": judged.verdict,
        "name": name_of(judged) or (place.node or place.what if place else ""),
        "days_left": judged.days_left,
        "matter": matter_of(judged),
        "place": place_text(judged, seen),
        "message": in_full(judged.problems),
        "source": judged.source,
        "position": judged.position,
        **{key: getattr(certificate, key, None) for key in OF_CERTIFICATE},
        "problems": tuple(dict.fromkeys(str(one.code) for one in judged.problems)),
        "places": judged.places,
        "kind": found.kind,
        "tls_version": found.tls_version,
        "node": place.node if place is not None and not judged.position else "",
    }


def matter_of(judged: Judged) -> str:
    """What is the matter in a few words, the worst first; nothing where all is well."""
    bad = [one for one in judged.problems if one.verdict is not Verdict.PASS]
    return ", ".join(dict.fromkeys(_words(one) for one in bad))


def _words(problem: Problem) -> str:
    """A problem in a few words; the checks below the table tell it in full."""
    if problem.code in ("no-answer", "unreadable", "incomplete"):
        return problem.message.partition(": ")[0]
    if problem.message == WHOM:
        return "trust not known"
    return IN_WORDS.get(problem.code, str(problem.code).replace("-", " "))


def place_text(judged: Judged, seen: Seen) -> str:
    """Where it is, for a person: the node's name beside its address, and in how many more places."""
    place = seen.places.get(judged.source)
    name = place.node or place.what if place is not None else ""
    who = f"{name} " if name and name != name_of(judged) else ""
    text = f"{who}{judged.source}" + (f" #{judged.position + 1}" if judged.position else "")
    more = len(judged.places) - 1
    return f"{text} and {more:,} more place{'s' if more > 1 else ''}" if more > 0 else text


async def _told(inputs: Inputs, seen: Seen) -> list[dict[str, Any]]:
    """A row for each node that shows no certificate and whose metric tells of one."""
    shown = {place.instance for place, _ends in served_certificates(seen)}
    query = CERT_EXPIRY.selector(inputs.context.job)
    for metrics in inputs.sources.metrics:
        try:
            told = told_days(await metrics.instant(query, None))
        except SourceError:
            continue
        nodes = {node.instance: node.name or node.instance for node in (await known_nodes(inputs))[0]}
        days = {one: [value for value in values if not isnan(value)] for one, values in told.items()}
        return [
            _told_row(instance, min(values), nodes.get(instance, instance), seen)
            for instance, values in sorted(days.items())
            if values and instance not in shown
        ]
    return []


def _told_row(instance: str, days: float, node: str, seen: Seen) -> dict[str, Any]:
    left = days - (seen.moment - seen.began).total_seconds() / 86_400
    verdict = seen.lasting.judge(left)
    soon = "expired" if left <= 0 else "expires-soon"
    return {
        **dict.fromkeys((column.key for column in COLUMNS), None),
        "verdict": verdict,
        "name": node,
        "days_left": left,
        "matter": "told by its metric alone",
        "place": CERT_EXPIRY.name,
        "message": "its peer port shows no certificate; this is what its metric tells",
        "source": f"{CERT_EXPIRY.name} of {instance}",
        "position": 0,
        "not_after": seen.moment + timedelta(days=left),
        "problems": () if verdict is Verdict.PASS else (soon,),
        "places": (instance,),
        "kind": "metric",
        "node": node,
    }
