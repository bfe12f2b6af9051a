"""Dashboards in JSON files, as Grafana exports them and as they are provisioned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from meshdiag.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

MOST_BYTES: Final = 32 * 2**20
MOST_FILES: Final = 2000
SHAPES: Final = ("panels", "rows", "elements", "templating")
"""Keys of which a dashboard has at least one."""


@dataclass(frozen=True, slots=True)
class Found:
    """A dashboard's JSON and where it is from; ``body`` is None where it cannot be read, and ``trouble`` says why."""

    place: str
    body: Mapping[str, Any] | None
    trouble: str = ""


def read_boards(path: Path) -> Iterator[Found]:
    """The dashboard of a file, or those of a folder and what is below it, by name; other JSON in a folder is passed
    over. Raises ``UsageError`` where there is nothing of that name, or no dashboard below it."""
    if not path.is_dir():
        yield read_board(path)
        return
    several = 0
    for file in sorted(path.rglob("*.json"))[:MOST_FILES]:
        found = read_board(file)
        if found.body is None or _is_board(found.body):
            several += 1
            yield found
    if not several:
        raise UsageError(f"there is no dashboard in {path}", hint="give a folder of JSON files, or a file")


def read_board(path: Path) -> Found:
    """The dashboard of a file. Raises ``UsageError`` where there is no such file."""
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}") from error
    if len(content) > MOST_BYTES:
        return Found(str(path), None, f"longer than {MOST_BYTES // 2**20} MiB")
    try:
        body = orjson.loads(content.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as error:
        return Found(str(path), None, f"not JSON: {error}")
    if isinstance(body, dict) and isinstance(body.get("dashboard"), dict):
        body = body["dashboard"]  # as the API answers and takes it
    if not isinstance(body, dict):
        return Found(str(path), None, "its JSON is no dashboard")
    return Found(str(path), body)


def _is_board(body: Mapping[str, Any]) -> bool:
    spec = body.get("spec")
    return any(key in body for key in SHAPES) or (isinstance(spec, dict) and any(key in spec for key in SHAPES))
