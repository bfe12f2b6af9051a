"""Reports for the tests of renderers: a quiet night, a bad one, a blind one, a big one, a hostile one, tables."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

from meshdiag.model import (
    Cause,
    Column,
    Evidence,
    Finding,
    Range,
    Report,
    Result,
    Table,
    Threshold,
    Verdict,
    at_least,
    at_most,
)

NOW = datetime(2025, 3, 9, 3, 12, 44, tzinfo=UTC)
ROUNDS = Threshold(warn=at_most(10), fail=at_most(30))
PROMETHEUS = "http://localhost:9090"

TITLES = {
    "nodes.up": "Every node answers its scrapes",
    "nodes.restarts": "No node restarted in the last hour",
    "capacity.cpu": "CPU use stays below 85 %",
    "capacity.disk": "Disks have room left",
    "peers.count": "Every node has at least 3 peers",
    "consensus.vote-success": "Votes succeed",
    "learning.accuracy": "The model's accuracy stays above 80 %",
    "security.attacks": "No attack was detected",
}


def curl(query: str) -> Evidence:
    """The evidence of a metric check."""
    return Evidence("Prometheus", f"curl -sG {PROMETHEUS}/api/v1/query --data-urlencode 'query={query}'")


def finding(
    node: str,
    verdict: Verdict,
    message: str,
    value: float | None = None,
    unit: str | None = None,
    threshold: Threshold | None = None,
    age_s: float = 4,
) -> Finding:
    """A node's finding; its instance is made from its name."""
    port = 9090 + sum(map(ord, node)) % 100
    return Finding(
        f"localhost:{port}",
        verdict,
        message,
        value,
        unit,
        threshold,
        NOW - timedelta(seconds=age_s),
        {"node": node, "role": node.partition("-")[0]},
    )


def passing(id_: str) -> Result:
    """A check that found nothing wrong on three nodes."""
    found = tuple(
        finding(node, Verdict.PASS, "fine", 0.5, "ratio", Threshold(warn=at_most(0.9)))
        for node in ("bootstrap-1", "trainer-1", "aggregator-1")
    )
    return Result(id_, TITLES[id_], Verdict.PASS, "3 of 3 fine", found, (curl("up"),), "Look.", "slow-consensus", 0.02)


def skipped(id_: str, reason: str = "needs history, which the nodes' pages do not hold") -> Result:
    """A check that was not made."""
    return Result(id_, TITLES.get(id_, id_), Verdict.SKIP, reason, hint="Wait.", runbook="history")


def slow_rounds() -> Result:
    """Two nodes over the bound for failures, one over that for warnings, the others fine."""
    found = (
        finding("trainer-1", Verdict.PASS, "rounds are in time", 2.1, "s", ROUNDS),
        finding("aggregator-1", Verdict.WARN, "rounds are slow", 10.02, "s", ROUNDS),
        finding("trainer-3", Verdict.FAIL, "rounds are slow", 44.23, "s", ROUNDS),
        finding("trainer-12", Verdict.FAIL, "rounds are slow", 31, "s", ROUNDS, age_s=64),
    )
    return Result(
        "consensus.round-duration",
        "Consensus rounds finish within 10 s",
        Verdict.FAIL,
        "rounds are slow on 3 of 4 nodes, slowest trainer-3 with 44.2 s",
        found,
        (curl('histogram_quantile(0.95, sum by (instance, le) (rate(x_bucket{job="agent-mesh"}[5m])))'),),
        "'meshdiag consensus --slow' shows who leads the slow rounds and how far away their peers are",
        "slow-consensus",
        0.12,
    )


def memory() -> Result:
    """One node, one value."""
    found = (
        finding("trainer-3", Verdict.FAIL, "memory is nearly full", 0.943, "ratio", Threshold(fail=at_most(0.9))),
        finding("trainer-1", Verdict.PASS, "memory is fine", 0.4, "ratio", Threshold(fail=at_most(0.9))),
    )
    return Result(
        "capacity.memory",
        "Memory use stays below 90 %",
        Verdict.FAIL,
        "trainer-3: memory is nearly full",
        found,
        (curl("system_memory_usage_bytes / system_memory_total_bytes"),),
        "See which process grows: 'ps aux --sort=-rss | head' on the node",
        "high-memory-usage",
    )


def absent() -> Result:
    """An expected metric that one node does not expose."""
    found = (
        finding("aggregator-1", Verdict.UNKNOWN, "does not expose fl_aggregation_duration_seconds"),
        finding("trainer-1", Verdict.SKIP, "not for this role"),
    )
    return Result(
        "learning.aggregation-time",
        "Aggregating a round takes less than 30 s",
        Verdict.UNKNOWN,
        "fl_aggregation_duration_seconds was never seen in job agent-mesh",
        found,
        hint="Look whether the aggregator's build exposes the metric: curl -s localhost:9092/metrics | grep fl_",
        runbook="metric-missing",
    )


def certificates() -> Result:
    """Warnings alone."""
    limits = Threshold(warn=at_least(30), fail=at_least(7))
    found = tuple(
        finding(f"trainer-{n}", Verdict.WARN, "the certificate expires soon", 11.5 + n, "days", limits)
        for n in range(1, 10)
    )
    return Result(
        "security.cert-days",
        "Certificates are valid for at least 30 days",
        Verdict.WARN,
        "9 certificates expire soon, the first in 12.5 d",
        found,
        (curl("security_cert_expiry_days"),),
        "Renew the certificates, then check with 'openssl s_client'",
        "certificate-expiry",
    )


def mixed() -> Report:
    """A bad night: every verdict, a cause, a note."""
    return Report(
        "health",
        "prod",
        NOW,
        1.43,
        (
            *map(passing, TITLES),
            slow_rounds(),
            memory(),
            absent(),
            certificates(),
            skipped("learning.privacy-pace"),
            skipped("peers.message-rate"),
        ),
        (
            Cause(
                "trainer-3 is short of memory and leads the slow rounds: it holds the others up",
                ("capacity.memory trainer-3", "consensus.round-duration trainer-3"),
                "restart the agent on trainer-3 after saving its heap profile, then watch 'meshdiag consensus --slow'",
            ),
        ),
        notes=("Prometheus answered in part: 1 of 3 stores did not respond",),
    )


def all_pass() -> Report:
    """A quiet night."""
    return Report("health", "local", NOW, 0.62, tuple(map(passing, TITLES)))


def blind() -> Report:
    """Prometheus is down, and everything waits for it."""
    gate = Result(
        "stack.prometheus",
        "Prometheus answers, is ready, and is a Prometheus",
        Verdict.FAIL,
        f"Prometheus at {PROMETHEUS} refused the connection",
        (Finding(PROMETHEUS, Verdict.FAIL, "refused the connection"),),
        (Evidence("Prometheus", f"curl -s {PROMETHEUS}/-/ready"),),
        "Start Prometheus, or say where it is with --prometheus-url",
        "prometheus-down",
    )
    waiting = tuple(
        Result(
            id_,
            title,
            Verdict.UNKNOWN,
            "unknown, because stack.prometheus is fail",
            hint="x",
            runbook="y",
            because="stack.prometheus",
        )
        for id_, title in TITLES.items()
    )
    late = tuple(
        Result(f"stack.{name}", f"{name} answers", Verdict.UNKNOWN, "not reached within the deadline of 20 s")
        for name in ("alertmanager", "loki", "grafana")
    )
    return Report("health", "local", NOW, 20.0, (gate, *waiting, *late))


def big(nodes: int = 1000) -> Report:
    """Many nodes, many of them sick."""
    found = tuple(
        finding(
            f"trainer-{n}",
            Verdict.FAIL if n % 3 == 0 else Verdict.PASS,
            "rounds are slow" if n % 3 == 0 else "in time",
            31 + n / 10 if n % 3 == 0 else 1.0,
            "s",
            ROUNDS,
        )
        for n in range(nodes)
    )
    many = Result("consensus.round-duration", "Consensus rounds finish within 10 s", Verdict.FAIL, "", found)
    return Report("health", "prod", NOW, 1.9, (many, *map(passing, TITLES)))


HOSTILE = "\x1b[2J\x1b]0;owned\x07[bold red]x[/]\u202egnp.exe\u200b\r\n\x9b31m|'=;\ud800\x00" + "A" * 3000


def hostile(text: str = HOSTILE) -> Report:
    """Everything that comes from outside is an attack."""
    one = Finding(text, Verdict.FAIL, text, math.nan, text, ROUNDS, NOW, {"node": text, text: text})
    other = Finding(text, Verdict.WARN, text, math.inf, "s", ROUNDS, NOW)
    bad = Result(
        "logs.errors",
        text,
        Verdict.FAIL,
        text,
        (one, other),
        (Evidence(text, f"curl -s 'http://x/{text}'", text),),
        text,
        text,
    )
    table = Table((Column("name", text), Column("n", "n", "number", text)), ({"name": text, "n": math.nan},), text)
    cause = Cause(text, (text,), text)
    skips = Result("logs.rate", text, Verdict.SKIP, text)
    return Report("logs", text, NOW, math.nan, (bad, skips), (cause,), table, (text,))


def numbers() -> Report:
    """Values that are no numbers, and bounds of every form."""
    values = (math.nan, math.inf, -math.inf, 0.0, 1e-9, 1e18, 10.0000001)
    inside = Threshold(warn=Range(5, 20, inside=True), fail=Range(1, 1))
    found = tuple(finding(f"node-{n}", Verdict.WARN, "odd", value, "s", inside) for n, value in enumerate(values))
    return Report("health", "local", NOW, 0.1, (Result("nodes.odd", "Numbers are even", Verdict.WARN, "odd", found),))


def nodes_table(rows: int = 6) -> Report:
    """The overview of nodes, with a verdict of its own."""
    columns = (
        Column("node", "node"),
        Column("verdict", "verdict", "verdict"),
        Column("role", "role"),
        Column("scrape_age", "scraped", "age"),
        Column("cpu", "CPU", "number", "percent"),
        Column("memory", "memory", "number", "ratio"),
        Column("peers", "peers", "number", "count"),
        Column("round", "round duration", "number", "s"),
        Column("trend", "last hour", "trend", "s"),
        Column("restarted", "last restart", "time"),
    )
    made = []
    for n in range(rows):
        sick = n == 2
        made.append(
            {
                "node": f"trainer-{n}" if n else "bootstrap-1",
                "verdict": Verdict.FAIL if sick else Verdict.UNKNOWN if n == 4 else Verdict.PASS,
                "role": "trainer" if n else "bootstrap",
                "scrape_age": None if n == 4 else 3.0 + n,
                "cpu": None if n == 4 else 31.5 + 9 * n,
                "memory": None if n == 4 else 0.943 if sick else 0.41,
                "peers": None if n == 4 else 5,
                "round": math.nan if n == 4 else 44.2 if sick else 2.1,
                "trend": tuple(
                    math.nan if n == 4 or i == 9 else 2 + i * 1.5 if sick else 2 + (i * 7 % 5) / 10 for i in range(30)
                ),
                "restarted": NOW - timedelta(hours=5 * n + 1),
            }
        )
    return Report("nodes", "prod", NOW, 0.41, (slow_rounds(), passing("nodes.up")), data=Table(columns, tuple(made)))


def query_table() -> Report:
    """The answer to a query: no verdict, labels of any length."""
    columns = (
        Column("instance", "instance"),
        Column("mountpoint", "mountpoint"),
        Column("device", "device"),
        Column("value", "value", "number"),
        Column("trend", "last hour", "trend"),
    )
    rows = tuple(
        {
            "instance": f"node-{n}.eu-central-1.mesh.example.com:9100",
            "mountpoint": f"/var/lib/containers/storage/overlay/{n:08x}/merged",
            "device": "overlay",
            "value": 1234567.5 * n,
            "trend": tuple(math.sin(i / 5 + n) for i in range(60)),
        }
        for n in range(4)
    )
    return Report("query", "local", NOW, 0.05, data=Table(columns, rows))


def empty_table() -> Report:
    """A query that found nothing."""
    return Report("query", "local", NOW, 0.05, data=Table((Column("instance", "instance"),), ()))


ALL = {
    "all_pass": all_pass,
    "mixed": mixed,
    "blind": blind,
    "big": big,
    "hostile": hostile,
    "numbers": numbers,
    "nodes_table": nodes_table,
    "query_table": query_table,
    "empty_table": empty_table,
}
