"""Configuration: contexts, thresholds and their precedence, filled into ``meshdiag.context.Context``.

Flags over environment over one file (--config, MESHDIAG_CONFIG or ./meshdiag.toml) over the user's file over
built-in defaults. ``loading`` finds and reads the layers, ``tables`` and its neighbours read one file,
``merging`` lays them over each other and keeps credentials where they belong.
"""

from __future__ import annotations

from meshdiag.config.loading import Loaded, Place, load

__all__ = ["Loaded", "Place", "load"]
