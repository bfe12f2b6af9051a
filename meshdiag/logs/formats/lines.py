"""What all formats share about raw lines: marks in front, colours, what continues a record, text for people."""

from __future__ import annotations

from meshdiag.regexes import when_used

HEAD = 512
"""How much of a line is looked at to find its time and level: hostile lines are long."""

_ESCAPES = rb"(?:\x1b\[[0-9;?]{0,20}[A-Za-z])"
_COLOURS = when_used(rb"(?<![A-Za-z0-9])" + _ESCAPES + rb"{1,8}|" + _ESCAPES + rb"{1,8}(?![A-Za-z0-9])")
_INSIDE = when_used(
    rb"[ \t]|\r?(?:\n|\Z)|at [\w.$<]|Caused by\b|Suppressed:|\.\.\. \d+ more|[})\]]"
    rb"|Traceback \(|During handling of|The above exception|goroutine \d+ |\[stacktrace\]|#\d+ |-->"
)


ESCAPE = b"\x1b"
"""Every colour has it: a literal beside those that a colour may tear apart."""


_MARKS = frozenset((b"\xef", b"\0"))


def unmarked(line: bytes) -> bytes:
    """A line without a byte order mark and without the NUL bytes that a truncated file begins with."""
    return line.lstrip(b"\0").removeprefix(b"\xef\xbb\xbf") if line[:1] in _MARKS else line


def bare(line: bytes) -> bytes:
    """A line without a byte order mark, without the NUL bytes that a truncated file begins with, and without
    colours in its head. Colours in the midst of a word stay: no word comes to be that was not there."""
    if line[:1] in _MARKS:
        line = unmarked(line)
    if line.find(ESCAPE, 0, HEAD) >= 0:
        return _COLOURS.sub(b"", line[:HEAD]) + line[HEAD:]
    return line


def continues(line: bytes) -> bool:
    """Whether a line looks like the inside of a record, whatever the format: indented, empty, a frame of a stack
    trace, a closing bracket."""
    return _INSIDE.match(line) is not None


def text_of(raw: bytes) -> str:
    """Bytes as text, for a record's message and fields; what is not UTF-8 becomes U+FFFD."""
    return raw.decode("utf-8", "replace")
