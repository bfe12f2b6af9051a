"""Looks at the whole configuration, every context of it, and says everything that is wrong with it."""

from __future__ import annotations

import os
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from meshdiag.config.environment import environment_layer, unknown_variables
from meshdiag.config.layers import SOURCES
from meshdiag.config.loading import choose_context, context_names, read_layers, unknown_checks
from meshdiag.config.merging import merge
from meshdiag.config.words import printable
from meshdiag.context import SecretKind
from meshdiag.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from meshdiag.config.files import Candidate
    from meshdiag.config.loading import Place
    from meshdiag.config.merging import Merged
    from meshdiag.context import Endpoint
    from meshdiag.errors import UsageError


@dataclass(frozen=True, slots=True)
class Examined:
    """What was looked at, what is wrong with it (one line each), and what is worth knowing."""

    files: tuple[Candidate, ...]
    context_names: tuple[str, ...]
    problems: tuple[str, ...]
    notes: tuple[str, ...]


def examine(place: Place, known_checks: Iterable[str], context: str | None = None) -> Examined:
    """Read every file and lay out every context; look whether the files and secrets that they name are there.
    Commands that print a secret are looked for, not run."""
    found = place.candidates()
    layers, errors, notes = read_layers(found)
    problems: list[UsageError] = [*errors, *unknown_checks(layers, known_checks)]
    try:
        layers.append(environment_layer(place.environ, place.folder))
    except ConfigError as error:
        problems.append(error)
    names = context_names(layers)
    try:
        choose_context(layers, names, context, place.environ)
    except ConfigError as error:
        problems.append(error)
    for name in names:
        try:
            merged = merge(name, layers)
        except ConfigError as error:
            problems.append(error)
            continue
        problems += _missing(merged, place.environ)
        notes += [f"context {printable(name)}: {note}" for note in merged.notes]
    odd = unknown_variables(place.environ)
    return Examined(
        files=tuple(one for one in found if one.exists),
        context_names=names,
        problems=tuple(dict.fromkeys(str(problem) for problem in problems)),
        notes=tuple(dict.fromkeys([*notes, *([odd] if odd else [])])),
    )


def _missing(merged: Merged, environ: Mapping[str, str]) -> Iterator[ConfigError]:
    """What the context names and is not there."""
    blackbox = merged.context.blackbox
    if blackbox is not None and blackbox.ca_file is not None and (what := _unreadable(blackbox.ca_file)):
        yield ConfigError(f"{merged.origins['blackbox.ca_file']}: blackbox.ca_file: {what}")
    for name in (*SOURCES, "scrape"):
        endpoint: Endpoint | None = getattr(merged.context, name)
        if endpoint is None:
            continue
        for key in ("ca_file", "cert_file", "key_file"):
            path = getattr(endpoint, key)
            if path is not None and (what := _unreadable(path)):
                yield ConfigError(f"{merged.origins[f'{name}.{key}']}: {name}.{key}: {what}")
        if endpoint.credentials is not None:
            secret = endpoint.credentials.secret
            if what := _no_secret(secret.kind, secret.reference, environ):
                yield ConfigError(f"{merged.origins[f'{name}.credentials']}: {name}: {what}")


def _unreadable(path: Path) -> str | None:
    shown = printable(str(path))
    try:
        if not path.exists():
            return f"{shown} does not exist"
        return None if path.is_file() and os.access(path, os.R_OK) else f"{shown} cannot be read"
    except OSError:
        return f"{shown} cannot be looked at"


def _no_secret(kind: SecretKind, reference: str, environ: Mapping[str, str]) -> str | None:
    if kind is SecretKind.FILE:
        return _unreadable(Path(reference))
    if kind is SecretKind.ENV:
        return None if environ.get(reference) else f"the variable {reference} is not set"
    try:
        words = shlex.split(reference)
    except ValueError:
        return "the command has a quote without its other half"
    if not words or shutil.which(words[0], path=environ.get("PATH")) is None:
        return "the command's program is not on the PATH"
    return None
