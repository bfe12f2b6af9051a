"""Headers that are known beforehand."""

from __future__ import annotations

from meshdiag.logs.formats.text import Header

PLAIN = Header("text without times", rb"(?!)", None)
