"""Reads what configuration says of the blackbox_exporters beside the nodes, and lays the layers over each other.

They are asked without credentials: their addresses follow from the nodes', which Prometheus may have named.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from meshdiag.config.addresses import clean_url
from meshdiag.config.endpoints import read_path, read_timeout
from meshdiag.config.layers import BUILT_IN, BlackboxSettings
from meshdiag.config.shapes import BlackboxShape
from meshdiag.context import Blackbox

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from meshdiag.config.places import Path as KeyPath
    from meshdiag.config.shapes import Reader

HOST = "{host}"
"""Stands in the URL for the host of each node."""
MOST_PROBES = 100
"""Of one link; it is a look, not a load."""


def read_blackbox(reader: Reader, value: bool | str | Mapping[str, Any], path: KeyPath) -> BlackboxSettings:
    """A context's settings: a table, a URL alone, or false."""
    settings = BlackboxSettings()
    if value is True:
        reader.problem(path, "expects a table, a URL or false, got true")
        return settings
    if value is False:
        return BlackboxSettings(off=True, origins={"url": reader.file.origin(path)})
    if isinstance(value, str):
        settings.url = _url(reader, value, path)
        settings.origins["url"] = reader.file.origin(path)
        return settings
    shape = reader.read(value, path, BlackboxShape)
    for key in BlackboxShape.__struct_fields__:
        if getattr(shape, key) is not None:
            settings.origins[key] = reader.file.origin((*path, key))
    settings.url = None if shape.url is None else _url(reader, shape.url, (*path, "url"))
    settings.module = _module(reader, shape.module, (*path, "module"))
    settings.timeout_s = read_timeout(reader, shape.timeout, (*path, "timeout"))
    settings.count = _count(reader, shape.count, (*path, "count"))
    settings.ca_file = read_path(reader, shape.ca_file, (*path, "ca_file"))
    return settings


def merge_blackbox(
    built_in: Blackbox | None, said: Iterable[BlackboxSettings]
) -> tuple[Blackbox | None, dict[str, str]]:
    """The settings in force and where each came from (``blackbox.url`` …); None where the mesh has no exporters."""
    merged, off = built_in or Blackbox(), built_in is None
    origins = {f"blackbox.{key}": BUILT_IN for key in ("url", "module", "timeout", "count")}
    for one in said:
        off = one.off or (off and one.url is None)
        given = {key: getattr(one, key) for key in ("url", "module", "timeout_s", "count", "ca_file")}
        merged = replace(merged, **{key: value for key, value in given.items() if value is not None})
        origins |= {f"blackbox.{key}": origin for key, origin in one.origins.items()}
    return (None, {"blackbox.url": origins["blackbox.url"]}) if off else (merged, origins)


def _url(reader: Reader, text: str, path: KeyPath) -> str | None:
    try:
        clean_url(text.replace(HOST, "host.example"))
    except ValueError as error:
        reader.problem(path, str(error), f"{HOST} stands for the host of each node: http://{HOST}:9115")
        return None
    return text.rstrip("/")


def _module(reader: Reader, value: str | None, path: KeyPath) -> str | None:
    if value is not None and (not value or not value.isprintable()):
        reader.problem(path, "expects the name of a module of blackbox.yml")
        return None
    return value


def _count(reader: Reader, value: int | None, path: KeyPath) -> int | None:
    if value is not None and not 1 <= value <= MOST_PROBES:
        reader.problem(path, f"expects 1 to {MOST_PROBES}")
        return None
    return value
