"""One row per node: what ``meshdiag security`` shows. The last row is Grafana's, for its documented password."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from meshdiag import catalog
from meshdiag.catalog import Unit
from meshdiag.checks.readings.certificates.gathering import look
from meshdiag.checks.readings.certificates.truth import served_certificates
from meshdiag.checks.security import before, growth
from meshdiag.errors import SourceError
from meshdiag.model import Column, Table, Verdict
from meshdiag.views.columns import ask_columns, node_cells

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshdiag.checks.inputs import Inputs
    from meshdiag.model import Result

PASSWORD = "security.default-password"
COLUMNS = (
    Column("verdict", "", "verdict"),
    Column("name", "node"),
    Column("auth_failures", "failed logins", "number", Unit.PER_SECOND),
    Column("auth_failures_before", "the day before", "number", Unit.PER_SECOND),
    Column("attacks", "attacks", "number", Unit.COUNT),
    Column("overhead_ms", "encryption", "number", Unit.MILLISECONDS),
    Column("cert_days", "certificate", "number", Unit.DAYS),
    Column("cert_days_told", "by its metric", "number", Unit.DAYS),
    Column("message", "what is the matter"),
    Column("role", "role"),
    Column("instance", "instance"),
)
"""The order is that of importance: what does not fit a terminal is left out from the end."""
DAY_S = 86_400.0


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
    roster, columns, served = await asyncio.gather(inputs.roster(), ask_columns(inputs, questions), _served(inputs))
    attacks = columns["attacks"]
    columns["attacks"] = {one: float(round(value)) for one, value in attacks.items()}
    rows = [node_cells(node, columns) | {"cert_days": served.get(node.instance)} for node in roster.nodes.values()]
    return Table(COLUMNS, tuple(rows), noun="security", keys=("name", "role", "instance"))


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
    rows = [
        {**dict.fromkeys(column.key for column in COLUMNS), **row, **_judged(worst.get(str(row["instance"])))}
        for row in table.rows
    ]
    rows.sort(key=lambda row: (-row["verdict"].severity, str(row["role"]), str(row["name"])))
    rows += [_password_row(one) for one in results if one.id == PASSWORD]
    return Table(table.columns, tuple(rows), noun=table.noun, keys=table.keys)


def _judged(found: tuple[Verdict, list[str]] | None) -> dict[str, Any]:
    verdict, messages = found or (Verdict.UNKNOWN, [])
    return {"verdict": verdict, "message": "; ".join(dict.fromkeys(messages))}


def _by_instance(results: Sequence[Result]) -> Mapping[str, tuple[Verdict, list[str]]]:
    """The worst verdict on each node, and what was said of it that is not fine."""
    known: dict[str, tuple[Verdict, list[str]]] = {}
    names = {one.labels.get("node"): one.subject for result in results for one in result.findings if _of_node(result)}
    for result in results:
        for finding in result.findings:
            instance = finding.subject if _of_node(result) else names.get(finding.labels.get("node"), "")
            verdict, said = known.get(instance, (Verdict.SKIP, []))
            if finding.verdict not in (Verdict.PASS, Verdict.SKIP):
                said = [*said, finding.message]
            known[instance] = (max(verdict, finding.verdict, key=lambda one: one.severity), said)
    return known


def _of_node(result: Result) -> bool:
    """Whether the findings' subjects are instances, as those of metrics are; a certificate's is its place."""
    return result.id.startswith("security.") and result.id != PASSWORD


def _password_row(result: Result) -> dict[str, Any]:
    message = "default password not tried" if result.verdict is Verdict.SKIP else result.summary
    return {
        **dict.fromkeys(column.key for column in COLUMNS),
        "verdict": result.verdict,
        "name": "Grafana",
        "message": message,
    }
