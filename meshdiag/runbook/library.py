"""The runbooks: where they lie, what they are called, what stands in their front matter.

A page begins with a few lines between two ``---``: ``key: value`` or ``key: [one, two]``, nothing else of YAML.
What follows is Markdown for a person.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from meshdiag.errors import ConfigError, UsageError
from meshdiag.spelling import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

PAGE_BYTES = 1024 * 1024
"""A larger file is not a page."""

SEVERITIES = ("critical", "warning", "info")
FENCE = "---"
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_KEYS = {"title": str, "alerts": tuple, "checks": tuple, "severity": str, "owner": str}


@dataclass(frozen=True, slots=True)
class Page:
    """One runbook. ``alerts``: the alert rules it answers; ``checks``: the ids of the checks that point to it;
    ``text``: the Markdown under the front matter, which begins at line ``first_line`` of the file."""

    name: str
    path: Path
    title: str
    text: str
    first_line: int
    alerts: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    severity: str = "warning"
    owner: str = ""
    key_lines: Mapping[str, int] = field(default_factory=dict)
    """Where each key of the front matter stands in the file."""


def folder() -> Path:
    """Where the runbooks lie: in the installed package, or beside it in a source tree.

    Raises ``UsageError`` when neither is there.
    """
    package = Path(__file__).resolve().parent.parent
    for place in (package / "runbooks", package.parent / "runbooks"):
        if place.is_dir():
            return place
    raise UsageError(f"the runbooks are missing beside {package}", hint="install meshdiag again")


def names(place: Path | None = None) -> tuple[str, ...]:
    """The names of all runbooks, sorted."""
    return tuple(sorted(path.stem for path in (place or folder()).glob("*.md") if _NAME.fullmatch(path.stem)))


def read(name: str, place: Path | None = None) -> Page:
    """The runbook of that name. Raises ``UsageError`` when there is none, ``ConfigError`` when it cannot be used."""
    place = place or folder()
    path = place / f"{name}.md"
    if not _NAME.fullmatch(name) or not path.is_file():
        known = names(place)
        hint = did_you_mean(name, known, f"there are {', '.join(known) or 'none'}", cutoff=0.5)
        raise UsageError(f"no runbook is called {name!r}", hint=hint)
    return parse(name, path, _load(path))


def shelf(teams: Sequence[Path] = ()) -> dict[str, Path]:
    """Every page by its name: those of the teams' folders, the first of them first, then those that come with
    meshdiag; of two with one name the earlier is meant. Raises ``UsageError``."""
    found: dict[str, Path] = {}
    for place in (*teams, folder()):
        for name in names(place):
            found.setdefault(name, place / f"{name}.md")
    return found


def find(word: str, teams: Sequence[Path] = ()) -> Page:
    """The page that a word means: its name, the id of a check, or an alert that it answers; a team's own before those
    that come with meshdiag. Raises ``UsageError``, ``ConfigError``."""
    known = shelf(teams)
    if word in known:
        return open_file(known[word])
    pages = readable(known.values())
    for page in pages:
        if word in page.checks or word in page.alerts:
            return page
    words = [*known, *(one for page in pages for one in (*page.checks, *page.alerts))]
    hint = did_you_mean(word, words, "'meshdiag runbook list' lists them", cutoff=0.5)
    raise UsageError(f"no runbook, check or alert is called {word!r}", hint=hint)


def readable(files: Iterable[Path]) -> list[Page]:
    """The pages among these that can be read: one that is broken does not hide the others."""
    pages = []
    for path in files:
        with contextlib.suppress(ConfigError):
            pages.append(open_file(path))
    return pages


def is_name(text: str) -> bool:
    """Whether a page may be called so."""
    return len(text) <= 100 and bool(_NAME.fullmatch(text))


def open_file(path: Path) -> Page:
    """The page in a file, wherever it lies. Raises ``ConfigError`` for one that cannot be used."""
    return parse(path.stem, path, _load(path))


def _load(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(PAGE_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}") from error
    if len(raw) > PAGE_BYTES:
        raise ConfigError(f"{path} is larger than {PAGE_BYTES // 1024} KiB, too large for a runbook")
    try:
        return raw.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text (byte {error.start})", hint="save it as UTF-8") from error


def parse(name: str, path: Path, source: str) -> Page:
    """A page from its text. Raises ``ConfigError`` naming the file, the line and what was expected."""
    lines = source.split("\n")
    if lines[0].rstrip() != FENCE:
        raise ConfigError(f"{path}, line 1: expected {FENCE!r} and the front matter (title, alerts, checks)")
    end = next((place for place, line in enumerate(lines) if place and line.rstrip() == FENCE), None)
    if end is None:
        raise ConfigError(f"{path}: the front matter that line 1 opens is never closed", hint=f"add a line {FENCE!r}")
    matter = _front_matter(path, lines[1:end])
    if not matter.get("title"):
        raise ConfigError(f"{path}: the front matter has no title", hint="add a line 'title: …'")
    severity = str(matter.get("severity", "warning"))
    if severity not in SEVERITIES:
        raise ConfigError(f"{path}: severity is {severity!r}, expected {', '.join(SEVERITIES)}")
    text = "\n".join(lines[end + 1 :])
    return Page(
        name,
        path,
        title=str(matter["title"]),
        text=text,
        first_line=end + 2,
        alerts=tuple(matter.get("alerts", ())),
        checks=tuple(matter.get("checks", ())),
        severity=severity,
        owner=str(matter.get("owner", "")),
        key_lines={line.partition(":")[0].strip(): number for number, line in enumerate(lines[1:end], start=2)},
    )


def _front_matter(path: Path, lines: list[str]) -> dict[str, str | tuple[str, ...]]:
    """The keys and values of the front matter. Raises ``ConfigError``."""
    found: dict[str, str | tuple[str, ...]] = {}
    for number, line in enumerate(lines, start=2):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        key, colon, value = (part.strip() for part in line.partition(":"))
        if not colon or key not in _KEYS:
            raise ConfigError(f"{path}, line {number}: {line.strip()[:60]!r} is none of {', '.join(_KEYS)}")
        if key in found:
            raise ConfigError(f"{path}, line {number}: {key} is given twice")
        found[key] = _VALUES[_KEYS[key]](f"{path}, line {number}: {key}", value)
    return found


def _scalar(place: str, value: str) -> str:
    if value.startswith(("[", "{", "|", ">", "&", "*", "!")):
        raise ConfigError(f"{place} is one value on one line, not {value[:40]!r}")
    return _bare(value)


def _list(place: str, value: str) -> tuple[str, ...]:
    if not (value.startswith("[") and value.endswith("]")):
        raise ConfigError(f"{place} is a list on one line, as in [one, two], not {value[:40]!r}")
    return tuple(_bare(part) for part in value[1:-1].split(",") if part.strip())


def _bare(value: str) -> str:
    value = value.strip()
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
        return value[1:-1]
    return value


_VALUES: dict[type, Callable[[str, str], str | tuple[str, ...]]] = {str: _scalar, tuple: _list}
