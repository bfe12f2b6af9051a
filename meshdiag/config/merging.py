"""Lays the layers of configuration over each other, the weakest first, into one context.

Two rules keep secrets where they belong. What identifies the user to a server (credentials, client certificate,
headers) belongs to the URL it was written for: when a later layer names another server, it is dropped, with a
note. And a file that lies in the working directory cannot make those secrets readable to somebody else by
bringing the authority that vouches for the server.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from meshdiag.config.addresses import is_local, origin_of
from meshdiag.config.blackbox import merge_blackbox
from meshdiag.config.layers import BUILT_IN, CERTIFICATE_KEYS, SOURCES, Standing
from meshdiag.config.nodefiles import Labels, read_node_files
from meshdiag.config.words import key_text
from meshdiag.context import CheckSettings, Context, Endpoint

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from meshdiag.config.layers import CheckLayer, ContextSettings, EndpointSettings, Layer
    from meshdiag.context import NodeAddress

IDENTITY = ("credentials", "cert_file", "key_file", "headers")
"""What tells a server who asks."""

_WORDS = {"credentials": "credentials", "cert_file": "client certificate", "headers": "headers"}


@dataclass
class Merged:
    """A context and where each of its values came from."""

    context: Context
    origins: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def merge(name: str, layers: Sequence[Layer]) -> Merged:
    """The context called ``name``. Raises ``ConfigError`` for node files that cannot be used."""
    merged = Merged(Context(name=name))
    parts = [(layer, settings) for layer in layers for settings in _parts(layer, name)]
    values: dict[str, Any] = {}
    lists = ("logs", "rules", "runbook_paths", *CERTIFICATE_KEYS)
    for key in ("job", "node_label", "role_label", "peer_label", "loki_selector", *lists):
        merged.origins[key] = BUILT_IN
        for _, settings in parts:
            if (value := getattr(settings, key)) is not None:
                values[key] = value
                merged.origins[key] = settings.origins.get(key, "")
    merged.context = replace(merged.context, **values)
    for source in SOURCES:
        _merge_source(merged, source, parts)
    nodes_from = _merge_nodes(merged, parts)
    if nodes_from < 0:
        _forget_built_in_nodes(merged)
    _merge_scrape(merged, parts, nodes_from)
    _merge_blackbox(merged, parts)
    _merge_checks(merged, layers, name)
    _merge_log_formats(merged, layers)
    return merged


def _parts(layer: Layer, name: str) -> Iterator[ContextSettings]:
    if name in layer.contexts:
        yield layer.contexts[name]
    if layer.chosen is not None:
        yield layer.chosen


class _Fold:
    """One endpoint, layer by layer. ``ranks`` holds the place of the layer that each identity came from."""

    def __init__(self, key: str, start: Endpoint | None, merged: Merged) -> None:
        self.key = key
        self.endpoint = start or Endpoint("")
        self.off = start is None
        self.merged = merged
        self.ranks: dict[str, int] = {}
        self.origins = {"url": BUILT_IN, "timeout": BUILT_IN}

    def apply(self, layer: Layer, settings: EndpointSettings, rank: int) -> None:
        """Lay one layer's settings over what there is."""
        if settings.off:
            self.off = True
            self.origins["url"] = settings.origins["url"]
        if settings.url is not None:
            self._move(settings.url, settings.origins["url"])
        if settings.timeout_s is not None:
            self.endpoint = replace(self.endpoint, timeout_s=settings.timeout_s)
            self.origins["timeout"] = settings.origins["timeout"]
        self._vouch(layer, settings)
        self._identify(settings, rank)

    def _move(self, url: str, origin: str) -> None:
        if not self.endpoint.url or origin_of(url) != origin_of(self.endpoint.url):
            self.drop(f"{origin} sets {self.key}.url to another server", self.ranks)
        self.off = False
        self.endpoint = replace(self.endpoint, url=url)
        self.origins["url"] = origin

    def drop(self, why: str, names: Iterable[str]) -> None:
        """Take away what identifies the user, and say so."""
        gone = [name for name in IDENTITY if name in names]
        if not gone:
            return
        places = ", ".join(dict.fromkeys(self.origins.get(name, "") for name in gone))
        words = " and ".join(_WORDS[name] for name in gone if name != "key_file")
        self.merged.notes.append(f"{why}, so the {words} from {places} are not sent there")
        for name in gone:
            self._set(name, {} if name == "headers" else None)
            self.ranks.pop(name, None)
            self.origins.pop(name, None)

    def _vouch(self, layer: Layer, settings: EndpointSettings) -> None:
        if settings.ca_file is None:
            return
        if layer.standing is Standing.FOUND and self.ranks:
            self.merged.notes.append(
                f"{settings.origins['ca_file']}: {self.key}.ca_file is left out: a file in the working directory "
                "does not vouch for a server that gets credentials of yours"
            )
            return
        self.endpoint = replace(self.endpoint, ca_file=settings.ca_file)
        self.origins["ca_file"] = settings.origins["ca_file"]

    def _identify(self, settings: EndpointSettings, rank: int) -> None:
        if settings.cert_file is not None:
            # A certificate and its key go together: half of a pair from another layer fits nothing.
            self.endpoint = replace(self.endpoint, key_file=None)
            self.origins.pop("key_file", None)
            self.ranks.pop("key_file", None)
        for name in IDENTITY:
            if (value := getattr(settings, name)) is not None:
                self._set(name, value)
                self.ranks[name] = rank
                self.origins[name] = settings.origins.get(name, "")

    def _set(self, name: str, value: Any) -> None:
        self.endpoint = replace(self.endpoint, **{name: value})

    def finish(self) -> Endpoint | None:
        """The endpoint, or None for a source that is switched off."""
        if self.off:
            self.origins = {"url": self.origins["url"]}
        self.merged.origins.update({f"{self.key}.{name}": origin for name, origin in self.origins.items()})
        return None if self.off else self.endpoint


def _fold(merged: Merged, key: str, parts: Sequence[tuple[Layer, ContextSettings]]) -> _Fold:
    fold = _Fold(key, getattr(merged.context, key), merged)
    for rank, (layer, settings) in enumerate(parts):
        if key in settings.endpoints:
            fold.apply(layer, settings.endpoints[key], rank)
    return fold


def _merge_source(merged: Merged, source: str, parts: Sequence[tuple[Layer, ContextSettings]]) -> None:
    endpoint = _fold(merged, source, parts).finish()
    merged.context = replace(merged.context, **{source: endpoint})  # type: ignore[arg-type]


def _merge_scrape(merged: Merged, parts: Sequence[tuple[Layer, ContextSettings]], nodes_from: int) -> None:
    """The way the nodes are asked. What identifies the user goes only to nodes of the same layer or a weaker one."""
    fold = _fold(merged, "scrape", parts)
    names = [name for name, rank in fold.ranks.items() if rank < nodes_from]
    fold.drop(f"{merged.origins['nodes']} names other nodes", names)
    fold.origins.pop("url")
    endpoint = fold.finish()
    assert endpoint is not None
    merged.context = replace(merged.context, scrape=endpoint)


def _merge_blackbox(merged: Merged, parts: Sequence[tuple[Layer, ContextSettings]]) -> None:
    said = [settings.blackbox for _, settings in parts if settings.blackbox is not None]
    blackbox, origins = merge_blackbox(merged.context.blackbox, said)
    merged.context = replace(merged.context, blackbox=blackbox)
    merged.origins.update(origins)


def _merge_nodes(merged: Merged, parts: Sequence[tuple[Layer, ContextSettings]]) -> int:
    """The nodes of the strongest layer that names any; the answer is that layer's place, -1 for built-in."""
    merged.origins["nodes"] = BUILT_IN
    for rank in range(len(parts) - 1, -1, -1):
        settings = parts[rank][1]
        if settings.nodes is None and settings.node_files is None:
            continue
        nodes = [*(settings.nodes or ())]
        context = merged.context
        for files in settings.node_files or ():
            read = read_node_files(files, Labels(context.node_label, context.role_label, context.peer_label))
            nodes.extend(read.nodes)
            merged.notes.extend(read.notes)
        merged.origins["nodes"] = settings.origins.get("nodes") or settings.origins.get("node_files", "")
        merged.context = replace(context, nodes=_distinct(nodes, merged), nodes_expected=True)
        return rank
    return -1


def _forget_built_in_nodes(merged: Merged) -> None:
    """The built-in nodes are those of this machine: they say nothing of a mesh whose Prometheus is elsewhere."""
    prometheus = merged.context.prometheus
    if prometheus is None or is_local(prometheus.url):
        return
    merged.origins["nodes"] = f"none: Prometheus is elsewhere ({merged.origins['prometheus.url']})"
    merged.context = replace(merged.context, nodes=())


def _distinct(nodes: Sequence[NodeAddress], merged: Merged) -> tuple[NodeAddress, ...]:
    by_instance: dict[str, NodeAddress] = {}
    for node in nodes:
        if by_instance.setdefault(node.instance, node) != node:
            merged.notes.append(f"{merged.origins['nodes']}: node {node.instance} is listed twice, differently")
    return tuple(by_instance.values())


def _merge_checks(merged: Merged, layers: Sequence[Layer], name: str) -> None:
    """Top-level tables first (every context), then the context's own."""
    checks: dict[str, CheckSettings] = {}
    tables: list[dict[str, CheckLayer]] = [layer.checks for layer in layers]
    tables += [layer.contexts[name].checks for layer in layers if name in layer.contexts]
    for table in tables:
        for id_, said in table.items():
            below = checks.get(id_, CheckSettings())
            checks[id_] = CheckSettings(
                warn=below.warn if said.settings.warn is None else said.settings.warn,
                fail=below.fail if said.settings.fail is None else said.settings.fail,
                options={**below.options, **said.settings.options},
            )
            merged.origins.update({key_text(("checks", id_, key)): origin for key, origin in said.origins.items()})
    merged.context = replace(merged.context, checks=checks)


def _merge_log_formats(merged: Merged, layers: Sequence[Layer]) -> None:
    """Every layer's formats; of two with one name the stronger layer's."""
    formats: dict[str, str] = {}
    for layer in layers:
        for name, said in layer.log_formats.items():
            formats[name] = said.regex
            merged.origins[key_text(("logs", "formats", name, "regex"))] = said.origin
    merged.context = replace(merged.context, log_formats=formats)
