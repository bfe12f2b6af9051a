"""Matchers that narrow a question to some instances or names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def any_of(texts: Iterable[str]) -> str:
    """A regular expression for just these texts, as it stands within quotes."""
    return "|".join(map(re.escape, texts)).replace("\\", "\\\\").replace('"', '\\"')
