"""The configuration file that points meshdiag at a lab."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from meshdiag.lab import Lab


def configuration_text(lab: Lab, logs: Iterable[Path]) -> str:
    """The file as TOML: the lab's servers and nodes; sources that a lab has not are switched off."""
    from meshdiag.lab import CONTEXT, JOB

    servers = {"prometheus": lab.prometheus_url, "alertmanager": lab.alertmanager_url}
    off = [name for name in (*servers, "grafana", "loki", "jaeger") if not servers.get(name)]
    lines = [
        f"default_context = {_text(CONTEXT)}",
        "",
        f"[contexts.{CONTEXT}]",
        f"job = {_text(JOB)}",
        f"logs = [{', '.join(_text(str(path)) for path in logs)}]",
        *(f"{name} = false" for name in off),
    ]
    for name, url in servers.items():
        if url:
            lines += ["", f"[contexts.{CONTEXT}.{name}]", f"url = {_text(url)}"]
    for node in lab.nodes:
        fields = {"url": node.url, "name": node.name, "role": node.role, "instance": node.instance, "peer": node.peer}
        lines += ["", f"[[contexts.{CONTEXT}.nodes]]", *(f"{key} = {_text(value)}" for key, value in fields.items())]
    return "\n".join(lines) + "\n"


def _text(value: str) -> str:
    """A TOML string; for the printable text that stands here JSON writes the same."""
    return json.dumps(value, ensure_ascii=False)
