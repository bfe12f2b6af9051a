"""Reads ``[logs.formats.NAME]``: how log lines that meshdiag does not know are read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from meshdiag.config.layers import LogFormat
from meshdiag.config.shapes import FormatShape, LogsShape

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshdiag.config.places import Path as KeyPath
    from meshdiag.config.shapes import Reader

KNOWN_GROUPS = ("time", "level", "component", "node", "message")
LONGEST = 4096
"""Characters of a regular expression."""
GROUPS_HINT = f"name what it finds: (?P<time>...), (?P<level>...); {', '.join(KNOWN_GROUPS)}, others become fields"


def read_log_formats(reader: Reader, table: Mapping[str, Any]) -> dict[str, LogFormat]:
    """The formats of a file by name; what is wrong with one is noted, with its place."""
    shape = reader.read(table, ("logs",), LogsShape)
    found = {}
    for name, said in shape.formats.items():
        here: KeyPath = ("logs", "formats", name)
        if not name or not name.isprintable() or len(name) > 100:
            reader.problem(here, "is no name for a format")
            continue
        regex = reader.read(said, here, FormatShape).regex
        if regex is None:
            if "regex" not in said:
                reader.problem(here, "needs a regex", GROUPS_HINT)
        elif _is_fine(reader, regex, (*here, "regex")):
            found[name] = LogFormat(regex, reader.file.origin((*here, "regex")))
    return found


def _is_fine(reader: Reader, regex: str, path: KeyPath) -> bool:
    if len(regex) > LONGEST:
        reader.problem(path, f"is longer than {LONGEST:,} characters")
        return False
    try:
        groups = re.compile(regex).groupindex
    except (re.error, RecursionError, OverflowError) as error:
        reader.problem(path, f"is no regular expression: {error}")
        return False
    if not any(name in groups for name in KNOWN_GROUPS):
        reader.problem(path, f"names none of the groups {', '.join(KNOWN_GROUPS)}", GROUPS_HINT)
        return False
    return True
