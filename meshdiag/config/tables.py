"""Reads a configuration file's tables into a layer: contexts, their nodes, the settings of checks."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from meshdiag.config.addresses import clean_url, node_address
from meshdiag.config.blackbox import read_blackbox
from meshdiag.config.endpoints import read_endpoint, read_path, read_scrape, resolve
from meshdiag.config.layers import CERTIFICATE_KEYS, SOURCES, CheckLayer, ContextSettings, Layer, NodeFiles
from meshdiag.config.logformats import read_log_formats
from meshdiag.config.shapes import CheckShape, ContextShape, FileShape, NodeShape, Reader
from meshdiag.context import CheckSettings
from meshdiag.model import Range

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshdiag.config.files import ConfigFile
    from meshdiag.config.places import Path as KeyPath
    from meshdiag.context import NodeAddress
    from meshdiag.errors import ConfigError

LABEL_KEYS = ("node_label", "role_label", "peer_label")
_LABEL_HINT = "a Prometheus label: letters, digits and underscores, no digit first"


def read_layer(file: ConfigFile) -> tuple[Layer, list[ConfigError]]:
    """What a file says, and every problem in it. What is wrong is left out of the layer."""
    reader = Reader(file)
    candidate = file.candidate
    layer = Layer(candidate.shown, candidate.standing, candidate.path)
    top = reader.read(file.data, (), FileShape)
    if top.default_context is not None:
        layer.default_context = top.default_context
        layer.origins["default_context"] = file.origin(("default_context",))
    for name, table in top.contexts.items():
        if not name or not name.isprintable() or len(name) > 100:
            reader.problem(("contexts", name), "is no name for a context")
            continue
        layer.contexts[name] = _context(reader, table, ("contexts", name))
    layer.checks = _checks(reader, top.checks, ("checks",))
    layer.log_formats = read_log_formats(reader, top.logs)
    return layer, reader.problems


def _context(reader: Reader, table: Mapping[str, Any], path: KeyPath) -> ContextSettings:
    shape = reader.read(table, path, ContextShape)
    settings = ContextSettings(checks=_checks(reader, shape.checks, (*path, "checks")))
    lists = ("logs", "rules", "runbook_paths", *CERTIFICATE_KEYS, "nodes", "node_files")
    for key in ("job", *LABEL_KEYS, "loki_selector", *lists):
        if getattr(shape, key) is not None:
            settings.origins[key] = reader.file.origin((*path, key))
    settings.job = _text(reader, shape.job, (*path, "job"))
    settings.loki_selector = _selector(reader, shape.loki_selector, (*path, "loki_selector"))
    for key in LABEL_KEYS:
        setattr(settings, key, _label(reader, getattr(shape, key), (*path, key)))
    _addresses(reader, shape, settings, path)
    for name in SOURCES:
        if (value := getattr(shape, name)) is not None:
            settings.endpoints[name] = read_endpoint(reader, value, (*path, name))
    if shape.scrape is not None:
        settings.endpoints["scrape"] = read_scrape(reader, shape.scrape, (*path, "scrape"))
    if shape.blackbox is not None:
        settings.blackbox = read_blackbox(reader, shape.blackbox, (*path, "blackbox"))
    return settings


def _addresses(reader: Reader, shape: ContextShape, settings: ContextSettings, path: KeyPath) -> None:
    """The nodes, the logs, the rule files, the runbooks and the certificates of a context."""
    settings.logs = _paths(reader, shape.logs, (*path, "logs"))
    settings.rules = _paths(reader, shape.rules, (*path, "rules"))
    settings.runbook_paths = _paths(reader, shape.runbook_paths, (*path, "runbook_paths"))
    settings.certificates = _paths(reader, shape.certificates, (*path, "certificates"))
    settings.peer_ca_file = read_path(reader, shape.peer_ca_file, (*path, "peer_ca_file"))
    if shape.nodes is not None:
        read = [_node(reader, value, (*path, "nodes", index)) for index, value in enumerate(shape.nodes)]
        settings.nodes = tuple(node for node in read if node is not None)
    if shape.node_files is not None:
        here = (*path, "node_files")
        settings.node_files = tuple(
            NodeFiles(reader.file.candidate.path.parent.absolute(), text, reader.file.origin(here))
            for index, text in enumerate(shape.node_files)
            if _path_text(reader, text, (*here, index))
        )


def _paths(reader: Reader, texts: list[str] | None, path: KeyPath) -> tuple[str, ...] | None:
    """Paths and globs, looked for from the folder of the file."""
    if texts is None:
        return None
    return tuple(
        str(resolve(reader, text)) for index, text in enumerate(texts) if _path_text(reader, text, (*path, index))
    )


def _node(reader: Reader, value: str | dict[str, Any], path: KeyPath) -> NodeAddress | None:
    if isinstance(value, str):
        return _plain_node(reader, value, path)
    shape = reader.read(value, path, NodeShape)
    address = shape.url if shape.url is not None else shape.address
    if address is None or (shape.url is not None and shape.address is not None):
        reader.problem(path, 'needs either url or address ("host:port")')
        return None
    for key in ("name", "role", "instance", "peer"):
        if not getattr(shape, key).isprintable():
            reader.problem((*path, key), "expects text without control characters")
    try:
        node = node_address(address, name=shape.name, role=shape.role, instance=shape.instance, peer=shape.peer)
    except ValueError as error:
        reader.problem((*path, "address" if shape.url is None else "url"), str(error))
        return None
    return replace(node, blackbox=_exporter(reader, shape.blackbox, (*path, "blackbox")))


def _plain_node(reader: Reader, address: str, path: KeyPath) -> NodeAddress | None:
    """A node of which nothing but the address is written."""
    try:
        return node_address(address)
    except ValueError as error:
        reader.problem(path, str(error))
        return None


def _exporter(reader: Reader, text: str, path: KeyPath) -> str:
    """The URL of a node's own blackbox_exporter, "" where none is given."""
    try:
        return clean_url(text) if text else ""
    except ValueError as error:
        reader.problem(path, str(error))
        return ""


def _checks(reader: Reader, tables: Mapping[str, dict[str, Any]], path: KeyPath) -> dict[str, CheckLayer]:
    return {id_: _check(reader, table, (*path, id_)) for id_, table in tables.items()}


def _check(reader: Reader, table: Mapping[str, Any], path: KeyPath) -> CheckLayer:
    options = {key: value for key, value in table.items() if key not in CheckShape.__struct_fields__}
    shape = reader.read(table, path, CheckShape, also=options)
    settings = CheckSettings(
        warn=_bound(reader, shape.warn, (*path, "warn")),
        fail=_bound(reader, shape.fail, (*path, "fail")),
        options=options,
    )
    return CheckLayer(settings, {key: reader.file.origin((*path, key)) for key in table})


def _bound(reader: Reader, value: float | str | None, path: KeyPath) -> float | Range | None:
    if value is None:
        return None
    try:
        bound = Range.parse(value) if isinstance(value, str) else float(value)
    except (ValueError, OverflowError) as error:
        reader.problem(path, f"expects a number or a range: {error}")
        return None
    if isinstance(bound, float) and not math.isfinite(bound):
        reader.problem(path, "expects a finite number")
        return None
    return bound


def _text(reader: Reader, value: str | None, path: KeyPath) -> str | None:
    if value is not None and (not value or not value.isprintable()):
        reader.problem(path, "expects text without control characters, not empty")
        return None
    return value


def _selector(reader: Reader, value: str | None, path: KeyPath) -> str | None:
    if value is not None and not (value.isprintable() and value.startswith("{") and value.endswith("}")):
        reader.problem(path, "is no stream selector of LogQL", 'write it in braces: {job="agent-mesh", env="prod"}')
        return None
    return value


def _label(reader: Reader, value: str | None, path: KeyPath) -> str | None:
    if value is not None and not (value.isascii() and value.isidentifier()):
        reader.problem(path, "is not the name of a label", _LABEL_HINT)
        return None
    return value


def _path_text(reader: Reader, text: str, path: KeyPath) -> bool:
    if not text or "\0" in text:
        reader.problem(path, "expects a path")
        return False
    return True
