"""Whether there is any configuration at all: told without reading it, for commands that must start at once."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

HARMLESS = frozenset({"MESHDIAG_DEBUG"})
"""Variables that say nothing of a mesh."""


def may_be_configured(environ: Mapping[str, str]) -> bool:
    """Whether a file or a variable may say something; False where the built-in defaults are certainly in force.

    It knows the user's folder of Linux alone (XDG): elsewhere there may always be something.
    """
    if any(name.startswith("MESHDIAG_") and name not in HARMLESS for name in environ):
        return True
    if not sys.platform.startswith("linux"):
        return True
    folder = environ.get("XDG_CONFIG_HOME", "")
    if not folder.startswith("/"):
        folder = os.path.expanduser("~/.config")  # noqa: PTH111 - pathlib costs more than the answer
    return any(os.path.lexists(path) for path in ("meshdiag.toml", f"{folder}/meshdiag/config.toml"))
