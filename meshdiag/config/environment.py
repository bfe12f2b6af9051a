"""What the environment and the flags say of the configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshdiag.config.addresses import clean_url, node_address
from meshdiag.config.layers import SOURCES, ContextSettings, EndpointSettings, Layer, Standing
from meshdiag.config.words import printable
from meshdiag.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PREFIX = "MESHDIAG_"
VARIABLES = {
    "MESHDIAG_CONTEXT": "the context to look at",
    "MESHDIAG_CONFIG": "a configuration file to use and trust",
    **{f"{PREFIX}{source.upper()}_URL": f"the address of {source.capitalize()}, or 'off'" for source in SOURCES},
    "MESHDIAG_JOB": "the scrape job of the mesh",
    "MESHDIAG_NODES": "the nodes, as host:port or URLs with commas between them",
    "MESHDIAG_LOGS": "the mesh's log files, with commas between them",
    "MESHDIAG_DEBUG": "show the traceback of a bug",
}
"""The variables that meshdiag reads, and what for."""

OFF = frozenset({"off", "false", "none"})


def environment_layer(environ: Mapping[str, str], cwd: Path) -> Layer:
    """The layer of the ``MESHDIAG_…`` variables. Raises ``ConfigError`` naming the variable."""
    values = {key: (name, environ.get(name, "")) for key, name in _keys().items()}
    return _layer("the environment", Standing.ENVIRONMENT, values, cwd, ConfigError)


def flags_layer(overrides: Mapping[str, str], cwd: Path) -> Layer:
    """The layer of the flags: ``{"prometheus": url}`` (or ``"prometheus.url"``), ``job``, ``nodes``, ``logs``.
    Raises ``UsageError`` naming the flag."""
    values = {}
    for key, text in overrides.items():
        key = f"{key}.url" if key in SOURCES else key
        if key not in _keys():
            raise KeyError(key)
        values[key] = ("--" + key.replace(".", "-").replace("_", "-"), text)
    return _layer("the flags", Standing.FLAGS, values, cwd, UsageError)


def unknown_variables(environ: Mapping[str, str]) -> str | None:
    """A note on the variables that look like meshdiag's and are not."""
    odd = sorted(name for name in environ if name.startswith(PREFIX) and name not in VARIABLES)
    if not odd:
        return None
    names = ", ".join(printable(name) for name in odd)
    return f"{names}: not read by meshdiag, which knows {', '.join(VARIABLES)}"


def _keys() -> dict[str, str]:
    sources = {f"{source}.url": f"{PREFIX}{source.upper()}_URL" for source in SOURCES}
    return {**sources, "job": "MESHDIAG_JOB", "nodes": "MESHDIAG_NODES", "logs": "MESHDIAG_LOGS"}


def _layer(
    name: str, standing: Standing, values: Mapping[str, tuple[str, str]], cwd: Path, error: type[UsageError]
) -> Layer:
    chosen = ContextSettings()
    for key, (origin, text) in values.items():
        if not text.strip():
            continue
        try:
            _apply(chosen, key, origin, text.strip(), cwd)
        except ValueError as problem:
            raise error(f"{origin} {problem}") from None
    return Layer(name, standing, chosen=chosen)


def _apply(chosen: ContextSettings, key: str, origin: str, text: str, cwd: Path) -> None:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    source, _, field = key.partition(".")
    if field == "url":
        endpoint = EndpointSettings(origins={"url": origin})
        if text.lower() in OFF:
            endpoint.off = True
        else:
            endpoint.url = clean_url(text)
        chosen.endpoints[source] = endpoint
        return
    if key == "nodes":
        chosen.nodes = tuple(node_address(part) for part in parts)
    elif key == "logs":
        chosen.logs = tuple(str(cwd / part) for part in parts)
    elif not text.isprintable():
        raise ValueError("holds control characters")
    else:
        chosen.job = text
    chosen.origins[key] = origin
