"""Where records go: raw lines, lines for people, NDJSON, CSV, or through jq; and what is said beside them on stderr.

Imports are made where they are needed: raw lines of a small log are to be there at once.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Protocol

import click

from meshdiag.render.log_gaps import APART, Gaps

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from meshdiag.commands._logs_flags import LogFlags
    from meshdiag.logs.record import Record
    from meshdiag.logs.selection import Pattern
    from meshdiag.logs.tally import Tally

MOST_SAID = 5
"""Sentences on stderr of one kind; a folder may hold a thousand files that cannot be read."""


class Sink(Protocol):
    """Takes records and prints them."""

    def put(self, record: Record) -> None:
        """Print one. Raises ``BrokenPipeError`` when nobody reads any more."""

    def flush(self) -> None:
        """Let nothing wait: whoever follows wants each line at once."""

    def close(self) -> None:
        """Print what is held back, and wait for the pager."""


class RawSink:
    """Records as they stood, byte for byte, for a pipe or a file; ``named``: with file and line before each line."""

    def __init__(self, *, named: bool) -> None:
        self._out = sys.stdout.buffer
        self._named = named
        self._gaps = Gaps()

    def put(self, record: Record) -> None:
        """Print one."""
        if not self._named:
            self._out.write(record.raw + b"\n")
            return
        if self._gaps.before(record):
            self._out.write(f"{APART}\n".encode())
        sign = b"-" if record.context else b":"
        file = record.file.encode("utf-8", "surrogateescape")
        for place, line in enumerate(record.raw.split(b"\n")):
            number = b"" if record.line is None else b"%d" % (record.line + place)
            self._out.write(b"".join((file, sign, number, sign, line, b"\n")))

    def flush(self) -> None:
        """Let nothing wait."""
        self._out.flush()

    def close(self) -> None:
        """Print the rest."""
        self._out.flush()


class TextSink:
    """Records as text, through the pager where there is one."""

    def __init__(self, write: Callable[[Record], str], *, head: str = "", paging: bool = False) -> None:
        from meshdiag.render.pager import Pager, pager_command

        self._write = write
        self._pager = Pager(pager_command(paging=paging))
        if head:
            self._pager.write(head)

    def put(self, record: Record) -> None:
        """Print one."""
        if text := self._write(record):
            self._pager.write(text)

    def flush(self) -> None:
        """Let nothing wait."""
        self._pager.flush()

    def close(self) -> None:
        """Print the rest."""
        self._pager.close()
        sys.stdout.flush()


def format_of(flags: LogFlags) -> str:
    """The format asked for, else lines for people on a terminal and the raw ones elsewhere."""
    return flags.format or ("table" if sys.stdout.isatty() and not flags.with_file else "raw")


def open_sink(
    flags: LogFlags, tally: Tally, files: Sequence[str], *, paging: bool, patterns: Sequence[Pattern] = ()
) -> Sink:
    """The sink that the flags ask for; ``files`` are those that may come up, ``patterns`` what is marked. Raises
    ``UsageError`` for ``--jq``."""
    encoding = sys.stdout.encoding or "utf-8"
    ascii_only = not encoding.lower().startswith("utf")
    if flags.jq is not None:
        return TextSink(_through_jq(flags.jq, tally, ascii_only=ascii_only), paging=paging)
    fmt = format_of(flags)
    if fmt == "raw" and not sys.stdout.isatty():
        return RawSink(named=flags.with_file)
    if fmt == "raw":
        return TextSink(RawLines(encoding, named=flags.with_file, spans=_spans(patterns)).text, paging=paging)
    if fmt == "json":
        from meshdiag.render.log_data import to_json_line

        return TextSink(lambda record: to_json_line(record, ascii_only=ascii_only), paging=paging)
    if fmt == "csv":
        from meshdiag.render.log_data import csv_head, to_csv_row
        from meshdiag.render.safe import encodable

        return TextSink(lambda record: encodable(to_csv_row(record), encoding), head=csv_head(), paging=paging)
    from meshdiag.render.ansi import wanted
    from meshdiag.render.log_lines import Dress, LogLines, short_names

    names = short_names(files)
    dress = Dress(
        colour=wanted(sys.stdout),
        utc=flags.utc,
        dates=not sys.stdout.isatty(),
        files=len(names) > 1 or flags.with_file,
        encoding=encoding,
        spans=_spans(patterns),
    )
    return TextSink(LogLines(dress, names).text, paging=paging)


class RawLines:
    """Records' lines as they stood, for a terminal: nothing in them can do harm there, and matches are marked."""

    def __init__(
        self, encoding: str, *, named: bool, spans: Callable[[str], Sequence[tuple[int, int]]] | None = None
    ) -> None:
        self._encoding = encoding
        self._named = named
        self._spans = spans
        self._gaps = Gaps()

    def text(self, record: Record) -> str:
        """The lines of a record, each with its line break."""
        from meshdiag.render.ansi import marked
        from meshdiag.render.safe import encodable, one_line

        lines = [f"{APART}\n"] if self._gaps.before(record) else []
        sign = "-" if record.context else ":"
        for place, line in enumerate(record.raw.decode("utf-8", "backslashreplace").split("\n")):
            number = "" if record.line is None else record.line + place
            before = f"{one_line(record.file)}{sign}{number}{sign}" if self._named else ""
            shown = encodable(one_line(line, None), self._encoding)
            if self._spans is not None and not record.context:
                shown = marked(shown, self._spans(shown))
            lines.append(f"{before}{shown}\n")
        return "".join(lines)


def _spans(patterns: Sequence[Pattern]) -> Callable[[str], Sequence[tuple[int, int]]] | None:
    """What finds the matches that are to be marked, None where nothing is coloured."""
    from meshdiag.render.ansi import wanted

    if not patterns or not wanted(sys.stdout):
        return None
    from meshdiag.logs.marking import marker

    return marker(patterns)


def say(text: str) -> None:
    """A sentence on stderr, harmless."""
    from meshdiag.render.safe import encodable, one_line

    shown = encodable(one_line(text), sys.stderr.encoding or "utf-8")
    click.echo(f"meshdiag: {shown}", err=True)


def say_tally(tally: Tally, *, quiet: bool = False) -> None:
    """What was skipped, cut or not understood, in a line each kind; nothing where nothing was."""
    for sentences in (tally.skipped, tally.notes):
        for sentence in sentences[:MOST_SAID]:
            say(sentence)
        if len(sentences) > MOST_SAID:
            say(f"and {len(sentences) - MOST_SAID:,} more like that")
    counts = (
        (tally.unparsed, "without a time or level that can be read"),
        (tally.cut, "too long, shown in part"),
        (tally.torn, "without an end"),
    )
    told = [f"{count:,} {what}" for count, what in counts if count]
    if told and not quiet:
        say(f"records: {', '.join(told)}")


def _through_jq(expression: str, tally: Tally, *, ascii_only: bool) -> Callable[[Record], str]:
    from meshdiag.logs.jq import Jq
    from meshdiag.render.safe import json_escapes

    program = Jq(expression, tally)
    return lambda record: json_escapes(program.lines(record), ascii_only=ascii_only)
