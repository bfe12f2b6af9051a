"""The fast way for texts that stand in many lines: where every line is a record, each is looked at once and no more.

A search that skips from hit to hit is fastest while hits are few; a third of the lines is cheaper to go through.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshdiag.logs.scan.regexes import alternatives

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshdiag.logs.formats import Format
    from meshdiag.logs.matching import Matcher

MASK = bytes.maketrans(b"123456789", b"000000000")
WIDEST = 64
MOST_KNOWN = 4096
SAMPLE_LINES = 100
MOST_WORDS = 3


class Linewise:
    """Chooses among lines that are all records, by one pattern of a few texts."""

    def __init__(self, form: Format, choose: Callable[[list[bytes]], list[bytes]], width: int) -> None:
        self._format = form
        self._choose = choose
        self._width = width
        self._starts: set[bytes] = set()

    @classmethod
    def of(cls, matcher: Matcher, form: Format, sample: bytes) -> Linewise | None:
        """What chooses for a selection that asks for texts and nothing else, None for another."""
        selection = matcher.selection
        if matcher.windowed or matcher.reads_fields or selection.levels is not None or len(selection.patterns) != 1:
            return None
        (pattern,) = selection.patterns
        words = None if pattern.ignore_case else alternatives(pattern)
        widths = [form.start_width(line) for line in sample.split(b"\n")[:SAMPLE_LINES]]
        width = max((width for width in widths if width), default=0)
        if not words or len(words) > MOST_WORDS or any(b"\r" in word or b"\n" in word for word in words):
            return None
        return cls(form, _chooser(words, pattern.invert), width) if 0 < width <= WIDEST else None

    def chosen(self, lines: bytes) -> list[bytes] | None:
        """The lines that are wanted, without their newlines; None where one may continue the line before it."""
        parts = lines.split(b"\n")
        parts.pop()
        masked = lines.translate(MASK)
        if not self._all_as_usual(masked, len(parts)):
            beginnings = {line[: self._width] for line in masked.split(b"\n")}
            beginnings.discard(b"")
            if b"" in parts or not self._all_start(beginnings - self._starts, parts):
                return None
        return self._choose(parts)

    def _all_as_usual(self, masked: bytes, count: int) -> bool:
        """Whether all lines begin as the only beginning that is known: the rule, for digits are alike."""
        if len(self._starts) != 1:
            return False
        (usual,) = self._starts
        return len(usual) == self._width and masked.count(b"\n" + usual) + masked.startswith(usual) == count

    def _all_start(self, unknown: set[bytes], parts: list[bytes]) -> bool:
        """Whether all lines with beginnings that were not seen before begin records; they are remembered."""
        for line in parts:
            beginning = line[: self._width].translate(MASK)
            if beginning in unknown:
                width = self._format.start_width(line)
                if width is None or width > self._width or not self._format.starts(line):
                    return False
                if len(self._starts) < MOST_KNOWN:
                    self._starts.add(beginning)
                unknown.discard(beginning)
        return True


def _chooser(words: tuple[bytes, ...], invert: bool) -> Callable[[list[bytes]], list[bytes]]:
    """A loop with the texts written into it: a call for each line would double its cost."""
    first, second, third = (*words, *words[-1:] * 2)[:3]
    if invert:
        return lambda lines: [line for line in lines if not (first in line or second in line or third in line)]
    if len(words) == 1:
        return lambda lines: [line for line in lines if first in line]
    if len(words) == 2:
        return lambda lines: [line for line in lines if first in line or second in line]
    return lambda lines: [line for line in lines if first in line or second in line or third in line]
