"""Lines that something else wrote around a program's own: a container runtime, docker compose, kubectl, a shipper.

The prefix (or the JSON around) is taken off, and the format inside reads what is left. A prefix that says the full
time gives the record its time; else the line inside does, if it can.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from meshdiag.logs.formats.jsonreading import escaped, read_object
from meshdiag.logs.formats.lines import ESCAPE, HEAD, bare, continues, text_of, unmarked
from meshdiag.logs.timestamps import ISO, NO_YEAR, Reader, TextTimes

if TYPE_CHECKING:
    from meshdiag.logs.formats import Hints
    from meshdiag.logs.formats.mixed import Owning
    from meshdiag.logs.record import Level, Record
    from meshdiag.logs.timestamps import Shape


class Wrapper(NamedTuple):
    """A prefix: a bytes pattern with the groups of ``shape`` (if any), and perhaps ``node``, ``component`` and
    ``flag`` (``P``: the line goes on in the next). ``likely``: a pattern that is cheaper and finds all such lines.
    ``needs``: what must be inside, any of these names of formats. ``many``: several programs write, so that a
    line without a header is not the next line of the one before."""

    name: str
    likely: bytes
    pattern: bytes
    shape: Shape | None = None
    needs: tuple[str, ...] = ()
    many: bool = False


_PAIRS_OR_OBJECT = rb"(?=\{|[A-Za-z_.]{1,20}=)"
_STRUCTURED = ("JSON", "logfmt")

WRAPPERS = (
    Wrapper(
        "CRI",
        rb"\d{4}\S{10,40} std(?:out|err) [FP]",
        ISO.pattern + rb" (?:stdout|stderr) (?P<flag>[FP])(?::[FP])? ?",
        ISO,
    ),
    Wrapper(
        "kubectl",
        rb"\[pod/",
        rb"\[pod/(?P<node>[^/\]\s]{1,253})/(?P<component>[^\]\s]{1,253})\] ?",
        many=True,
    ),
    Wrapper(
        "docker compose",
        rb"[\w.-]{1,101} {0,40}\|",
        rb"(?![A-Z]{3,9} )(?P<component>[A-Za-z0-9][\w.-]{0,100}) {0,40}\| ?",
        many=True,
    ),
    Wrapper(
        "time",
        rb"\d{4}[-/.]\d\d[-/.]\d\d.\d\d:\S{1,40}[ \t]" + _PAIRS_OR_OBJECT,
        ISO.pattern + rb"[ \t]" + _PAIRS_OR_OBJECT,
        ISO,
        _STRUCTURED,
    ),
    Wrapper(
        "syslog",
        rb"(?:<\d{1,3}>)?[A-Z][a-z]{2} [^\n]{1,400}?: " + _PAIRS_OR_OBJECT,
        rb"(?:<\d{1,3}>)?"
        + NO_YEAR.pattern
        + rb" (?P<node>\S{1,255}) (?P<component>[^\s:\[]{1,80})(?:\[\d{1,10}\])?: "
        + _PAIRS_OR_OBJECT,
        NO_YEAR,
        _STRUCTURED,
    ),
    Wrapper("prefix", rb"[^{\n]{1,200}\{\"", rb"[^{\n]{1,200}(?=\{\")", None, ("JSON",)),
)


class WrappedFormat:
    """Lines with a prefix before those of another format."""

    def __init__(self, wrapper: Wrapper, inner: Owning, hints: Hints) -> None:
        self.inner = inner
        self.wrapper = wrapper
        self.name = f"{inner.name} in {wrapper.name}"
        self.timed = wrapper.shape is not None or inner.timed
        self._match = re.compile(wrapper.pattern).match
        self._groups = frozenset(re.compile(wrapper.pattern).groupindex)
        self._reader = Reader(wrapper.shape, hints) if wrapper.shape else None
        self._outer_first = wrapper.shape is ISO
        self._many = wrapper.many

    def _split(self, line: bytes) -> tuple[re.Match[bytes] | None, bytes]:
        """The prefix and what follows it; the whole line where there is no prefix."""
        line = bare(line)
        found = self._match(line, 0, HEAD)
        return found, line if found is None else line[found.end() :]

    def owns(self, line: bytes) -> bool:
        """Whether the prefix is there."""
        return self._split(line)[0] is not None

    def inside(self, line: bytes) -> tuple[Owning, bytes] | None:
        """The format inside and what it is to read of a line; None without the prefix."""
        found, inside = self._split(line)
        return None if found is None else (self.inner, inside)

    def starts(self, line: bytes) -> bool:
        """As the format inside says."""
        found, inside = self._split(line)
        return not continues(line) if found is None else self._starts(inside)

    def _starts(self, inside: bytes) -> bool:
        return self.inner.starts(inside) or (self._many and not continues(inside))

    def time_ns(self, line: bytes) -> int | None:
        """The prefix's time if it is a full one, else the inner time, else the prefix's."""
        found, inside = self._split(line)
        if found is None or not self._starts(inside):
            return None
        outer = self._outer(found)
        if outer is not None and self._outer_first:
            return outer
        inner = self.inner.time_ns(inside)
        return outer if inner is None else inner

    def _outer(self, found: re.Match[bytes]) -> int | None:
        return None if self._reader is None else self._reader.ns(*found.group("stamp", "frac", "tail"))

    def _time(self, found: re.Match[bytes], inner: int | None) -> int | None:
        outer = self._outer(found)
        return outer if inner is None or (self._outer_first and outer is not None) else inner

    def level(self, line: bytes) -> Level | None:
        """The level inside."""
        found, inside = self._split(line)
        if found is not None and self._cut(found) and b"\n" in line:
            return self.parse(line).level
        return None if found is None else self.inner.level(inside)

    def parse(self, raw: bytes) -> Record:
        """Read what is inside the prefixes of all lines."""
        first, _, more = raw.partition(b"\n")
        found, inside = self._split(first)
        if found is None:
            return replace(self.inner.parse(b""), raw=raw, message=text_of(raw.rstrip(b"\r")))
        joined = [inside]
        cut = self._cut(found)
        for line in more.split(b"\n") if more else ():
            prefix, rest = self._split(line)
            joined += [rest] if cut else [b"\n", rest]
            cut = prefix is not None and self._cut(prefix)
        record = self.inner.parse(b"".join(joined))
        starts = self._starts(inside)
        return replace(
            record,
            raw=raw,
            time_ns=self._time(found, record.time_ns) if starts else None,
            component=record.component or self._said(found, "component"),
            node=record.node or self._said(found, "node"),
        )

    def _cut(self, found: re.Match[bytes]) -> bool:
        return "flag" in self._groups and found["flag"] == b"P"

    def _said(self, found: re.Match[bytes], name: str) -> str:
        return text_of(found[name]) if name in self._groups else ""

    def level_literals(self, levels: frozenset[Level]) -> tuple[bytes, ...] | None:
        """Those of the format inside, whose bytes stand in the line as they are; and the mark of lines that go on
        in the next, for a word may be cut, and of colours, which are taken off before."""
        inner = self.inner.level_literals(levels)
        if inner is None:
            return None
        return (*inner, ESCAPE, b" stdout P", b" stderr P") if "flag" in self._groups else (*inner, ESCAPE)

    def start_width(self, _line: bytes) -> int | None:
        """The prefix's length varies."""
        return None

    level_width = start_width


class DockerFormat:
    """Docker's json-file driver: an object a line, with the program's line in ``log`` and the time in ``time``."""

    timed = True

    def __init__(self, inner: Owning, hints: Hints) -> None:
        self.inner = inner
        self.name = f"{inner.name} in docker JSON"
        self._times = TextTimes(hints)

    @staticmethod
    def unwrap(line: bytes) -> tuple[Any, bytes] | None:
        """Time and inner line (as bytes, its newline aside), None for a line that is no such object."""
        line = unmarked(line.partition(b"\n")[0])
        if line[:1] != b"{":
            return None
        found = read_object(line)
        if found is None or not isinstance(found.get("log"), str) or "time" not in found:
            return None
        inside = found["log"].encode("utf-8", "replace")
        return found["time"], inside[:-1] if inside[-1:] == b"\n" else inside

    def owns(self, line: bytes) -> bool:
        """Whether a line is such an object."""
        return self.unwrap(line) is not None

    def inside(self, line: bytes) -> tuple[Owning, bytes] | None:
        """The format inside and what it is to read of a line; None for a line that is no such object."""
        found = self.unwrap(line)
        return None if found is None else (self.inner, found[1])

    def starts(self, line: bytes) -> bool:
        """As the format inside says."""
        found = self.unwrap(line)
        return not continues(line) if found is None else self.inner.starts(found[1])

    def time_ns(self, line: bytes) -> int | None:
        """Docker's time."""
        found = self.unwrap(line)
        return self._times.ns(found[0]) if found is not None and self.inner.starts(found[1]) else None

    def level(self, line: bytes) -> Level | None:
        """The level inside."""
        found = self.unwrap(line)
        return None if found is None else self.inner.level(found[1])

    def parse(self, raw: bytes) -> Record:
        """Read what is inside all lines."""
        lines = raw.split(b"\n")
        parts = [self.unwrap(line) for line in lines]
        if parts[0] is None:
            return replace(self.inner.parse(b""), raw=raw, message=text_of(raw.rstrip(b"\r")))
        joined = b"\n".join(line if part is None else part[1] for line, part in zip(lines, parts, strict=True))
        time_ns = self._times.ns(parts[0][0]) if self.inner.starts(parts[0][1]) else None
        return replace(self.inner.parse(joined), raw=raw, time_ns=time_ns)

    def level_literals(self, levels: frozenset[Level]) -> tuple[bytes, ...] | None:
        """Those of the format inside as they stand in a JSON string; and escapes, which may hide them."""
        inner = self.inner.level_literals(levels)
        if inner is None or any(not literal.isascii() for literal in inner):
            return None
        return (*(escaped(literal.decode()).encode() for literal in inner), rb"\u00")

    def start_width(self, _line: bytes) -> int | None:
        """The line inside decides."""
        return None

    level_width = start_width
