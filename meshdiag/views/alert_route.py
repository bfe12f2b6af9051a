"""Whom an alert would reach: by the routes that Alertmanager has loaded, and what would hold it back."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING

from meshdiag.checks import Check, Outcome
from meshdiag.checks.readings.routing import Matcher, read_routes
from meshdiag.errors import SourceError, Trouble, UsageError
from meshdiag.model import Column, Evidence, Finding, Table, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshdiag.checks.inputs import Inputs
    from meshdiag.checks.readings.routing import Route
    from meshdiag.sources.alertmanager import Silence

COLUMNS = (
    Column("receiver", "receiver"),
    Column("way", "by the route"),
    Column("group_by", "grouped by"),
    Column("muted_in", "muted in"),
    Column("active_in", "active in"),
)


def parse_labels(pairs: Sequence[str]) -> dict[str, str]:
    """``severity=critical`` and its like as labels. Raises ``UsageError``."""
    labels = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.isidentifier():
            raise UsageError(f"{pair!r} is not LABEL=VALUE", hint="meshdiag alerts route severity=critical")
        labels[name] = value.strip('"')
    if not labels:
        raise UsageError("the labels of an alert are missing", hint="meshdiag alerts route severity=critical")
    return labels


class AlertRoute:
    """The receivers of an alert with these labels."""

    def __init__(self, labels: Mapping[str, str]) -> None:
        self.labels = labels
        self.check = Check(
            "alerts.route",
            "an alert like this reaches somebody",
            self._judge,
            ("alertmanager",),
            "monitoring-stack",
            "see the routes of the configuration that is loaded (amtool config routes show)",
        )

    async def table(self, inputs: Inputs) -> Table:
        """A row a receiver. Raises ``SourceError``."""
        rows = [
            {
                "receiver": way[-1].receiver,
                "way": " > ".join(_words(route) for route in way),
                "group_by": ", ".join(way[-1].group_by),
                "muted_in": ", ".join(way[-1].muted_in),
                "active_in": ", ".join(way[-1].active_in),
            }
            for way in await self._ways(inputs)
        ]
        return Table(COLUMNS, tuple(rows))

    async def _ways(self, inputs: Inputs) -> tuple[tuple[Route, ...], ...]:
        status = await inputs.memo.once("alertmanager.status", inputs.alertmanager.status)
        if not status.config:
            raise SourceError(
                "Alertmanager does not tell its configuration", trouble=Trouble.NOT_AVAILABLE, source="Alertmanager"
            )
        return read_routes(status.config).reached(self.labels)

    async def _judge(self, inputs: Inputs) -> Outcome:
        ways = await self._ways(inputs)
        silences = [one for one in await inputs.alertmanager.silences() if one.state == "active" and self._hides(one)]
        findings = [*map(_reached, ways), *(_hidden(one) for one in silences)]
        names = ", ".join(dict.fromkeys(way[-1].receiver for way in ways)) or "nobody"
        held = f", and {len(silences)} silences would hide it" if silences else ""
        pairs = " ".join(quote(f"{name}={value}") for name, value in self.labels.items())
        ask = f"{inputs.alertmanager.evidence('/status').command} | jq -r .config.original > alertmanager.yml"
        command = f"{ask}; amtool config routes test --config.file=alertmanager.yml {pairs}"
        return Outcome(tuple(findings), f"it reaches {names}{held}", (Evidence(inputs.alertmanager.name, command),))

    def _hides(self, silence: Silence) -> bool:
        signs = {(True, True): "=~", (True, False): "!~", (False, True): "=", (False, False): "!="}
        matchers = [Matcher(one.name, signs[one.is_regex, one.is_equal], one.value) for one in silence.matchers]
        return all(one.matches(self.labels) for one in matchers)


def _reached(way: Sequence[Route]) -> Finding:
    """A receiver: a time interval that mutes it is worth a look."""
    receiver, times = way[-1].receiver or "(none)", (*way[-1].muted_in, *way[-1].active_in)
    if times:
        return Finding(receiver, Verdict.PASS, f"told, but for the times of {', '.join(times)}")
    return Finding(receiver, Verdict.PASS, "told")


def _hidden(silence: Silence) -> Finding:
    message = f"a silence by {silence.created_by or 'nobody'} would hide it: {silence.comment or 'no comment'}"
    return Finding(silence.id, Verdict.WARN, message)


def _words(route: Route) -> str:
    return ", ".join(map(str, route.matchers)) or "(all)"
