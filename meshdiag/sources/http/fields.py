"""Fields of JSON that a server sent: read with tolerance for what is missing and none for what is of another kind.

Each raises ``TypeError`` or ``ValueError`` for a value of another kind; whoever reads turns that into a
``SourceError``.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_FRACTION = re.compile(r"(\.\d{6})\d+")


def rows(value: Any) -> list[Any]:
    """A list, where null stands for an empty one."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise TypeError(f"{type(value).__name__} instead of a list")
    return value


def text(one: Mapping[str, Any], key: str) -> str:
    """A string, "" where it is missing."""
    value = one.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise TypeError(f"{key} is not text")
    return value


def text_map(value: Any) -> dict[str, str]:
    """Labels or annotations."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise TypeError("labels are not an object")
    "".join(value.values())
    return value


def number(value: Any, default: float = math.nan) -> float:
    """A number or the text of one ("0e+00"); ``default`` where it is missing."""
    return default if value is None else float(value)


def moment(value: Any) -> datetime | None:
    """A time in RFC 3339, to microseconds, in UTC; None for "never" (year 1) or where it is missing."""
    if value is None or value == "":
        return None
    time = datetime.fromisoformat(_FRACTION.sub(r"\1", value))
    time = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    return None if time.year < 1970 else time
