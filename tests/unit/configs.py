"""A small world to read configuration in: a user's file, a working directory, an environment."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from meshdiag.config import Loaded, load


@dataclass
class World:
    """Where configuration is looked at. Nothing of the machine's own shines through."""

    root: Path
    environ: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for folder in (self.home, self.project):
            folder.mkdir(parents=True)

    @property
    def home(self) -> Path:
        """The folder of the user's file."""
        return self.root / "home"

    @property
    def project(self) -> Path:
        """The working directory."""
        return self.root / "project"

    def user(self, text: str) -> Path:
        """Write the user's own file."""
        return self._write(self.home / "config.toml", text)

    def found(self, text: str) -> Path:
        """Write the file in the working directory."""
        return self._write(self.project / "meshdiag.toml", text)

    def given(self, text: str) -> Path:
        """Write a file to be given by name."""
        return self._write(self.root / "given.toml", text)

    def load(self, **more: object) -> Loaded:
        """Load with this world's files and environment."""
        options: dict[str, object] = {"environ": self.environ, "cwd": self.project}
        return load(**{**options, "user_file": self.home / "config.toml", **more})  # type: ignore[arg-type]

    def _write(self, path: Path, text: str) -> Path:
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)
        return path
