"""Finds the layers of configuration, reads them and chooses the context."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from meshdiag.config.environment import environment_layer, flags_layer, unknown_variables
from meshdiag.config.files import candidates, read_file
from meshdiag.config.layers import BUILT_IN, Standing
from meshdiag.config.merging import merge
from meshdiag.config.words import printable, suggestion
from meshdiag.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from meshdiag.config.files import Candidate
    from meshdiag.config.layers import Layer
    from meshdiag.context import Context

BUILT_IN_CONTEXT = "local"


@dataclass(frozen=True, slots=True)
class Loaded:
    """The configuration in force.

    ``origins`` says for each key (``prometheus.url``, ``checks."capacity.cpu".warn``, ``context`` …) where its
    value came from; keys of ``context`` that are not in it are built in. ``notes`` are for a person to read.
    """

    context: Context
    context_names: tuple[str, ...]
    origins: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    files: tuple[Candidate, ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """From where the configuration is looked at; the defaults are the real ones. See ``load``."""

    config_file: Path | None = None
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    cwd: Path | None = None
    user_file: Path | None = None

    @property
    def folder(self) -> Path:
        """The working directory; where that was deleted, no relative path leads anywhere."""
        try:
            return self.cwd or Path.cwd()
        except OSError:
            return Path("/nonexistent")

    def candidates(self) -> tuple[Candidate, ...]:
        """The files that are looked for, the weakest first."""
        return candidates(self.config_file, self.environ, self.folder, self.user_file)


def load(
    *,
    config_file: Path | None = None,
    context: str | None = None,
    environ: Mapping[str, str] = os.environ,
    cwd: Path | None = None,
    user_file: Path | None = None,
    overrides: Mapping[str, str] | None = None,
    known_checks: Callable[[], Iterable[str]] | None = None,
) -> Loaded:
    """Read the configuration: flags over environment over file over user's file over built-in defaults.

    config_file: what --config gave; it stands in for ./meshdiag.toml. context: what --context gave.
    overrides: what other flags gave, by key: ``{"prometheus": url}`` (or ``"prometheus.url"``), job, nodes, logs.
    known_checks: the ids that exist, asked for only when a file sets any; an unknown one is then an error.
    Raises ``ConfigError`` for the first problem, saying how many more there are; ``UsageError`` for a wrong flag.
    """
    place = Place(config_file, environ, cwd, user_file)
    found = place.candidates()
    layers, problems, notes = read_layers(found)
    if known_checks is not None and any(True for _ in check_tables(layers)):
        problems += unknown_checks(layers, known_checks())
    _raise_first(problems)
    layers.append(environment_layer(environ, place.folder))
    layers.append(flags_layer(overrides or {}, place.folder))
    names = context_names(layers)
    name, origin = choose_context(layers, names, context, environ)
    merged = merge(name, layers)
    odd = unknown_variables(environ)
    return Loaded(
        context=merged.context,
        context_names=names,
        origins={"context": origin, **merged.origins},
        notes=(*notes, *([odd] if odd else []), *merged.notes),
        files=found,
    )


def read_layers(found: Sequence[Candidate]) -> tuple[list[Layer], list[ConfigError], list[str]]:
    """The layers of the files that exist, every problem in them, and notes. A file given by name must exist."""
    layers: list[Layer] = []
    problems: list[ConfigError] = []
    notes: list[str] = []
    for candidate in found:
        if candidate.standing is not Standing.GIVEN and not candidate.exists:
            continue
        from meshdiag.config.tables import read_layer  # the typed reading is not needed where there is no file

        try:
            file = read_file(candidate)
        except ConfigError as error:
            problems.append(error)
            continue
        layer, wrong = read_layer(file)
        layers.append(layer)
        problems.extend(wrong)
        notes.extend(file.notes)
    return layers, problems, notes


def context_names(layers: Sequence[Layer]) -> tuple[str, ...]:
    """Every context, in the order of the files; the built-in one is always there."""
    named = [name for layer in layers for name in layer.contexts]
    return tuple(dict.fromkeys([*named, BUILT_IN_CONTEXT]))


def choose_context(
    layers: Sequence[Layer], names: Sequence[str], context: str | None, environ: Mapping[str, str]
) -> tuple[str, str]:
    """The context's name and what chose it. Raises ``ConfigError`` for one that does not exist."""
    choices = [(context, "--context"), (environ.get("MESHDIAG_CONTEXT"), "MESHDIAG_CONTEXT")]
    choices += [(layer.default_context, layer.origins.get("default_context", "")) for layer in reversed(layers)]
    only = {name: layer for layer in layers for name in layer.contexts}
    if len(only) == 1:
        [(name, layer)] = only.items()
        choices.append((name, f"the only context in {layer.name}"))
    choices.append((BUILT_IN_CONTEXT, BUILT_IN))
    name, origin = next((name, origin) for name, origin in choices if name)
    if name not in names:
        key = "" if origin.startswith(("--", "MESHDIAG")) else " default_context"
        raise ConfigError(f"{origin}:{key} no context is called {printable(name)!r}", hint=suggestion(name, names))
    return name, origin


def check_tables(layers: Sequence[Layer]) -> Iterable[tuple[str, str]]:
    """Each check id that a file sets, and where."""
    for layer in layers:
        for table in (layer.checks, *(settings.checks for settings in layer.contexts.values())):
            for id_, said in table.items():
                yield id_, next(iter(said.origins.values()), layer.name)


def unknown_checks(layers: Sequence[Layer], known: Iterable[str]) -> list[ConfigError]:
    """A problem for each check id that does not exist: a threshold for it would silently do nothing."""
    ids = sorted(known)
    problems = []
    for id_, origin in check_tables(layers):
        if id_ not in ids:
            hint = suggestion(id_, ids)
            hint = hint if hint.startswith("did") else "'meshdiag checks' lists them"
            problems.append(ConfigError(f"{origin}: no check is called {printable(id_[:60])!r}", hint=hint))
    return problems


def _raise_first(problems: Sequence[ConfigError]) -> None:
    if not problems:
        return
    first = problems[0]
    if len(problems) > 1:
        more = f"{len(problems) - 1} more problem{'s' if len(problems) > 2 else ''}: 'meshdiag config check' lists all"
        raise ConfigError(first.message, hint=f"{first.hint}; {more}" if first.hint else more)
    raise first
