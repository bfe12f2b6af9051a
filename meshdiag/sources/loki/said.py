"""What a line must hold to say a level, a component, a node or a field: expressions that match every line that does.

They may match more (the exact test follows here), never less: a word that is spelled with JSON's escapes (``\\u0045``)
counts as said.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from meshdiag.logs.levels import LETTERS, Scale, Style, level_of_number, stems
from meshdiag.sources.loki.labels import OWN
from meshdiag.sources.loki.logql import quoted, regex_quoted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshdiag.logs.record import Level

ESCAPED: Final = r"\\u00[2-7]"
"""An ASCII character as JSON may spell it."""
_SAFE_RUN = re.compile(r"[A-Za-z0-9_.:-]+")
_LEVEL_KEY: Final = r"(?:le?ve?l|sev|pri)[\w.]*\W{1,6}"
_SYSLOG: Final = r"<[0-9]{1,3}>"
_REDIS: Final = r"[0-9] [.*#-] "
BRACED: Final = r"\{\s*\""
"""The beginning of a JSON object, wherever it stands in a line."""


def stage(name: str, regex: str) -> str:
    """The stage that sets the label ``said_NAME`` on lines in which the expression is found."""
    return f"| regexp {quoted(f'(?P<{OWN}{name}>{regex})')}"


def is_said(name: str) -> str:
    """The label filter for lines in which it was found."""
    return f'{OWN}{name}!=""'


def of_levels(levels: frozenset[Level]) -> str:
    """Lines that may state one of these levels, in any format: by word, letter or number."""
    words = [stem.lower() for stem in stems(levels, frozenset({Style.UPPER}))]
    letters = "".join(sorted(letter for letter, level in LETTERS.items() if level in levels))
    parts = [f"(?i:{'|'.join(words)})", _numbered(levels), _SYSLOG, _REDIS, ESCAPED]
    if letters:
        parts[1:1] = [rf"\b[{letters}](?:\b|[0-9]{{4}})", rf"(?i:[=\"][{letters}](?:[\"\s]|$))"]
    return "|".join(parts)


def _numbered(levels: frozenset[Level]) -> str:
    """A level as a number, behind a word like level or severity: any that means one of these levels on some scale."""
    wanted = {number for scale in Scale for number in range(1000) if level_of_number(number, scale) in levels}
    found = [_digits(number for number in wanted if number < 10)]
    for tens in range(1, 10):
        ones = _digits(number % 10 for number in wanted if number // 10 == tens)
        found.append(ones and f"{tens}{ones}")
    hundreds = _digits(number // 100 for number in wanted if number >= 100)
    found.append(hundreds and f"{hundreds}[0-9]{{2}}")
    return rf"(?i:{_LEVEL_KEY}(?:{'|'.join(filter(None, found))}|[0-9]{{4,}})(?:\D|$))"


def _digits(digits: Iterable[int]) -> str:
    """The digits as a class; "" where there are none."""
    found = sorted(set(digits))
    return f"[{''.join(map(str, found))}]".replace("0123456789", "0-9") if found else ""


def of_names(names: Iterable[str]) -> str | None:
    """Lines that may name one of these (a component, a node, a field); None where a name cannot be looked for."""
    runs = [max(_SAFE_RUN.findall(name), key=len, default="") for name in names]
    if not all(runs):
        return None
    return f"(?i:{'|'.join(regex_quoted(run) for run in runs)})|{ESCAPED}"
