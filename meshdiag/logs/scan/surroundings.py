"""Records around the wanted ones, as ``grep -A`` and ``-B`` show lines: neighbours in the file, whatever they are."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshdiag.logs.scan.blocks import Block
    from meshdiag.logs.scan.scanning import Scanner, Span

Piece = tuple[int, bytes, bool]
"""Where a record lies in what is read, its bytes, whether it is only a neighbour."""


class Surroundings:
    """Adds to the wanted records of one log up to ``before`` records in front of each and ``after`` behind.

    Blocks must come in their order, each once, also those without a wanted record.
    """

    def __init__(self, scanner: Scanner, before: int, after: int) -> None:
        self._scanner = scanner
        self._before = before
        self._after = after
        self._pending = 0
        self._earlier: deque[Piece] = deque(maxlen=before)

    def pieces(self, block: Block, spans: list[Span]) -> list[Piece]:
        """The wanted records of a block with their neighbours, in order; the first may be of the block before."""
        found: list[Piece] = []
        place = 0
        for span in spans:
            place = self._behind(block, place, span[0], found)
            found += self._in_front(block, place, span[0])
            found.append(self._piece(block, span, context=False))
            self._pending = self._after
            self._earlier.clear()
            place = span[1] if not self._scanner.cuts(block) else self._scanner.end_of(block, span[0])
        place = self._behind(block, place, block.end, found)
        self._keep(block, place)
        return found

    def _piece(self, block: Block, span: Span, *, context: bool) -> Piece:
        return block.offset + span[0], self._scanner.raw(block, span), context

    def _behind(self, block: Block, place: int, end: int, found: list[Piece]) -> int:
        """Take what is still due behind the last wanted record; where that ends."""
        while self._pending and place < end:
            following = self._scanner.end_of(block, place)
            found.append(self._piece(block, (place, following), context=True))
            self._pending -= 1
            place = following
        return place

    def _in_front(self, block: Block, place: int, end: int) -> Iterable[Piece]:
        """The records in front of a wanted one that were not given yet, those of earlier blocks among them."""
        here = self._last(block, place, end)
        missing = self._before - len(here)
        earlier = list(self._earlier)[-missing:] if missing and place == 0 else []
        return [*earlier, *here]

    def _last(self, block: Block, place: int, end: int) -> list[Piece]:
        """The last few records of a part of a block."""
        found: list[Piece] = []
        while len(found) < self._before and end > place:
            begin = self._scanner.before(block, end)
            found.append(self._piece(block, (begin, end), context=True))
            end = begin
        return found[::-1]

    def _keep(self, block: Block, place: int) -> None:
        """Remember the last records of a block that were not given."""
        if place:
            self._earlier.clear()
        self._earlier.extend(self._last(block, place, block.end))
