"""Reads files of nodes in the form that Prometheus' file_sd takes: JSON, a list of targets and labels."""

from __future__ import annotations

import glob
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshdiag.config.addresses import node_address
from meshdiag.config.words import printable
from meshdiag.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from meshdiag.config.layers import NodeFiles
    from meshdiag.context import NodeAddress

MOST_FILES = 1000
LARGEST = 16 << 20
"""Bytes of one file that are read at most."""


@dataclass
class FileNodes:
    """The nodes of some files, and what was odd about them."""

    nodes: list[NodeAddress] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Labels:
    """The labels of the mesh that name a node, its role and its peer address."""

    node: str
    role: str
    peer: str


def read_node_files(files: NodeFiles, labels: Labels) -> FileNodes:
    """The nodes that a glob's files list. Raises ``ConfigError`` for a file that cannot be used."""
    answer = FileNodes()
    pattern = Path(files.pattern)
    paths = sorted(glob.glob(str(_expanded(pattern)), root_dir=files.folder))[: MOST_FILES + 1]  # noqa: PTH207 - pathlib's refuses absolute patterns
    if len(paths) > MOST_FILES:
        raise ConfigError(f"{files.origin}: node_files {files.pattern!r} fits more than {MOST_FILES} files")
    if not paths:
        answer.notes.append(f"{files.origin}: node_files {files.pattern!r} fits no file")
    for path in paths:
        answer.nodes.extend(_read(files.folder / path, files.origin, labels))
    return answer


def _expanded(pattern: Path) -> Path:
    try:
        return pattern.expanduser()
    except RuntimeError:
        return pattern


def _read(path: Path, origin: str, labels: Labels) -> Iterator[NodeAddress]:
    shown = printable(str(path))
    if path.suffix in (".yml", ".yaml"):
        raise ConfigError(f"{origin}: {shown} is YAML; node files are read as JSON", hint="file_sd takes JSON as well")
    groups = _json(path, shown, origin)
    if not isinstance(groups, list):
        raise ConfigError(f"{origin}: {shown} is not a file_sd list of targets and labels")
    for place, group in enumerate(groups, 1):
        try:
            yield from _group(group, labels)
        except (ValueError, TypeError, AttributeError) as error:
            what = str(error) if type(error) is ValueError else "needs targets (a list of host:port) and labels (texts)"
            raise ConfigError(f"{origin}: {shown}: entry {place} {what}") from None


def _json(path: Path, shown: str, origin: str) -> Any:
    try:
        if not path.is_file():  # a pipe or a device would be waited for
            raise ConfigError(f"{origin}: {shown} is not a regular file")
        with path.open("rb") as stream:
            raw = stream.read(LARGEST + 1)
        if len(raw) > LARGEST:
            raise ConfigError(f"{origin}: {shown} is larger than {LARGEST >> 20} MiB")
        return json.loads(raw)
    except OSError as error:
        raise ConfigError(f"{origin}: {shown} cannot be read: {(error.strerror or str(error)).lower()}") from None
    except (ValueError, RecursionError) as error:
        # The content is not quoted: it may be any file that the pattern happens to fit.
        line = f" at line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise ConfigError(f"{origin}: {shown} is not JSON{line}") from None


def _group(group: Mapping[str, Any], labels: Labels) -> Iterator[NodeAddress]:
    known: dict[str, str] = {key: value for key, value in group.get("labels", {}).items() if isinstance(value, str)}
    if not all(text.isprintable() for text in known.values()):
        raise ValueError("has labels with control characters")
    targets = group.get("targets")
    if not isinstance(targets, list) or not all(isinstance(target, str) for target in targets):
        raise TypeError
    for target in targets:
        yield node_address(
            target,
            name=known.get(labels.node, ""),
            role=known.get(labels.role, ""),
            # One label for several targets would make them one node.
            instance=known.get("instance", "") if len(targets) == 1 else "",
            peer=known.get(labels.peer, ""),
            scheme=known.get("__scheme__", "http"),
            page=known.get("__metrics_path__", ""),
        )
