"""What the root of the command line knows: which context, which configuration file, which overrides."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from meshdiag.config import Loaded


class Invocation:
    """The flags that say which mesh is meant. ``overrides`` maps a source's name to the URL given by a flag;
    ``environ`` stands in for the process's environment."""

    def __init__(
        self, context: str | None = None, config_file: Path | None = None, environ: Mapping[str, str] = os.environ
    ) -> None:
        self.context = context
        self.config_file = config_file
        self.overrides: dict[str, str] = {}
        self.environ = environ

    def load(self) -> Loaded:
        """Read the configuration. Raises ``ConfigError``, also for the settings of a check that does not exist."""
        from meshdiag.checks import all_checks
        from meshdiag.config import load

        return load(
            config_file=self.config_file,
            context=self.context,
            environ=self.environ,
            overrides=self.overrides,
            known_checks=all_checks,
        )
