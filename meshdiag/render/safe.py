"""Makes outside text harmless: log lines, label values and server answers are hostile until they have been here.

Nothing that moves a cursor, changes a colour, reverses the reading direction, breaks a line or hides itself
leaves these functions as it is: it is written out (``\\x1b``), so that a person still sees that it was there.
"""

from __future__ import annotations

import re
import unicodedata

from meshdiag.regexes import when_used

LIMIT = 600
"""Characters of one piece of text, beyond which it is cut, saying how much is missing."""
MAX_MARKS = 3
"""Combining marks on one character; more are a tower that grows over the lines above."""

_SPACES = when_used(r"[\t\n\v\f\r\x1c-\x1f\x85\u2028\u2029]+")
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_HIGH_ESCAPES = when_used(
    "[\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u0890-\u0891\u08e2\u180e\u200b-\u200f\u2028-\u202e\u2060-\u2064\u2066-\u206f\ufeff"
    "\ufff9-\ufffb\U000110bd\U000110cd\U00013430-\U00013438\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0001\U000e0020-\U000e007f]"
)
"""Unicode's control and format characters and line separators beyond ASCII."""
_NOT_ASCII = when_used("[^\\x20-\\x7e\\n]")


def one_line(text: str, limit: int | None = LIMIT) -> str:
    """The text on one line, every line break and tab a space, everything that cannot be seen written out."""
    if limit is not None and len(text) > limit:
        missing = len(text) - limit
        return f"{one_line(text[:limit], None)}... ({missing:,} more characters)"
    if text.isascii() and text.isprintable():
        return text
    return _written_out(_SPACES.sub(" ", text))


def few_lines(text: str, most: int, limit: int = LIMIT) -> list[str]:
    """The first ``most`` lines of a longer text, each harmless; a last line says how many are missing."""
    found = [line for line in re.split(r"\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]", text) if line.strip()]
    shown = [one_line(line.rstrip(), limit) for line in found[:most]]
    if len(found) > most:
        shown.append(f"... ({len(found) - most:,} more lines)")
    return shown


def encodable(text: str, encoding: str) -> str:
    """The text as a stream of that encoding can carry it: what it cannot is written out."""
    if text.isascii():
        return text
    try:
        return text.encode(encoding, "backslashreplace").decode(encoding)
    except LookupError:
        return text.encode("ascii", "backslashreplace").decode("ascii")


def pasteable(command: str) -> str:
    """A shell command on one line that still means the same: inside quotes, a hidden character becomes
    ``$'\\x1b'`` between two pieces of the quoted word; outside, where it means nothing good, it is written out."""
    if command.isascii() and command.isprintable():
        return command
    pieces: list[str] = []
    quote = ""
    escaped = False
    for char in command:
        if _hidden(char):
            pieces.append(_quoted(char, quote))
        else:
            pieces.append(char)
            if not escaped and char in "'\"" and quote in ("", char):
                quote = "" if quote else char
        escaped = char == "\\" and not escaped and quote != "'"
    return "".join(pieces)


def json_escapes(text: str, *, ascii_only: bool = False) -> str:
    """Finished JSON with the invisible characters that JSON lets through (or all that are not ASCII) written as
    ``\\uXXXX``: the same JSON, harmless to look at."""
    if text.isascii() and "\x7f" not in text:
        return text
    return (_NOT_ASCII if ascii_only else _HIGH_ESCAPES).sub(_json_escape, text)


def _json_escape(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be")
    return "".join(f"\\u{units[place : place + 2].hex()}" for place in range(0, len(units), 2))


def well_formed(text: str) -> str:
    """The text without lone surrogates, which no encoding can carry."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _written_out(text: str) -> str:
    written: list[str] = []
    marks = 0
    for char in text:
        category = unicodedata.category(char)
        marks = marks + 1 if category in ("Mn", "Me") else 0
        written.append(_escape(char) if category in _HIDDEN or marks > MAX_MARKS else char)
    return "".join(written)


def _hidden(char: str) -> bool:
    return unicodedata.category(char) in _HIDDEN


def _escape(char: str) -> str:
    code = ord(char)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _quoted(char: str, quote: str) -> str:
    """A hidden character inside a quoted word, or outside of one."""
    if not quote:
        return " " if _SPACES.match(char) else _escape(char)
    named = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}.get(char) or _escape(char)
    if "\x80" <= char <= "\xff":
        named = f"\\u00{ord(char):02x}"  # the shell takes \x80 for a byte, which is no character
    return f"{quote}$'{named}'{quote}"
