"""Which containers are meant: by name, id, glob, label or compose service."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from meshdiag.sources.http import excerpt
from meshdiag.sources.http.fields import rows, text, text_map
from meshdiag.spelling import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

SERVICE = "com.docker.compose.service"
PROJECT = "com.docker.compose.project"
_GLOB = re.compile(r"[*?\[]")
_ID = re.compile(r"[0-9a-f]{4,64}")


@dataclass(frozen=True, slots=True)
class Container:
    """A container as the list of them has it. ``name`` is the shortest of its names, without the slash."""

    id: str
    name: str
    state: str = ""
    image: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def service(self) -> str:
        """Its compose service, empty where it has none."""
        return self.labels.get(SERVICE, "")


def read_containers(body: Any) -> list[Container]:
    """The answer of /containers/json. Raises ``TypeError``, ``ValueError``, ``KeyError`` for another shape."""
    return [
        Container(
            id=one["Id"],
            name=excerpt(
                min((str(name) for name in rows(one.get("Names"))), key=len, default=one["Id"][:12]).lstrip("/")
            ),
            state=text(one, "State"),
            image=text(one, "Image"),
            labels=text_map(one.get("Labels")),
        )
        for one in rows(body)
    ]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the user named; see ``meshdiag.sources.docker``. Empty: all."""

    words: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    services: tuple[str, ...] = ()

    @property
    def phrase(self) -> str:
        """As a part of a sentence: ``mesh-*, label app=mesh``."""
        named = [*self.words, *(f"label {one}" for one in self.labels), *(f"service {one}" for one in self.services)]
        return ", ".join(named)

    def choose(self, containers: Sequence[Container]) -> list[Container]:
        """Those that are meant, each once, in the list's order."""
        fit = [one for one in containers if self._labelled(one)]
        if not self.words:
            return fit
        chosen = {one.id for word in self.words for one in _named(word, fit)}
        return [one for one in fit if one.id in chosen]

    def missing(self, containers: Sequence[Container]) -> list[str]:
        """The words that name no container."""
        fit = [one for one in containers if self._labelled(one)]
        return [word for word in self.words if not _named(word, fit)]

    def _labelled(self, one: Container) -> bool:
        return all(_bears(one, label) for label in self.labels) and (
            not self.services or any(fnmatchcase(one.service, service) for service in self.services)
        )


def near(word: str, containers: Iterable[Container]) -> str:
    """The question what a word was meant to be; else which containers there are."""
    names = sorted({one.name for one in containers} | {excerpt(one.service) for one in containers if one.service})
    listed = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
    return did_you_mean(word, names, f"there are {listed}" if names else "no container is there at all")


def _bears(one: Container, label: str) -> bool:
    key, equals, value = label.partition("=")
    return one.labels.get(key) == value if equals else key in one.labels


def _named(word: str, containers: Sequence[Container]) -> list[Container]:
    """The containers that one word means: the name says it, else the id, else the compose service."""
    name = word.removeprefix("/")
    if _GLOB.search(name):
        return [one for one in containers if fnmatchcase(one.name, name)]
    return (
        [one for one in containers if one.name == name]
        or ([one for one in containers if one.id.startswith(name)] if _ID.fullmatch(name) else [])
        or [one for one in containers if one.service == name]
    )
