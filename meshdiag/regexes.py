"""Regular expressions that are compiled when they are first used.

Compiling one takes up to a millisecond, and modules know many of which a run needs few: of every way to write a time,
those that a log has. The module imports nothing from the rest of the package.
"""

from __future__ import annotations

import re
from typing import Any, AnyStr, cast


class _Late:
    """Stands for a compiled expression: what is asked of it for the first time, it asks that."""

    def __init__(self, *arguments: Any) -> None:
        self._arguments = arguments

    def __getattr__(self, name: str) -> Any:
        value = getattr(re.compile(*self._arguments), name)
        setattr(self, name, value)  # found without this method from now on
        return value


def when_used(pattern: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """What ``re.compile`` gives, compiled once a method or attribute of it is asked for."""
    return cast("re.Pattern[AnyStr]", _Late(pattern, flags))
