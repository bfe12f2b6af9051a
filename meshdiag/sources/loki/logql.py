"""LogQL as text: strings, matchers, line filters and stages, quoted so that Loki reads back what was meant.

Source: https://grafana.com/docs/loki/latest/query/log_queries/. Strings are Go's: double quotes with escapes, or
backquotes without any.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_META = re.compile(r"[.^$*+?{}\[\]\\()|]")
_NOT_IN_LABELS = re.compile(r"[^A-Za-z0-9_]")
_SELECTOR = re.compile(r"\s*\{(?P<inside>.*)\}\s*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Query:
    """A log query in parts: what chooses streams, then what each line goes through. ``exact``: every line that comes
    back is wanted, as far as the translation can tell, so that a bounded question can be asked with its bound."""

    selector: str
    stages: tuple[str, ...] = ()
    exact: bool = True

    @property
    def text(self) -> str:
        """The query as it is sent."""
        return " ".join((self.selector, *self.stages))

    @property
    def parsed(self) -> bool:
        """Whether a parser makes labels of the lines' fields."""
        return bool({"| json", "| logfmt"} & set(self.stages))


def quoted(text: str) -> str:
    """A string of LogQL. What has backslashes is put in backquotes, where it stays readable."""
    if "\\" in text and "`" not in text and text.isprintable():
        return f"`{text}`"
    return '"' + "".join(_escaped(char) for char in text) + '"'


def _escaped(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char.isprintable():
        return char
    return f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}"


def sendable(text: str) -> bool:
    """Whether a text can be part of a query: bytes that are no UTF-8 came in as lone surrogates, and cannot."""
    return not any("\ud800" <= char <= "\udfff" for char in text)


def regex_quoted(text: str) -> str:
    """A text as a regular expression that matches it alone."""
    return _META.sub(r"\\\g<0>", text)


def one_of(texts: Iterable[str], *, also_empty: bool = False) -> str:
    """A regular expression for any of these texts, without regard to case; selectors anchor it themselves."""
    return f"(?i:{'|'.join(regex_quoted(text) for text in texts)}){'?' if also_empty else ''}"


def whole(regex: str) -> str:
    """An expression for a label filter behind the selector, where Loki's shortcut for plain alternatives forgets the
    ends of the value (and, before 2.9, small letters): anchors keep it from taking that shortcut."""
    return f"^{regex}$"


def with_matchers(selector: str, matchers: Iterable[str]) -> str:
    """A stream selector with more matchers: ``{job="a"}`` and ``level!~"info"`` become one."""
    added = ", ".join(matchers)
    if not added:
        return selector.strip()
    match = _SELECTOR.fullmatch(selector)
    inside = match["inside"].strip().rstrip(",").rstrip() if match else selector.strip()
    return f"{{{inside}, {added}}}" if inside else f"{{{added}}}"


def is_selector(text: str) -> bool:
    """Whether a text looks like a stream selector; what is inside is Loki's to judge."""
    return _SELECTOR.fullmatch(text) is not None


def label_name(path: Iterable[str]) -> str:
    """What LogQL's parsers call a nested field: ``consensus.round`` is ``consensus_round``."""
    name = _NOT_IN_LABELS.sub("_", "_".join(path))
    return f"_{name}" if name[:1].isdigit() else name
