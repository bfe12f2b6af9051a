"""Where the answer goes: a closed stream, a full disk, a reader that leaves early."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.program import clean_environment, run

NOBODY = "health --direct --only nodes.up"


def shell(line: str) -> tuple[int, str, str]:
    """Run a shell line in which ``$MESHDIAG`` is the program."""
    program = f"{sys.executable} -m meshdiag"
    done = subprocess.run(
        ["/bin/sh", "-c", line.replace("$MESHDIAG", program)],
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("command", [NOBODY, f"{NOBODY} -o json", f"{NOBODY} -o short"])
def test_closed_streams_change_nothing_but_what_is_seen(command: str) -> None:
    """Started without stdout or stderr, as some daemons start programs, the exit code still tells the verdict."""
    code, _, _ = shell(f"$MESHDIAG {command}")
    assert code == 3
    assert shell(f"$MESHDIAG {command} >&-") == (code, "", "")
    assert shell(f"$MESHDIAG {command} 2>&-")[0] == code
    assert shell(f"$MESHDIAG {command} >&- 2>&-")[0] == code


@pytest.mark.parametrize("command", [NOBODY, f"{NOBODY} -o json", "schema", "checks"])
def test_a_full_disk_is_said_and_is_no_bug(command: str) -> None:
    """Half an answer must not pass for one: one sentence, and the exit code for what could not be told."""
    assert shell(f"$MESHDIAG {command} > /dev/full") == (
        3,
        "",
        "meshdiag: the answer could not be written: no space left on device\n",
    )


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    """``| head -1`` gets its line, and stderr stays empty."""
    code, out, err = shell("$MESHDIAG checks | head -1")
    assert (code, len(out.splitlines()), err) == (0, 1, "")


def test_a_moment_to_come_is_refused() -> None:
    """Nobody has looked at tomorrow: that is a slip, and no verdict."""
    ran = run("health", "--at", "2999-01-01T00:00:00Z")
    assert ran.code == 64
    assert "2999-01-01 00:00:00 UTC is still to come" in ran.stderr
