"""A test alert: sent to Alertmanager on request, and followed to its receivers."""

from __future__ import annotations

import asyncio
import secrets
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from meshdiag.checks import Check, Outcome
from meshdiag.model import Finding, Verdict

if TYPE_CHECKING:
    from meshdiag.checks.inputs import Inputs
    from meshdiag.sources.alertmanager import Alert

NAME: Final = "MeshdiagTestAlert"
LASTS: Final = timedelta(minutes=2)
"""It ends by itself after so long."""
PATIENCE_S: Final = 5.0
LOOK_S: Final = 0.2


class SampleAlert:
    """One alert labelled as a test. ``labels`` are added to its own, so that it takes the way of another."""

    def __init__(self, labels: dict[str, str]) -> None:
        self.labels = {"alertname": NAME, "severity": "info", "test": "true", **labels, "run": secrets.token_hex(4)}
        self.check = Check(
            "alertmanager.test-alert",
            "a test alert arrives and is not held back",
            self._judge,
            ("alertmanager",),
            "monitoring-stack",
            "see what it is silenced or inhibited by, and which route its labels take (amtool config routes test)",
        )

    async def _judge(self, inputs: Inputs) -> Outcome:
        annotations = {"summary": "A test by meshdiag: nobody has to do anything. It ends by itself."}
        await inputs.alertmanager.send(self.labels, annotations, datetime.now(UTC) + LASTS)
        arrived = await self._arrived(inputs)
        shown = f'alertname="{NAME}"'
        evidence = (inputs.alertmanager.evidence("/alerts", (("filter", shown),)),)
        if arrived is None:
            finding = Finding(NAME, Verdict.FAIL, f"it was sent and is not listed after {PATIENCE_S:g} s")
        else:
            finding = judge(arrived)
        return Outcome((finding,), finding.message, evidence)

    async def _arrived(self, inputs: Inputs) -> Alert | None:
        for _ in range(round(PATIENCE_S / LOOK_S)):
            for alert in await inputs.alertmanager.alerts([f'run="{self.labels["run"]}"']):
                if alert.state != "unprocessed":
                    return alert
            await asyncio.sleep(LOOK_S)
        return None


def judge(alert: Alert) -> Finding:
    """Whom it reaches, or what holds it back."""
    to = ", ".join(alert.receivers) or "no receiver"
    labels = {"receivers": to}
    if alert.silenced_by:
        message = f"it arrived and a silence hides it ({', '.join(alert.silenced_by)}): {to} is not told"
        return Finding(NAME, Verdict.WARN, message, labels=labels)
    if alert.inhibited_by:
        return Finding(NAME, Verdict.WARN, f"it arrived and another alert inhibits it: {to} is not told", labels=labels)
    message = f"it arrived and goes to {to}; whether that got it, its people know"
    return Finding(NAME, Verdict.PASS if alert.receivers else Verdict.FAIL, message, labels=labels)
