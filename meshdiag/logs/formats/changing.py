"""Notices that a log's lines stop being of the format that its beginning has, and finds what they are of then.

Programs print text before they log objects, and another version logs otherwise. A line here and there is looked at:
at the end of what is read at once, and every ``STEP_BYTES`` before. Most need no more than a look at how they begin,
their digits masked; now and then one is read, for objects may begin alike and say other things. Lines that the
format makes nothing of, although they look as if they meant something, are gathered; a few of them tell the format
that the log has *besides* from then on (``joining.further``). So what is new is noticed where it goes on for
``STEP_BYTES``, and where something that is read at once ends.
"""

from __future__ import annotations

import re
from collections import deque
from typing import TYPE_CHECKING

from meshdiag.logs.formats.lines import continues

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from meshdiag.logs.formats import Format, Hints

STEP_BYTES = 256 * 1024
RUN = 32
"""Lines that are looked at in one place, until one fits."""
ENOUGH = 8
"""So many lines that do not fit tell a format; four times as many after each time that they did not."""
KEPT = 64
LONGEST = 16 * 1024
"""Bytes of a line that are looked at."""
WIDTH = 32
OBJECT_WIDTH = 8
WRAPPED_WIDTH = 48
"""How much of its beginning a line is known by; one that is an object, in which texts may begin early; and one that
stands in something that other programs wrote around it."""
FULL_BYTES = 4 * 1024 * 1024
"""After so much, a line is read whatever it begins with."""
MOST_USUAL = 1000
SAMPLE_LINES = 128
LEVELLED_LINES = 24
MASK = bytes.maketrans(b"123456789", b"000000000")
_TIMELIKE = re.compile(rb"\d\d:\d\d|\d{6}").search
_REACH = 250


class Watch:
    """What is known of one log's format: ``form``, told by ``sample``, its first bytes. ``enough`` lines that do not
    fit tell another one."""

    def __init__(self, form: Format, hints: Hints, sample: bytes, *, enough: int = ENOUGH) -> None:
        self.form = form
        self._hints = hints
        self._sample = sample
        self._usual: set[bytes] = set()
        self._foreign: deque[bytes] = deque(maxlen=KEPT)
        self._later: list[bytes] = []
        self._seen = 0
        self._enough = enough
        self._levelled: bool | None = None
        self._passed = 0
        self._width = _width(form)

    def look(self, buffer: bytes | bytearray, begin: int, end: int, *, closely: bool = False) -> int:
        """Look at some of the lines between two places of a buffer; ``form`` may be another one then. Gives where the
        last lines begin that may be the first of another format: they are better read with what follows. ``end``
        where there are none. ``closely``: whatever the lines begin with."""
        before = self.form
        self._passed += FULL_BYTES if closely else end - begin
        for step in range(begin + STEP_BYTES, end, STEP_BYTES):
            self._run(buffer, buffer.find(b"\n", step, end) + 1 or end, end)
        rest = self._end_of(buffer, begin, end)
        return rest if self.form is before else end

    def _run(self, buffer: bytes | bytearray, place: int, end: int) -> None:
        """Look at the lines from a place on, up to one that fits."""
        for _ in range(RUN):
            stop = buffer.find(b"\n", place, end)
            if stop < 0 or self._fit_in(buffer, place, stop):
                return
            place = stop + 1

    def _end_of(self, buffer: bytes | bytearray, begin: int, end: int) -> int:
        """The same backwards from the end; where the lines that do not fit begin there."""
        rest, stop = end, buffer.rfind(b"\n", begin, end)
        for _ in range(RUN):
            if stop < begin:
                break
            start = max(buffer.rfind(b"\n", begin, stop) + 1, begin)
            seen = self._seen
            if self._fit_in(buffer, start, stop):
                break
            rest = start if self._seen != seen else rest
            stop = start - 1
        return rest

    def _fit_in(self, buffer: bytes | bytearray, start: int, stop: int) -> bool:
        """Whether the line at a place is of the format; one that is not, and looks as if of another, is kept."""
        head = bytes(buffer[start : start + self._width]).translate(MASK)
        if head[:1] == b"{" and self._width == WIDTH:
            head = head[:OBJECT_WIDTH]
        if head in self._usual:
            if self._passed < FULL_BYTES:
                return True
            self._passed = 0
        line = bytes(buffer[start : min(stop, start + LONGEST)])
        if self._levelled is None:
            self._levelled = self._mostly_levelled()
        if fits(self.form, line, levelled=self._levelled):
            if len(self._usual) < MOST_USUAL:
                self._usual.add(head)
            return True
        self._usual.discard(head)
        if promising(line):
            self._foreign.append(line)
            self._seen += 1
            if self._seen >= self._enough:
                self._tell()
        return False

    def _tell(self) -> None:
        """Find the format of the lines that were kept, and let it stand beside the one that is known."""
        from meshdiag.logs.formats.joining import Evidence, further

        foreign = list(self._foreign)
        sample = [*self._sample.split(b"\n", SAMPLE_LINES)[:SAMPLE_LINES], *self._later]
        found = further(self.form, Evidence(sample, foreign, self._hints))
        self._foreign.clear()
        self._seen = 0
        if found is None:
            self._enough *= 4
            return
        self.form = found
        self._later += [line for line in foreign[:ENOUGH] if fits(found, line, levelled=False)]
        self._width = _width(found)
        self._levelled = self._levelled and most(fits(found, line, levelled=True) for line in foreign)
        self._usual.clear()

    def _mostly_levelled(self) -> bool:
        """Whether nearly all of the first records state a level."""
        lines = [line for line in self._sample.split(b"\n", LEVELLED_LINES)[:LEVELLED_LINES] if line]
        return most(self.form.level(line) is not None for line in lines if self.form.starts(line))


def _width(form: Format) -> int:
    parts: Sequence[Format] = getattr(form, "formats", (form,))
    return WRAPPED_WIDTH if any(hasattr(one, "inner") for one in parts) else WIDTH


def fits(form: Format, line: bytes, *, levelled: bool) -> bool:
    """Whether a format makes something of a line: the time and, if ``levelled``, the level that its records have,
    inside of what other programs wrote around it."""
    inside = getattr(form, "inside", None)
    if inside is not None:
        inner: tuple[Format, bytes] | None = inside(line)
        return inner is not None and fits(*inner, levelled=levelled)
    if not form.starts(line):
        return False
    if levelled and form.level(line) is None:
        return False
    return form.time_ns(line) is not None if form.timed else form.level(line) is not None or not promising(line)


def promising(line: bytes) -> bool:
    """Whether a line looks as if it began a record: an object, or something like a time."""
    return line[:1] == b"{" or (_TIMELIKE(line, 0, _REACH) is not None and not continues(line))


def most(answers: Iterable[bool]) -> bool:
    """Whether nine in ten are so, of at least one."""
    told = list(answers)
    return bool(told) and sum(told) * 10 >= len(told) * 9
