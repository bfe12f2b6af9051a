"""Runs the whole program as a user would, and hands back what it printed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema

import meshdiag

if TYPE_CHECKING:
    from collections.abc import Mapping

PACKAGE = Path(meshdiag.__file__).parent


@cache
def schema() -> dict[str, Any]:
    """The JSON Schema that ships with the package."""
    loaded: dict[str, Any] = json.loads((PACKAGE / "report.schema.json").read_text())
    return loaded


@dataclass(frozen=True)
class Ran:
    """One run: exit code, stdout, stderr."""

    code: int
    stdout: str
    stderr: str

    @property
    def report(self) -> dict[str, Any]:
        """stdout as a report, validated against the schema."""
        document: dict[str, Any] = json.loads(self.stdout)
        jsonschema.validate(document, schema())
        return document

    def check(self, id_: str) -> dict[str, Any]:
        """One check of the report, by id."""
        (found,) = [one for one in self.report["checks"] if one["id"] == id_]
        result: dict[str, Any] = found
        return result

    @property
    def verdicts(self) -> dict[str, str]:
        """The verdict of each check, by id."""
        return {one["id"]: one["verdict"] for one in self.report["checks"]}


def clean_environment(**more: str) -> dict[str, str]:
    """The process's environment without what would steer meshdiag, colours or proxies; plus ``more``."""
    steering = ("MESHDIAG_", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "http_proxy", "HTTP_PROXY")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(steering)}
    return kept | {"XDG_CONFIG_HOME": "/nonexistent"} | more


def run(
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float = 60,
    stdin: str | None = None,
) -> Ran:
    """Run ``meshdiag ARGUMENTS`` in a process of its own. A traceback is always a failure of the test."""
    done = subprocess.run(
        [sys.executable, "-m", "meshdiag", *arguments],
        env=clean_environment(**(environment or {})),
        cwd=cwd,
        input=stdin,
        stdin=None if stdin is not None else subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert "Traceback" not in done.stdout, done.stdout
    return Ran(done.returncode, done.stdout, done.stderr)
