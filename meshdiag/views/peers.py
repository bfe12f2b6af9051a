"""Every peer in a row: what ``meshdiag peers`` shows, and the checks that judge the same probes."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from meshdiag.catalog import UP, Unit
from meshdiag.checks.readings.naming import address_of, is_word, nodes_meant
from meshdiag.checks.readings.probed import judge, numbers
from meshdiag.checks.readings.probing import probes_outcome
from meshdiag.checks.readings.roster import Node, Roster, join_roster
from meshdiag.context import CheckSettings
from meshdiag.errors import SourceError, Trouble
from meshdiag.model import Column, Table, Verdict
from meshdiag.sources.probing.answers import Target
from meshdiag.sources.probing.looking import host_and_port

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from meshdiag.checks import Check, Outcome
    from meshdiag.checks.inputs import Inputs
    from meshdiag.context import Context
    from meshdiag.model import Finding
    from meshdiag.sources.probing import Prober
    from meshdiag.sources.probing.answers import Plan, Probed

STAGES = {"name": "name", "connect": "connect", "tls": "TLS", "first_byte": "first byte"}
"""The stages of a connection, by their keys."""
COLUMNS = (
    Column("verdict", "state", "verdict"),
    Column("peer", "peer"),
    Column("method", "by"),
    Column("loss", "loss", "number", Unit.RATIO),
    Column("median_s", "median", "number", Unit.SECONDS),
    Column("trouble", "trouble"),
    Column("jitter_s", "jitter", "number", Unit.SECONDS),
    Column("p95_s", "p95", "number", Unit.SECONDS),
    Column("max_s", "max", "number", Unit.SECONDS),
    Column("address", "address"),
    Column("role", "role"),
    Column("min_s", "min", "number", Unit.SECONDS),
    Column("sent", "sent", "number", Unit.COUNT),
    Column("received", "received", "number", Unit.COUNT),
    Column("ip", "ip"),
    Column("instance", "instance"),
    *(Column(f"{stage}_s", title, "number", Unit.SECONDS) for stage, title in STAGES.items()),
)
"""The order is that of importance: what does not fit a terminal is left out from the end."""
MOST_KEPT = 100_000
"""Times of one peer that a watch keeps: five hours at five a second."""


@dataclass
class Peers:
    """One look at many peers: the same probes judged by each of ``chosen`` checks, and as a table.

    ``targets`` are what was named; without them the mesh's own peers are probed. ``notes`` takes what should be said
    about the answer itself. ``given`` are answers that are there already: they are judged, and nobody is probed.
    """

    plan: Plan
    chosen: Sequence[Check]
    targets: tuple[Target, ...] = ()
    say: Callable[[str], None] = lambda _text: None
    notes: list[str] = field(default_factory=list)
    given: tuple[Probed, ...] = ()
    probes: tuple[Probed, ...] = field(default=(), init=False)
    _prober: Prober | None = field(default=None, init=False)

    @property
    def checks(self) -> tuple[Check, ...]:
        """The checks, over these probes."""
        return tuple(replace(one, needs=("probe",), run=partial(self._answer, one)) for one in self.chosen)

    async def table(self, inputs: Inputs) -> Table:
        """A row a peer, the worst first. Raises ``SourceError`` where no peer is known."""
        probes = await self._probes(inputs)
        judged = [self._judged(one, inputs) for one in self.chosen]
        verdicts = [
            Verdict.worst(findings[place].verdict for findings in judged) if judged else None
            for place in range(len(probes))
        ]
        rows = [row_of(probed, verdict) for probed, verdict in zip(probes, verdicts, strict=True)]
        rows.sort(key=_rank)
        return Table(COLUMNS, tuple(rows), noun="peer", keys=("peer", "role", "address", "method"))

    async def _answer(self, check: Check, inputs: Inputs) -> Outcome:
        probes = await self._probes(inputs)
        return probes_outcome(probes, self._judged(check, inputs), self._roster(), self.plan, inputs.now)

    def _judged(self, check: Check, inputs: Inputs) -> tuple[Finding, ...]:
        settings = inputs.context.checks.get(check.id, CheckSettings())
        threshold = settings.over(check.threshold)
        return judge(check.id, self.probes, threshold, settings.options, fleet=not self.targets)

    def _roster(self) -> Roster:
        known = (probed.target for probed in self.probes if probed.target.instance)
        return Roster.of(Node(one.instance, one.name, one.role, peer=one.address) for one in known)

    async def _probes(self, inputs: Inputs) -> tuple[Probed, ...]:
        return await inputs.memo.once("peers", lambda: self._probe(inputs))

    async def _probe(self, inputs: Inputs) -> tuple[Probed, ...]:
        if self.given:
            self.probes = self.given
            return self.given
        targets = await self._meant(inputs) if self.targets else await self._of_mesh(inputs)
        if not targets:
            raise SourceError(
                "no peer is known: Prometheus scrapes none, and the configuration lists none",
                trouble=Trouble.NOT_AVAILABLE,
                hint="name them: meshdiag peers HOST:PORT, or --targets FILE",
            )
        count = f"{len(targets):,} peer{'s' if len(targets) != 1 else ''}"
        self.say(f"probing {count}, {self.plan.count} times each")
        self._prober = inputs.probe
        self.probes = await inputs.probe.probe(targets, self.plan)
        return self.probes

    @property
    def cut_short(self) -> tuple[Probed, ...]:
        """What was known when probing was stopped before its end; empty where it was not."""
        return () if self.probes or self._prober is None else self._prober.cut_short

    async def _meant(self, inputs: Inputs) -> tuple[Target, ...]:
        """What was named, nodes of the mesh known by their names and addresses. Prometheus is asked for them only where
        a name is none of the configuration's: nothing else that is named needs it."""
        nodes, pages = _listed(inputs.context), _pages(inputs.context)
        if inputs.sources.prometheus is not None and any(_is_unknown(one, nodes) for one in self.targets):
            with suppress(SourceError):
                up = await inputs.sources.prometheus.instant(UP.selector(inputs.context.job))
                nodes = list(join_roster(up.samples, {}, inputs.context).nodes.values())
        found = [one for target in self.targets for one in meant(target, nodes, pages)]
        return tuple(dict.fromkeys(found))

    async def _of_mesh(self, inputs: Inputs) -> tuple[Target, ...]:
        """The peers of the mesh: those that Prometheus has targets for, up or not, and those of the configuration."""
        pages = _pages(inputs.context)
        targets = [(node, _target(node, pages)) for node in await self._nodes(inputs)]
        by_page = sum(1 for node, one in targets if not node.peer)
        if by_page:
            label = inputs.context.peer_label
            self._note(
                f"of {by_page} of {len(targets)} nodes no peer address is known (label {label}, or peer in the "
                "configuration): the port of the metrics page was probed"
            )
        return tuple(one for _node, one in targets)

    async def _nodes(self, inputs: Inputs) -> list[Node]:
        context, prometheus = inputs.context, inputs.sources.prometheus
        listed = _listed(context)
        if prometheus is None:
            return listed
        try:
            up = await prometheus.instant(UP.selector(context.job))
        except SourceError as error:
            self._note(f"{error.message}; probed instead: the {len(listed)} nodes of the configuration")
            return listed
        if not up.samples:
            self._note(f"Prometheus knows no target of job {context.job}; probed instead: the configuration's nodes")
            return listed
        return list(join_roster(up.samples, {}, context).nodes.values())

    def _note(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)


def _listed(context: Context) -> list[Node]:
    return [Node(one.instance, one.name, one.role.lower(), peer=one.peer) for one in context.nodes]


def _pages(context: Context) -> dict[str, str]:
    return {node.instance: node.url for node in context.nodes}


def _is_unknown(target: Target, nodes: Sequence[Node]) -> bool:
    """Whether it may be a node's name that is none of these nodes'."""
    host = host_and_port(target.address)[0]
    return not target.name and not target.url and is_word(host) and not nodes_meant(host, nodes)


def meant(target: Target, nodes: Sequence[Node], pages: Mapping[str, str]) -> tuple[Target, ...]:
    """The nodes that a target means by name, glob or address, with what is known of them; else the target as it is."""
    if target.name or target.instance or target.url:
        return (target,)
    host, port = host_and_port(target.address)
    for node in nodes:
        if target.address in (node.peer, node.instance):
            return (replace(_target(node, pages), address=target.address),)
    named = nodes_meant(host, nodes)
    if port:
        return tuple(Target(address_of(one, port), one.name, one.role, one.instance) for one in named) or (target,)
    return tuple(_target(one, pages) for one in named) or (target,)


def _target(node: Node, pages: Mapping[str, str]) -> Target:
    """A node as a target: its peer address, and its page, which HTTP asks. Where the peer address is not known the
    page's stands for it, and is no page to be asked, which would take longer than the way there."""
    page = pages.get(node.instance) or f"http://{node.instance}/metrics"
    return Target(node.peer or node.instance, node.name, node.role, node.instance, page if node.peer else "")


def joined(earlier: Probed | None, later: Probed) -> Probed:
    """Two looks at the same peer as one. Times of different methods are not mixed: the later one's are kept."""
    if earlier is None or (earlier.method and later.method and earlier.method is not later.method):
        return later
    speaks = later if later.times_s or not earlier.times_s else earlier
    times = (*earlier.times_s, *later.times_s)
    dropped = max(0, len(times) - MOST_KEPT)
    trouble = later.trouble or earlier.trouble
    return replace(speaks, sent=earlier.sent + later.sent - dropped, times_s=times[dropped:], trouble=trouble)


def row_of(probed: Probed, verdict: Verdict | None) -> dict[str, object]:
    """A peer's row: raw numbers, seconds and shares."""
    target, told = probed.target, numbers(probed.times_s)
    return {
        "peer": target.name or target.instance or target.url or target.address,
        "verdict": verdict,
        "node": target.name or None,
        "instance": target.instance or None,
        "role": target.role or None,
        "address": target.address,
        "ip": probed.ip or None,
        "method": str(probed.method) if probed.method else None,
        "sent": probed.sent,
        "received": probed.received,
        "loss": probed.loss,
        "min_s": told.min_s,
        "median_s": told.median_s,
        "p95_s": told.p95_s,
        "max_s": told.max_s,
        "jitter_s": told.jitter_s,
        "trouble": trouble_text(probed) or None,
        "stages": dict(probed.stages_s),
        **{f"{stage}_s": probed.stages_s.get(stage) for stage in STAGES},
        "port_s": min(probed.port.times_s, default=None) if probed.port else None,
    }


def trouble_text(probed: Probed) -> str:
    """What did not work, in words that scripts may go by: ``port refused``, ``icmp timeout``."""
    words = [f"{method} {word}" for method, word in probed.tried]
    if probed.port is not None and not probed.port.times_s and probed.port.trouble:
        words.append(f"port {probed.port.trouble}")
    if not probed.times_s and probed.trouble and not any(word.endswith(probed.trouble) for word in words):
        words.append(str(probed.trouble))
    return ", ".join(words)


def _rank(row: Mapping[str, object]) -> tuple[int, bool, float, str]:
    verdict, took = row["verdict"], row["median_s"]
    severity = verdict.severity if isinstance(verdict, Verdict) else 0
    slow = took if isinstance(took, float) else 0.0
    return -severity, row["median_s"] is not None, -slow, str(row["peer"])
