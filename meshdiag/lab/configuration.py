"""The configuration file that points meshdiag at a lab."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from meshdiag.lab import Lab
    from meshdiag.lab.nodes import ServedNode


MANY = 100
"""From here on the nodes stand in a targets file of their own, as they would in a mesh of that size."""


def write_configuration(lab: Lab, logs: Iterable[Path]) -> None:
    """Write the file: the lab's servers and nodes; sources that a lab has not are switched off."""
    from meshdiag.lab import CONTEXT

    text = _settings(lab, logs)
    if len(lab.nodes) < MANY:
        text += "\n".join(_node_tables(lab.nodes))
    else:
        targets = lab.directory / "targets.json"
        targets.write_text(json.dumps([_target_group(node) for node in lab.nodes]), encoding="utf-8")
        if exporter := lab.nodes[0].blackbox:  # one for all: so many nodes have no machines of their own
            text += f"\n[contexts.{CONTEXT}.blackbox]\nurl = {_text(exporter)}\n"
        text = text.replace("\nlogs = ", f"\nnode_files = [{_text(str(targets))}]\nlogs = ", 1)
    lab.config_file.write_text(text, encoding="utf-8")


def _settings(lab: Lab, logs: Iterable[Path]) -> str:
    from meshdiag.lab import CONTEXT, JOB

    servers = {"prometheus": lab.prometheus_url, "alertmanager": lab.alertmanager_url, "grafana": lab.grafana_url}
    off = [name for name in (*servers, "loki", "jaeger") if not servers.get(name)]
    lines = [
        f"default_context = {_text(CONTEXT)}",
        "",
        f"[contexts.{CONTEXT}]",
        f"job = {_text(JOB)}",
        f"logs = [{', '.join(_text(str(path)) for path in logs)}]",
        f"peer_ca_file = {_text(str(lab.ca_file))}",
        *(f"{name} = false" for name in off),
    ]
    for name, url in servers.items():
        if url:
            lines += ["", f"[contexts.{CONTEXT}.{name}]", f"url = {_text(url)}"]
    return "\n".join(lines) + "\n"


def _node_tables(nodes: Iterable[ServedNode]) -> Iterator[str]:
    from meshdiag.lab import CONTEXT

    for node in nodes:
        fields = {"url": node.url, "name": node.name, "role": node.role, "instance": node.instance, "peer": node.peer}
        if node.blackbox:
            fields["blackbox"] = node.blackbox
        yield f"\n[[contexts.{CONTEXT}.nodes]]"
        yield from (f"{key} = {_text(value)}" for key, value in fields.items())
    yield ""


def _target_group(node: ServedNode) -> dict[str, object]:
    """A node as an entry of Prometheus' file_sd format."""
    return {"targets": [node.instance], "labels": {"node": node.name, "role": node.role, "peer_address": node.peer}}


def _text(value: str) -> str:
    """A TOML string; for the printable text that stands here JSON writes the same."""
    return json.dumps(value, ensure_ascii=False)
