"""Configuration files: where they are looked for, and reading one into plain data with the lines of its keys."""

from __future__ import annotations

import os
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshdiag.config.layers import Standing
from meshdiag.config.words import printable
from meshdiag.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshdiag.config.places import Path as KeyPath
    from meshdiag.config.places import Places

FOUND_NAME = "meshdiag.toml"
USER_NAME = "config.toml"
LARGEST = 1 << 20
"""Bytes of a configuration file that are read at most."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A place where a configuration file is looked for. ``shown`` is its path as a person would write it."""

    path: Path
    standing: Standing
    shown: str

    @property
    def exists(self) -> bool:
        """Whether there is something to read. A pipe counts only when the user named it (``--config <(…)``):
        anywhere else it would be waited for."""
        try:
            return self.path.exists() if self.standing is Standing.GIVEN else self.path.is_file()
        except OSError:  # a folder that may not be entered
            return self.standing is not Standing.FOUND


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A file that was read: its data, and where in it things are."""

    candidate: Candidate
    data: Mapping[str, Any]
    places: Places
    notes: tuple[str, ...] = ()

    def origin(self, path: KeyPath) -> str:
        """The place of a key for a person: ``./meshdiag.toml:12``."""
        line = self.places.line(path)
        return f"{self.candidate.shown}:{line}" if line else self.candidate.shown


def user_path(environ: Mapping[str, str]) -> Path | None:
    """Where the user's own file is looked for; None where there is no home folder."""
    folder = environ.get("XDG_CONFIG_HOME", "")
    if folder and Path(folder).is_absolute():
        return Path(folder) / "meshdiag" / USER_NAME
    if sys.platform == "linux":  # what platformdirs says there too, and its import costs every command 5 ms
        home = Path(os.path.expanduser("~"))  # noqa: PTH111 - Path.home() raises where there is none
        return home / ".config" / "meshdiag" / USER_NAME if home.is_absolute() else None
    from platformdirs import user_config_path

    try:
        return user_config_path("meshdiag", appauthor=False) / USER_NAME
    except RuntimeError:
        return None


def candidates(
    config_file: Path | None, environ: Mapping[str, str], cwd: Path, user_file: Path | None
) -> tuple[Candidate, ...]:
    """The files that make up the configuration, the weakest first, whether they exist or not.

    A file given by --config or MESHDIAG_CONFIG stands in for the one in the working directory. The same file
    is never read twice.
    """
    user = user_file or user_path(environ)
    found: list[Candidate] = []
    if user is not None:
        found.append(Candidate(user, Standing.USER, shown_path(user, cwd)))
    given = config_file or (Path(name).expanduser() if (name := environ.get("MESHDIAG_CONFIG", "")) else None)
    top = cwd / (given or FOUND_NAME)
    if not any(_same(top, one.path) for one in found):
        found.append(Candidate(top, Standing.GIVEN if given else Standing.FOUND, shown_path(top, cwd)))
    return tuple(found)


def shown_path(path: Path, cwd: Path) -> str:
    """A path as a person would write it: from the working directory or from home, without control characters."""
    if path.is_relative_to(cwd):
        text = f"./{path.relative_to(cwd)}"
    else:
        home = Path(os.path.expanduser("~"))  # noqa: PTH111 - Path.home() raises where there is none
        inside = home.is_absolute() and home != Path("/") and path.is_relative_to(home)
        text = f"~/{path.relative_to(home)}" if inside else str(path)
    return printable(text)


def read_file(candidate: Candidate) -> ConfigFile:
    """Read a file. Raises ``ConfigError`` for one that cannot be read or is no TOML."""
    import tomllib

    from meshdiag.config.places import Places

    notes, raw = _read(candidate)
    try:
        text = raw.decode("utf-8-sig").replace("\r\n", "\n")
        data = tomllib.loads(text)
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ConfigError(f"{candidate.shown}:{line}: not UTF-8 text") from None
    except RecursionError:
        raise ConfigError(f"{candidate.shown}: nested too deeply to be a configuration") from None
    except ValueError as error:  # TOMLDecodeError, and numbers that are too long
        raise ConfigError(f"{candidate.shown}: not valid TOML: {printable(str(error))}") from None
    return ConfigFile(candidate, data, Places(text), notes)


def _read(candidate: Candidate) -> tuple[tuple[str, ...], bytes]:
    try:
        with candidate.path.open("rb") as stream:
            state = os.fstat(stream.fileno())
            raw = stream.read(LARGEST + 1)
    except OSError as error:
        raise ConfigError(f"{candidate.shown}: cannot be read: {(error.strerror or str(error)).lower()}") from None
    if len(raw) > LARGEST:
        raise ConfigError(f"{candidate.shown}: larger than {LARGEST >> 20} MiB, which is no configuration")
    return _notes(candidate, state), raw


def _notes(candidate: Candidate, state: os.stat_result) -> tuple[str, ...]:
    notes = []
    if stat.S_ISREG(state.st_mode) and state.st_mode & stat.S_IWOTH:
        notes.append(f"{candidate.shown} can be written by everybody on this machine; chmod o-w {candidate.shown}")
    foreign = state.st_uid not in (os.geteuid(), 0)
    if foreign and candidate.standing is not Standing.GIVEN:
        notes.append(f"{candidate.shown} belongs to another user (uid {state.st_uid})")
    return tuple(notes)


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return one == other
