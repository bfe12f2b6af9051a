"""The configuration in force as a list of settings, each with its origin. Secrets are shown as references."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meshdiag.config.layers import BUILT_IN, SOURCES
from meshdiag.config.words import key_text, quoted
from meshdiag.durations import format_duration
from meshdiag.model import Range

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from meshdiag.config.loading import Loaded
    from meshdiag.context import Blackbox, Credentials, Endpoint, NodeAddress

HARMLESS_HEADERS = frozenset(
    {"x-scope-orgid", "thanos-tenant", "user-agent", "accept", "host", "accountid", "projectid"}
)
"""Headers that name a tenant or a program. The value of any other may be a key, and is not shown."""
MASK = "(set, not shown)"


@dataclass(frozen=True, slots=True)
class Setting:
    """One value: its key in a context's table, the value as TOML or JSON can hold it, and where it came from."""

    key: str
    value: Any
    origin: str

    @property
    def text(self) -> str:
        """The value for a person."""
        if isinstance(self.value, dict):
            return ", ".join(f"{key} = {value}" for key, value in self.value.items())
        if isinstance(self.value, float):
            return f"{self.value:.10g}"
        if not isinstance(self.value, list):
            return "off" if self.value is False else str(self.value)
        texts = [_node_text(one) if isinstance(one, dict) else str(one) for one in self.value]
        more = f" … ({len(texts)})" if len(texts) > 4 else ""
        return ", ".join(texts[:4]) + more if texts else "none"


def settings(loaded: Loaded) -> list[Setting]:
    """Every value in force, built-in ones included, in the order in which a file would hold them."""
    context, origins = loaded.context, loaded.origins
    found = [Setting("context", context.name, origins["context"])]
    found += [
        Setting(key, getattr(context, key), origins[key]) for key in ("job", "node_label", "role_label", "peer_label")
    ]
    if context.loki_selector:
        found.append(Setting("loki_selector", context.loki_selector, origins["loki_selector"]))
    found.append(Setting("logs", list(context.logs), origins["logs"]))
    if context.rules:
        found.append(Setting("rules", list(context.rules), origins["rules"]))
    if context.runbook_paths:
        found.append(Setting("runbook_paths", list(context.runbook_paths), origins["runbook_paths"]))
    if context.certificates:
        found.append(Setting("certificates", list(context.certificates), origins["certificates"]))
    if context.peer_ca_file is not None:
        found.append(Setting("peer_ca_file", str(context.peer_ca_file), origins["peer_ca_file"]))
    found.append(Setting("nodes", [_node(node) for node in context.nodes], origins["nodes"]))
    for source in SOURCES:
        found += _endpoint(source, getattr(context, source), origins)
    found += [one for one in _endpoint("scrape", context.scrape, origins) if one.key != "scrape.url"]
    found += _blackbox(context.blackbox, origins)
    for id_, regex in context.log_formats.items():
        name = key_text(("logs", "formats", id_, "regex"))
        found.append(Setting(name, regex, origins.get(name, BUILT_IN)))
    for id_, said in context.checks.items():
        values = {"warn": _bound(said.warn), "fail": _bound(said.fail), **said.options}
        for key, value in values.items():
            if value is not None:
                name = key_text(("checks", id_, key))
                found.append(Setting(name, value, origins.get(name, BUILT_IN)))
    return found


def as_toml(loaded: Loaded) -> str:
    """The same as a configuration file, each line with its origin. What is not shown is left out."""
    context = loaded.context
    table = key_text(("contexts", context.name))
    lines = [f"default_context = {_toml(context.name)}  # {loaded.origins['context']}", "", f"[{table}]"]
    later: list[str] = []
    formats: list[str] = []
    for one in settings(loaded)[1:]:
        if one.value is None:
            continue
        if one.key.startswith("logs.formats."):
            formats += ["", f"[{_split_key(one.key)[0]}]", f"regex = {_toml(one.value)}  # {one.origin}"]
            continue
        head, dot, _ = one.key.partition(".")
        if dot:
            later += _in_table(table, one, later)
        elif one.value is False:
            lines.append(f"{head} = false  # {one.origin}")
        else:
            lines.append(f"{one.key} = {_toml(one.value)}  # {one.origin}")
    return "\n".join([*lines, *later, *formats]) + "\n"


def _in_table(table: str, one: Setting, before: list[str]) -> list[str]:
    """The line of a setting inside a table of its own, with the table's head when it is the first one there."""
    where, _, key = _split_key(one.key)
    head = f"[{table}.{where}]"
    value = (
        {name: text for name, text in one.value.items() if text != MASK} if isinstance(one.value, dict) else one.value
    )
    return [*([] if head in before else ["", head]), f"{key} = {_toml(value)}  # {one.origin}"]


def _split_key(key: str) -> tuple[str, str, str]:
    """A dotted key cut before its last part, which may be quoted."""
    last = re.search(r'\.("(?:\\.|[^"\\])*"|[A-Za-z0-9_-]+)$', key)
    assert last is not None
    return key[: last.start()], ".", last.group(1)


def _endpoint(name: str, endpoint: Endpoint | None, origins: Mapping[str, str]) -> Iterator[Setting]:
    if endpoint is None:
        yield Setting(name, False, origins[f"{name}.url"])
        return
    values: dict[str, Any] = {"url": endpoint.url, "timeout": format_duration(endpoint.timeout_s)}
    for key in ("ca_file", "cert_file", "key_file"):
        if (path := getattr(endpoint, key)) is not None:
            values[key] = str(path)
    if endpoint.headers:
        values["headers"] = {
            header: value if header.lower() in HARMLESS_HEADERS else MASK for header, value in endpoint.headers.items()
        }
    for key, value in values.items():
        yield Setting(f"{name}.{key}", value, origins.get(f"{name}.{key}", BUILT_IN))
    if endpoint.credentials is not None:
        yield from _credentials(name, endpoint.credentials, origins.get(f"{name}.credentials", BUILT_IN))


def _blackbox(blackbox: Blackbox | None, origins: Mapping[str, str]) -> Iterator[Setting]:
    if blackbox is None:
        yield Setting("blackbox", False, origins["blackbox.url"])
        return
    values: dict[str, Any] = {"url": blackbox.url, "module": blackbox.module}
    values |= {"timeout": format_duration(blackbox.timeout_s), "count": blackbox.count}
    if blackbox.ca_file is not None:
        values["ca_file"] = str(blackbox.ca_file)
    for key, value in values.items():
        yield Setting(f"blackbox.{key}", value, origins.get(f"blackbox.{key}", BUILT_IN))


def _credentials(name: str, credentials: Credentials, origin: str) -> Iterator[Setting]:
    family = "token"
    if credentials.username is not None:
        family = "password"
        yield Setting(f"{name}.username", credentials.username, origin)
    yield Setting(f"{name}.{family}_{credentials.secret.kind}", credentials.secret.reference, origin)


def _node(node: NodeAddress) -> dict[str, str]:
    keys = ("url", "instance", "name", "role", "peer", "blackbox")
    return {key: value for key in keys if (value := getattr(node, key))}


def _node_text(node: Mapping[str, str]) -> str:
    return " ".join(part for part in (node.get("name", ""), node["instance"]) if part)


def _bound(bound: float | Range | None) -> float | str | None:
    return str(bound) if isinstance(bound, Range) else bound


def _toml(value: Any) -> str:
    """A value as TOML writes it. JSON's texts and lists are TOML's as well, its numbers too."""
    if isinstance(value, dict):
        pairs = ", ".join(f"{key_text((str(key),))} = {_toml(one)}" for key, one in value.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(one) for one in value) + "]"
    if isinstance(value, bool | int | float):
        return str(value).lower()
    return quoted(str(value))
