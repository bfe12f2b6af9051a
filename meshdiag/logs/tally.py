"""What one reading of logs went through: said on stderr at the end, so that nothing is dropped in silence."""

from __future__ import annotations


class Tally:
    """Counts of one reading, filled while it goes on.

    ``files`` were opened; ``skipped`` says for each file that was not, or not to its end, why, in a sentence that
    names it; ``bytes_read`` counts what was read from disk or network beside the look at the start that finds the
    format. ``records`` were looked at as far as the engine had to look (a prefilter skips most unseen), ``matched``
    of them were given out. ``unparsed`` had no time or level where their file's format has one, ``cut`` were longer
    than the bound and shown in part, ``torn`` are last lines that ended without a newline and were not whole.
    """

    def __init__(self) -> None:
        self.files: list[str] = []
        self.skipped: list[str] = []
        self.notes: list[str] = []
        self.bytes_read = 0
        self.records = 0
        self.matched = 0
        self.unparsed = 0
        self.cut = 0
        self.torn = 0
