"""Targets as people give them: on the command line, a line each in a file, or as Prometheus' file_sd takes them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshdiag.errors import UsageError
from meshdiag.sources.probing.answers import Target
from meshdiag.sources.probing.http import read_url
from meshdiag.sources.probing.looking import host_and_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from meshdiag.context import Context

LARGEST = 16 << 20
"""Bytes of one file that are read at most."""
STDIN = "-"


def typed_target(text: str, name: str = "", role: str = "") -> Target:
    """A target of the command line: ``HOST``, ``HOST:PORT`` or an http(s) URL. Raises ``UsageError``."""
    try:
        if not text.isprintable():
            raise ValueError(f"{text!r} holds control characters")
        if "://" in text:
            return Target(read_url(text).address, name, role, url=_without_user(text))
        host_and_port(text)
    except ValueError as error:
        raise UsageError(str(error), hint="a target is HOST, HOST:PORT or an http(s) URL") from None
    return Target(text.strip(), name, role)


def _without_user(url: str) -> str:
    """A URL without a user name and password, which are neither sent nor shown."""
    scheme, _, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}"


def read_targets(path: str, context: Context) -> list[Target]:
    """The targets in a file, or in stdin for ``-``. Raises ``UsageError``."""
    raw = _read(path)
    shown = "stdin" if path == STDIN else repr(path)[1:-1]
    text = raw.decode("utf-8-sig", "replace")
    if text.lstrip()[:1] in ("[", "{"):
        found = list(_from_json(text, shown, context))
    else:
        found = [one for number, line in enumerate(text.splitlines(), 1) for one in _from_line(line, shown, number)]
    if not found:
        raise UsageError(f"{shown} names no target", hint="one a line: HOST:PORT NAME ROLE, the last two optional")
    return found


def _read(path: str) -> bytes:
    try:
        if path == STDIN:
            raw = sys.stdin.buffer.read(LARGEST + 1)
        else:
            with Path(path).open("rb") as stream:
                raw = stream.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"{path!r} cannot be read: {reason.lower()}") from None
    if len(raw) > LARGEST:
        raise UsageError(f"{path!r} is larger than {LARGEST >> 20} MiB")
    return raw


def _from_line(line: str, shown: str, number: int) -> Iterator[Target]:
    words = line.partition("#")[0].split() if "://" not in line else line.split()
    if not words or words[0].startswith("#"):
        return
    try:
        yield typed_target(words[0], *words[1:3])
    except UsageError as error:
        raise UsageError(f"{shown}: line {number}: {error.message}", hint=error.hint) from None


def _from_json(text: str, shown: str, context: Context) -> Iterator[Target]:
    """Prometheus' file_sd: a list of groups, each with ``targets`` and ``labels``."""
    try:
        groups = json.loads(text)
    except (ValueError, RecursionError) as error:
        line = f" at line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise UsageError(f"{shown} is not JSON{line}") from None
    for place, group in enumerate(groups if isinstance(groups, list) else [groups], 1):
        targets = group.get("targets") if isinstance(group, dict) else None
        labels = group.get("labels", {}) if isinstance(group, dict) else None
        if not isinstance(targets, list) or not isinstance(labels, dict):
            raise UsageError(f"{shown}: entry {place} needs targets (a list of host:port) and labels (texts)")
        for target in targets:
            yield _labelled(str(target), labels, len(targets) == 1, context)


def _labelled(text: str, labels: Mapping[str, Any], alone: bool, context: Context) -> Target:
    """A target with what its labels say. One peer address for several targets would make them one peer."""
    name, role, peer = (
        str(labels.get(key, "")) for key in (context.node_label, context.role_label, context.peer_label)
    )
    found = typed_target(peer if peer and alone else text, name, role)
    instance = str(labels.get("instance", "")) if alone else ""
    return Target(found.address, name, role, instance or text, found.url)
