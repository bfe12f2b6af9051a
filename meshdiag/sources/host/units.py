"""Units of systemd on this machine, by systemctl and journalctl.

Source: systemctl(1), ``show``: one ``Property=value`` a line; a unit that is not there has ``LoadState=not-found``.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from typing import Final

LIMIT_S: Final = 3.0
PROPERTIES: Final = ("Id", "LoadState", "ActiveState", "SubState", "Result", "ExecMainStatus", "NRestarts", "MainPID")


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit that is there. ``active`` is systemd's word (``active``, ``failed``, ``activating`` …), ``sub`` the finer
    one (``running``, ``auto-restart``), ``result`` why it ended, ``exit_status`` that of its main process."""

    name: str
    active: str
    sub: str
    result: str = ""
    exit_status: int = 0
    restarts: int = 0
    pid: int = 0


def read_unit(name: str) -> Unit | None:
    """A unit by name; None where there is none, or no systemd."""
    said = _output("systemctl", "show", "--no-pager", f"--property={','.join(PROPERTIES)}", "--", name)
    values = dict(line.partition("=")[::2] for line in said.splitlines())
    if values.get("LoadState", "not-found") in ("not-found", ""):
        return None
    return Unit(
        values.get("Id") or name,
        values.get("ActiveState", ""),
        values.get("SubState", ""),
        values.get("Result", ""),
        _number(values.get("ExecMainStatus", "")),
        _number(values.get("NRestarts", "")),
        _number(values.get("MainPID", "")),
    )


def read_last_lines(name: str, most: int) -> tuple[str, ...]:
    """The last that a unit said, as far as the journal may be read."""
    said = _output("journalctl", "--no-pager", "--quiet", "--output=cat", f"--lines={most}", f"--unit={name}")
    return tuple(line[:200] for line in said.splitlines()[-most:])


def _output(program: str, *arguments: str) -> str:
    """What a program prints; nothing where it is not there, fails, or takes too long."""
    path = shutil.which(program)
    if path is None:
        return ""
    try:
        done = subprocess.run(
            [path, *arguments], stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else ""


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0
