"""One row per node: what ``meshdiag security`` shows. The last row is Grafana's, for its documented password."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from meshdiag import catalog
from meshdiag.catalog import Unit
from meshdiag.checks.readings.certificates.gathering import look
from meshdiag.checks.readings.certificates.truth import served_certificates
from meshdiag.checks.security import before, growth
from meshdiag.errors import SourceError
from meshdiag.model import Column, Table, Verdict
from meshdiag.views.columns import node_cells

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshdiag.checks.inputs import Inputs
    from meshdiag.model import Finding, Result

UNKNOWN = "not known"
PASSWORD = "security.default-password"
COLUMNS = (
    Column("verdict", "", "verdict"),
    Column("name", "node"),
    Column("matter", "what is the matter"),
    Column("auth_failures", "failed logins", "number", Unit.PER_SECOND),
    Column("attacks", "attacks", "number", Unit.COUNT),
    Column("cert_days", "cert ends", "number", Unit.DAYS),
    Column("auth_failures_before", "the day before", "number", Unit.PER_SECOND),
    Column("overhead_ms", "encryption adds", "number", Unit.MILLISECONDS),
    Column("cert_days_told", "cert by metric", "number", Unit.DAYS),
    Column("role", "role", detail=True),
    Column("instance", "instance", detail=True),
    Column("message", "in full", detail=True),
)
"""The order is that of importance: what does not fit a terminal is left out from the end."""
PER_SECOND = {"attacks": Column("attacks", "attacks", "number", Unit.PER_SECOND)}
DAY_S = 86_400.0
IN_WORDS = {
    "security.auth-failures": "logins fail",
    "security.auth-rise": "more logins fail",
    "security.attacks": "attacked",
    "security.encryption-overhead": "slow encryption",
    "security.certificates": "certificate ends",
    "certs.expiry": "certificate ends",
    "certs.host": "wrong host name",
    "certs.chain": "root not trusted",
    "certs.strength": "weak certificate",
    "certs.metric-truth": "metric not true",
    "certs.readable": "no certificate seen",
}
"""What each check finds, in a few words; the checks below the table tell it in full."""


async def security_view(inputs: Inputs) -> Table:
    """The values by node; see ``with_verdicts`` for the rest. Raises ``SourceError`` when the nodes are not known."""
    job = inputs.context.job
    questions = {
        "auth_failures": catalog.AUTH_FAILURES.per_instance(job),
        "attacks": f"sum by (instance) ({growth(inputs)})",
        "overhead_ms": catalog.ENCRYPTION_OVERHEAD.per_instance(job),
        "cert_days_told": f"min by (instance) ({catalog.CERT_EXPIRY.selector(job)})",
    }
    if inputs.metrics.history:
        questions["auth_failures_before"] = before(job)
    values = asyncio.gather(*(_values(inputs, query) for query in questions.values()))
    roster, served, answers = await asyncio.gather(inputs.roster(), _served(inputs), values)
    columns = dict(zip(questions, answers, strict=True))
    if inputs.metrics.history:
        columns["attacks"] = {one: float(round(value)) for one, value in columns["attacks"].items()}
    rows = [
        node_cells(node, columns) | {"cert_days": served.get(node.instance), "up": node.up}
        for node in roster.nodes.values()
    ]
    # Two looks at a page tell how fast a counter grows, not by how much it has grown over the window.
    columns_shown = COLUMNS if inputs.metrics.history else tuple(PER_SECOND.get(one.key, one) for one in COLUMNS)
    return Table(columns_shown, tuple(rows), noun="security", keys=("name", "role", "instance"))


async def _values(inputs: Inputs, query: str) -> dict[str, float]:
    """A value by instance; none where it cannot be asked (rates from a single look): the checks say why."""
    try:
        return (await inputs.metrics.instant(query, inputs.at)).by("instance")
    except SourceError:
        return {}


async def _served(inputs: Inputs) -> dict[str, float]:
    """Days left of what each node shows on its peer port, where that can be seen."""
    if inputs.at is not None:
        return {}
    try:
        seen = await look(inputs)
    except SourceError:  # the checks of certificates say so
        return {}
    return {place.instance: (ends - inputs.now).total_seconds() / DAY_S for place, ends in served_certificates(seen)}


def with_verdicts(table: Table, results: Sequence[Result]) -> Table:
    """The table with what the checks found of each node, the worst first, and a row for the documented password."""
    worst = _by_instance(results)
    blank = dict.fromkeys(column.key for column in COLUMNS)
    asked = any(one.id != PASSWORD and one.verdict is not Verdict.SKIP for one in results)
    unseen = _Found(Verdict.UNKNOWN if asked else Verdict.SKIP)
    rows = [
        {**blank, **row, **_judged(worst.get(str(row["instance"]), unseen), up=bool(row["up"]))} for row in table.rows
    ]
    rows.sort(key=lambda row: (-row["verdict"].severity, str(row["role"]), str(row["name"])))
    rows += [_password_row(one) for one in results if one.id == PASSWORD]
    return Table(table.columns, tuple(rows), noun=table.noun, keys=table.keys)


def _judged(found: _Found, *, up: bool) -> dict[str, Any]:
    words = [*(() if up else ("node is down",)), *found.words]
    return {"verdict": found.verdict, "matter": ", ".join(words), "message": "; ".join(found.messages)}


@dataclass(slots=True)
class _Found:
    """What the checks found of one node: the worst verdict, and what is not fine, each once."""

    verdict: Verdict = Verdict.SKIP
    words: dict[str, None] = field(default_factory=dict)
    messages: dict[str, None] = field(default_factory=dict)

    def add(self, id_: str, finding: Finding) -> None:
        self.verdict = max(self.verdict, finding.verdict, key=lambda one: one.severity)
        if finding.verdict not in (Verdict.PASS, Verdict.SKIP):
            known = finding.verdict is not Verdict.UNKNOWN or id_ == "certs.readable"
            self.words[IN_WORDS.get(id_, id_) if known else UNKNOWN] = None
            self.messages[finding.message] = None


def _by_instance(results: Sequence[Result]) -> Mapping[str, _Found]:
    """What was found of each node, by instance."""
    known: dict[str, _Found] = {}
    names = {one.labels.get("node"): one.subject for result in results for one in result.findings if _of_node(result)}
    for result in results:
        for finding in result.findings:
            instance = finding.subject if _of_node(result) else names.get(finding.labels.get("node"), "")
            known.setdefault(instance, _Found()).add(result.id, finding)
    return known


def _of_node(result: Result) -> bool:
    """Whether the findings' subjects are instances, as those of metrics are; a certificate's is its place."""
    return (result.id.startswith("security.") and result.id != PASSWORD) or result.id == "certs.metric-truth"


def _password_row(result: Result) -> dict[str, Any]:
    words = {
        Verdict.SKIP: "default password not tried",
        Verdict.PASS: "default password refused",
        Verdict.FAIL: "default password lets in",
    }
    return {
        **dict.fromkeys(column.key for column in COLUMNS),
        "verdict": result.verdict,
        "name": "Grafana",
        "matter": words.get(result.verdict, "default password: no answer"),
        "message": result.summary,
    }
