"""Durations as rule files write them: whole numbers with units, the largest first (``1h30m``), or ``0``."""

from __future__ import annotations

import re

_SPAN = re.compile(r"(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?", re.ASCII)
_UNIT_MS = (31_536_000_000, 604_800_000, 86_400_000, 3_600_000, 60_000, 1000, 1)
_LONGEST_MS = 2**63 // 1_000_000
"""Prometheus counts nanoseconds in 64 bits."""


def parse_span(text: str) -> int:
    """Milliseconds. Raises ``ValueError`` in Prometheus's words."""
    if text == "0":
        return 0
    if not text:
        raise ValueError("empty duration string")
    found = _SPAN.fullmatch(text) if len(text) <= 100 else None
    if found is None:
        raise ValueError(f'not a valid duration string: "{text[:40]}"')
    total = sum(int(count) * unit for count, unit in zip(found.groups(), _UNIT_MS, strict=True) if count)
    if total > _LONGEST_MS:
        raise ValueError("duration out of range")
    return total
