"""Finds the lines of a block that may be wanted, without looking at lines one by one.

A *needle* is something that every wanted record holds: one of a level's spellings, the text or expression of
``--grep``, the name of a field. The one that is found least is looked for in whole blocks, by Aho-Corasick for a few
texts that are rare, by Hyperscan for expressions, texts in any case and texts that are found often. What a needle
finds is only a candidate: the exact test follows, except for what finding it proves already.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from meshdiag.logs.formats import Fielded
from meshdiag.logs.matching import BUILT_IN
from meshdiag.logs.scan.blocks import Block
from meshdiag.logs.scan.necessary import expression, of_words
from meshdiag.logs.scan.regexes import alternatives

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from meshdiag.logs.formats import Format
    from meshdiag.logs.selection import Pattern, Selection

SMALL_BYTES = 2 * 1024 * 1024
"""Below this much to read, importing and compiling for Hyperscan takes longer than it saves."""

OFTEN = 1 / 25
"""From this share of lines on, Hyperscan's callback costs less than the tuples of Aho-Corasick."""

EVERYWHERE = 0.8
"""A needle in more lines than this is not worth looking for."""

SAMPLE_BYTES = 256 * 1024
MAX_WORDS = 64


class Finder(Protocol):
    """Looks for a needle in a block."""

    at_ends: bool
    """Whether the places found are the ends of lines, behind their newlines, each once; else where a needle begins,
    maybe several in a line."""

    def places(self, block: Block) -> list[int]:
        """The places in a block, ascending, at least one for each candidate line."""


class Needle(NamedTuple):
    """What every wanted record holds: one of ``words`` (in any case when ``ignore_case``), and ``expression``, of which
    either may be missing. ``proves``: the pattern that a record meets when the needle is in it."""

    words: tuple[bytes, ...] = ()
    expression: bytes = b""
    ignore_case: bool = False
    proves: Pattern | None = None


def needles(selection: Selection, form: Format) -> list[Needle]:
    """Everything that a record must hold to be wanted, as far as it can be looked for in raw bytes."""
    found = []
    if selection.levels is not None:
        words = form.level_literals(selection.levels)
        if words is not None:
            found.append(Needle(_shortened(words)))
    if selection.field and selection.field not in BUILT_IN and isinstance(form, Fielded):
        found.append(Needle(form.field_words(selection.field), form.field_pattern(selection.field) or b""))
    for pattern in selection.patterns:
        needle = None if pattern.invert else _of_pattern(pattern)
        if needle is not None:
            found.append(needle)
    return [needle for needle in found if needle.expression or (needle.words and all(needle.words))]


def _of_pattern(pattern: Pattern) -> Needle | None:
    words = alternatives(pattern)
    if words is not None:
        plain = not any(b"\r" in word or b"\n" in word for word in words)
        return Needle(words, ignore_case=pattern.ignore_case, proves=pattern if plain else None)
    written = expression(pattern)
    return None if written is None else Needle(expression=written[0], ignore_case=written[1])


def _shortened(words: Iterable[bytes]) -> tuple[bytes, ...]:
    """Texts without the quotes and blanks around them: as necessary, and found several times as fast, for the search
    tells texts apart by their first letters. A text that holds another is left out."""
    bare = {word.strip(b" \"'[]()<>|:,=\t") if word[-1:].isalpha() and len(word) > 4 else word for word in words}
    return tuple(sorted(word for word in bare if not any(other in word for other in bare if other != word)))


def choose(found: Sequence[Needle], sample: bytes, size: int) -> tuple[Needle, Finder] | None:
    """The needle that is found least in a sample of what is to be searched, and what looks for it; None where looking
    at every record is faster. ``size``: how many bytes are to be read."""
    lines = sample.count(b"\n") or 1
    best: tuple[float, Needle, Finder] | None = None
    for needle in found:
        finder = _finder(needle, size, often=False)
        if finder is None:
            continue
        share = len(finder.places(_as_block(sample))) / lines
        if best is None or share < best[0]:
            best = share, needle, finder
    if best is None or best[0] > EVERYWHERE:
        return None
    share, needle, finder = best
    if share > OFTEN and needle.words and not needle.ignore_case:
        finder = _finder(needle, size, often=True) or finder
    return needle, finder


def _finder(needle: Needle, size: int, *, often: bool) -> Finder | None:
    """What looks for a needle, None where nothing does it faster than the exact test."""
    few = 0 < len(needle.words) <= MAX_WORDS
    if few and not needle.ignore_case and not often:
        return _WordsFinder(needle.words)
    if size < SMALL_BYTES:
        return _AnyCaseFinder(needle.words) if few and needle.ignore_case else None
    return _expression_finder(needle.expression or of_words(needle.words), ignore_case=needle.ignore_case)


_begin = itemgetter(1)
"""Where a match of Aho-Corasick begins: it is the text's number, begin and end."""


class _WordsFinder:
    """Looks for a few texts by Aho-Corasick."""

    at_ends = False

    def __init__(self, words: Sequence[bytes]) -> None:
        import ahocorasick_rs

        searcher: Any = ahocorasick_rs.BytesAhoCorasick(list(words), matchkind=ahocorasick_rs.MatchKind.LeftmostFirst)
        self._search = searcher.find_matches_as_indexes

    def places(self, block: Block) -> list[int]:
        """Where the texts begin."""
        return list(map(_begin, self._search(block.view[: block.end])))


class _AnyCaseFinder(_WordsFinder):
    """The same for texts in lower case, whatever the case of what is searched. For little of that: it is copied."""

    def places(self, block: Block) -> list[int]:
        """Where the texts begin."""
        return list(map(_begin, self._search(bytes(block.view[: block.end]).lower())))


class _ExpressionFinder:
    """Looks for an expression by Hyperscan."""

    at_ends = True

    def __init__(self, database: Any) -> None:
        self._scan = database.scan
        ends: list[int] = []
        note = ends.append

        def seen(_id: int, _from: int, to: int, _flags: int, _context: object) -> None:
            note(to)

        self._ends = ends
        self._seen = seen

    def places(self, block: Block) -> list[int]:
        """Where the lines end in which the expression is found, or its end is."""
        self._ends.clear()
        self._scan(block.view[: block.end], match_event_handler=self._seen)
        return self._ends.copy()


def _expression_finder(wanted: bytes, *, ignore_case: bool) -> Finder | None:
    """Looks for an expression, where the library and its limits allow."""
    try:
        import hyperscan
    except ImportError:
        return None
    flags = hyperscan.HS_FLAG_CASELESS if ignore_case else 0
    database: Any = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    try:
        # One report a line, at its newline, however often it matches there.
        database.compile(expressions=[b"(?:" + wanted + b")[^\\n]*\\n"], ids=[0], elements=1, flags=[flags])
    except hyperscan.error:
        return None
    return _ExpressionFinder(database)


def _as_block(sample: bytes) -> Block:
    """Bytes as a block, their last line whole."""
    buffer = bytearray(sample)
    buffer += b"" if sample.endswith(b"\n") else b"\n"
    return Block(buffer, memoryview(buffer), len(buffer), 0)
