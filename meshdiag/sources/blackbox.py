"""The blackbox_exporters beside the nodes: what each node can reach, seen from where it stands.

``GET /probe?target=…&module=…`` makes one exporter probe one target and answers with a metrics page: whether it
worked, how long it took, in which phases. With ``debug=true`` the same page is preceded by the probe's own log, which
is the only place that says why a probe failed. Modules are named in the exporter's configuration (``blackbox.yml``).
Source: https://github.com/prometheus/blackbox_exporter (README, CONFIGURATION.md), and the answers of 0.23.
"""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import TYPE_CHECKING, Final

from meshdiag.context import Endpoint
from meshdiag.errors import SourceError, Trouble
from meshdiag.sources.closing import Closing
from meshdiag.sources.exposition import Reader

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from meshdiag.sources.http import HttpClient, Reply

AT_ONCE: Final = 200
"""Probes under way at the same time, all exporters together."""
PER_EXPORTER: Final = 16
"""Probes that one exporter makes at the same time."""
PER_SECOND: Final = 400.0
"""Probes begun in a second, all exporters together."""

GIVE_UP: Final = 2
"""Probes of a target that fail, or questions that an exporter leaves open, before no more are made."""
RESENT_S: Final = 0.9
"""TCP waits for a second before it sends its first packet again (RFC 6298)."""
MARGIN_S: Final = 2.0
"""What an exporter gets beyond the probe's own time to answer that it has failed."""
OFFSET_S: Final = 0.5
"""What an exporter takes off the time that it is told (its flag ``--timeout-offset``)."""
LARGEST: Final = 1 << 20
PATH: Final = "/probe"
HEALTH: Final = "/-/healthy"

_WANTED: Final = frozenset(
    {
        "probe_success",
        "probe_duration_seconds",
        "probe_dns_lookup_time_seconds",
        "probe_icmp_duration_seconds",
        "probe_http_duration_seconds",
    }
)
_BY_PHASE: Final = frozenset({"probe_icmp_duration_seconds", "probe_http_duration_seconds"})
_FAILED: Final = re.compile(r'^(?!.*level=debug).*\berr="((?:[^"\\]|\\.)*)"', re.MULTILINE)
"""A line of a probe's log that says what went wrong. Debug lines tell of attempts that something else made good."""

TROUBLES: Final = (
    (re.compile(r"connection refused", re.IGNORECASE), "refused"),
    (re.compile(r"i/o timeout|deadline exceeded|timed out", re.IGNORECASE), "timeout"),
    (re.compile(r"no such host|server misbehaving|unable to find ip", re.IGNORECASE), "unknown-host"),
    (re.compile(r"no route to host|network is unreachable|host is (down|unreachable)", re.IGNORECASE), "unreachable"),
    (re.compile(r"connection reset|broken pipe|\bEOF\b", re.IGNORECASE), "reset"),
    (re.compile(r"operation not permitted|permission denied", re.IGNORECASE), "forbidden"),
    (re.compile(r"missing port|too many colons|invalid port|unknown port", re.IGNORECASE), "bad-address"),
)
"""What Go's network errors say, as the words that meshdiag has for it."""


@dataclass(frozen=True, slots=True)
class View:
    """How one target looks from one node.

    ``duration_s`` is the fastest of the probes that worked, the look-up of the name not counted (for ICMP the round
    trip alone); None when none did. ``phases`` are that probe's (seconds by name). ``trouble`` is why the last probe
    that failed did: one of the words of ``TROUBLES``, or the exporter's own. Of the ``sent`` probes ``failed`` did not
    work and ``resent`` took a second longer than the fastest, which is what a lost first packet of TCP costs.
    """

    viewpoint: str
    target: str
    module: str
    ok: bool
    duration_s: float | None = None
    phases: Mapping[str, float] = field(default_factory=dict)
    trouble: str = ""
    sent: int = 1
    failed: int = 0
    resent: int = 0


@dataclass(frozen=True, slots=True)
class Viewpoint:
    """A node's exporter, and what it is to probe."""

    name: str
    url: str
    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """What one viewpoint saw. ``error`` is why it did not tell all, where it did not: then views are missing."""

    viewpoint: Viewpoint
    views: tuple[View, ...]
    error: SourceError | None = None


class Blackbox(Closing):
    """The exporters of a mesh, by their addresses. ``at_once`` and ``per_second`` bound the probes of all together.
    Close it with ``aclose`` or ``async with``."""

    name: Final = "blackbox_exporter"

    def __init__(self, *, ca_file: Path | None = None, at_once: int = AT_ONCE, per_second: float = PER_SECOND) -> None:
        self._ca_file = ca_file
        self._slots = asyncio.Semaphore(at_once)
        self._interval = 1.0 / per_second
        self._next = 0.0
        self._clients: dict[tuple[str, float], HttpClient] = {}

    async def aclose(self) -> None:
        """Close the connections."""
        for client in self._clients.values():
            await client.aclose()
        self._clients.clear()

    async def look(
        self,
        viewpoints: Sequence[Viewpoint],
        module: str,
        *,
        count: int = 1,
        timeout_s: float = 2.0,
    ) -> tuple[Row, ...]:
        """Let each viewpoint probe its targets ``count`` times, all viewpoints side by side.

        An exporter that does not answer is given up soon. Never raises for one: see ``Row.error``.
        """
        return tuple(await asyncio.gather(*(self._row(one, module, count, timeout_s) for one in viewpoints)))

    async def probe(self, url: str, target: str, module: str, *, timeout_s: float = 2.0, viewpoint: str = "") -> View:
        """One probe by the exporter at ``url``. Raises ``SourceError`` when the exporter itself does not tell."""
        http = self._client(url, timeout_s)
        reply = await http.get(
            PATH, _params(target, module), accept=(400, 404), headers={TIMEOUT_HEADER: f"{timeout_s + OFFSET_S:g}"}
        )
        return _view(reply, viewpoint or url, target, module)

    def command(self, url: str, target: str, module: str) -> str:
        """The command that asks the same again."""
        return self._client(url, 0.0).curl(PATH, _params(target, module))

    def _client(self, url: str, timeout_s: float) -> HttpClient:
        client = self._clients.get((url, timeout_s))
        if client is None:
            # httpx is heavy, and most commands ask no exporter.
            from meshdiag.sources.http import HttpClient

            endpoint = Endpoint(url, timeout_s=timeout_s + MARGIN_S, ca_file=self._ca_file)
            client = HttpClient(endpoint, name=self.name, max_bytes=LARGEST, connections=PER_EXPORTER)
            self._clients[url, timeout_s] = client
        return client

    async def _row(self, viewpoint: Viewpoint, module: str, count: int, timeout_s: float) -> Row:
        """One viewpoint's views. An exporter that leaves two questions open is asked no more; one that leaves a single
        one open is asked that again."""
        views: list[View] = []
        errors: dict[str, SourceError] = {}
        here = asyncio.Semaphore(PER_EXPORTER)

        async def see(target: str) -> None:
            async with here:
                if len(errors) >= GIVE_UP:
                    return
                try:
                    views.append(await self._several(viewpoint, target, module, count, timeout_s))
                except SourceError as error:
                    errors[target] = error

        try:
            await self._awake(viewpoint.url, timeout_s)
        except SourceError as error:
            return Row(viewpoint, (), error)
        await asyncio.gather(*map(see, viewpoint.targets))
        if len(errors) == 1 and views:
            (target, _) = errors.popitem()
            await see(target)
        return Row(viewpoint, tuple(views), next(iter(errors.values()), None))

    async def _awake(self, url: str, timeout_s: float) -> None:
        """Make sure that something answers there, whatever it says. Raises ``SourceError``. A probe may be silent for
        seconds because its target is; this question never is."""
        async with self._slots:
            await self._client(url, timeout_s).get(HEALTH, accept=range(300, 600))

    async def _several(self, viewpoint: Viewpoint, target: str, module: str, count: int, timeout_s: float) -> View:
        """The probes of one target, one after the other. A target of which the first two fail is not tried again: one
        alone may have lost a packet."""
        seen: list[View] = []
        while len(seen) < count and (len(seen) < GIVE_UP or any(view.ok for view in seen)):
            seen.append(await self._paced(viewpoint, target, module, timeout_s))
        return _summed_up(seen)

    async def _paced(self, viewpoint: Viewpoint, target: str, module: str, timeout_s: float) -> View:
        async with self._slots:
            await self._pace()
            return await self.probe(viewpoint.url, target, module, timeout_s=timeout_s, viewpoint=viewpoint.name)

    async def _pace(self) -> None:
        """Wait for this probe's turn."""
        now = time.monotonic()
        self._next = turn = max(now, self._next + self._interval)
        if turn > now:
            await asyncio.sleep(turn - now)


TIMEOUT_HEADER: Final = "X-Prometheus-Scrape-Timeout-Seconds"
"""What Prometheus says of the time it will wait; the exporter ends its probe before that."""


def _params(target: str, module: str) -> tuple[tuple[str, str], ...]:
    return (("target", target), ("module", module), ("debug", "true"))


def _summed_up(seen: Sequence[View]) -> View:
    """Several probes of one target as one view: the fastest that worked, or the last that failed."""
    worked = [view for view in seen if view.ok]
    failed = [view for view in seen if not view.ok]
    best = min(worked, key=lambda view: view.duration_s or 0.0) if worked else failed[-1]
    late = (best.duration_s or 0.0) + RESENT_S
    return replace(
        best,
        trouble=failed[-1].trouble if failed else "",
        sent=len(seen),
        failed=len(failed),
        resent=sum((view.duration_s or 0.0) > late for view in worked),
    )


def _view(reply: Reply, viewpoint: str, target: str, module: str) -> View:
    """What an exporter's answer says of a target. Raises ``SourceError`` for an answer that is none."""
    if reply.status != 200:
        raise _refused(reply, module)
    values: dict[str, float] = {}
    phases: dict[str, float] = {}
    for name, labels, value, _ in Reader(_WANTED).read(reply.content).samples:
        if name in _BY_PHASE:
            phases[labels.get("phase", "")] = value
        else:
            values[name] = value
    success = values.get("probe_success")
    if success is None or success not in (0.0, 1.0):
        raise _no_exporter(reply)
    duration_s = _latency(values, phases)
    if success == 0.0 or duration_s is None:
        return View(viewpoint, target, module, ok=False, phases=phases, trouble=_trouble(reply.text), failed=1)
    return View(viewpoint, target, module, ok=True, duration_s=duration_s, phases=phases)


def _latency(values: Mapping[str, float], phases: Mapping[str, float]) -> float | None:
    """Seconds that say how far away the target is; None where the page does not tell."""
    if "rtt" in phases:
        seconds = phases["rtt"]
    else:
        seconds = values.get("probe_duration_seconds", -1.0) - values.get("probe_dns_lookup_time_seconds", 0.0)
    return seconds if isfinite(seconds) and seconds >= 0 else None


def _trouble(text: str) -> str:
    """Why a probe failed, by the last thing that its log says went wrong."""
    from meshdiag.sources.http import excerpt

    said = _FAILED.findall(text)
    if not said:
        return "failed"
    for pattern, word in TROUBLES:
        if pattern.search(said[-1]):
            return word
    return f"failed: {excerpt(said[-1].replace(chr(92), ''), 120)}"


def _refused(reply: Reply, module: str) -> SourceError:
    """The error for an answer that refuses the question."""
    from meshdiag.sources.http import excerpt

    if reply.status == 400 and b"unknown module" in reply.content[:400].lower():
        return reply.where.error(
            Trouble.REJECTED,
            f"it knows no module called {excerpt(module, 60)!r}",
            "name one of its blackbox.yml (--module, or module in the context's blackbox table)",
        )
    if reply.status == 404:
        return reply.where.error(
            Trouble.NOT_FOUND, "it has no /probe, so it is no blackbox_exporter", "check the address and the port"
        )
    return reply.error()


def _no_exporter(reply: Reply) -> SourceError:
    """The error for a page that is no answer to a probe: a web page, another exporter's metrics."""
    from meshdiag.sources.http import recognise

    what = recognise(reply).phrase if reply.content else "its answer is empty"
    return reply.where.error(
        Trouble.WRONG_SERVER,
        f"it does not answer like a blackbox_exporter ({what})",
        "check the address and the port (9115 by default)",
    )
