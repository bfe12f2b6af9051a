"""Configuration: contexts, thresholds and their precedence, filled into ``meshdiag.context.Context``.

Flags over environment over one file (--config, MESHDIAG_CONFIG or ./meshdiag.toml) over the user's file over
built-in defaults. ``loading`` finds and reads the layers, ``tables`` and its neighbours read one file,
``merging`` lays them over each other and keeps credentials where they belong; ``presence`` tells whether there is
anything to read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from meshdiag.config.loading import Loaded, Place, load

__all__ = ["Loaded", "Place", "load"]


def __getattr__(name: str) -> Any:
    """Import ``loading`` when something of it is asked for."""
    if name not in __all__:
        raise AttributeError(name)
    from meshdiag.config import loading

    return getattr(loading, name)
