"""The program's entry: runs the command line and turns whatever it raises into a sentence and an exit code."""

from __future__ import annotations

import atexit
import errno
import gc
import os
import sys
from typing import TYPE_CHECKING, NoReturn

from meshdiag.errors import MeshdiagError
from meshdiag.verdict import ExitCode

if TYPE_CHECKING:
    from collections.abc import Sequence

    import click

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""What a full or broken disk answers to a write."""
RARELY = 500_000
"""New objects between two searches for garbage."""
MOST_LINES = 20
"""Lines of an error below its sentence: room for every problem of a rule file that is told, with its place."""


def main() -> NoReturn:
    """Run the program with the process's own arguments and end the process."""
    # The answer to a question about many nodes is a hundred thousand objects that all stay: looking for garbage
    # among them at every turn, and once more at exit, takes longer than judging them.
    gc.set_threshold(RARELY)
    _open_closed_streams()
    _leave(_flush(run(sys.argv[1:])))


def run(arguments: Sequence[str]) -> int:
    """Run the program and return its exit code. Never raises, never prints a traceback."""
    import click  # after ``main`` has put off the search for garbage, which costs a tenth of importing it

    from meshdiag.cli import root

    try:
        answer = root.main(args=list(arguments), prog_name="meshdiag", standalone_mode=False)
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except click.ClickException as error:
        return _usage(error)
    except MeshdiagError as error:
        _say(error.message, error.hint)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        return ExitCode.PASS
    except Exception as error:  # the last line of defence: a person gets one sentence
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            return _unwritten(error)
        if os.environ.get("MESHDIAG_DEBUG"):
            raise
        _say(f"a bug in meshdiag: {type(error).__name__}: {error}", "MESHDIAG_DEBUG=1 shows where")
        return ExitCode.BUG
    return int(answer) if isinstance(answer, int) else ExitCode.PASS


def _usage(error: click.ClickException) -> int:
    context = getattr(error, "ctx", None)
    _say(error.format_message(), f"'{context.command_path} --help' shows how" if context else "")
    return ExitCode.USAGE


def _say(message: str, hint: str = "") -> None:
    """One clear sentence on stderr, whatever is in it; where it is wrong (a line and a caret) stands below."""
    import click

    from meshdiag.render.safe import few_lines, one_line

    first, _, place = message.partition("\n")
    click.echo(f"meshdiag: {one_line(first)}", err=True)
    for line in few_lines(place, MOST_LINES):
        click.echo(line, err=True)
    if hint:
        click.echo(f"  {one_line(hint)}", err=True)


def _open_closed_streams() -> None:
    """Give the process the streams that it was started without (``>&-``): what is printed there goes nowhere."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 (it stays open as long as the process)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115, PTH123


def _leave(code: int) -> NoReturn:
    """End the process once the answer is printed. What waits for the end (temporary folders) is done; the interpreter
    is not taken down object by object, nor waited for threads: one that asks a name server cannot be stopped."""
    atexit._run_exitfuncs()
    os._exit(code)


def _unwritten(error: OSError) -> int:
    """Say that the answer could not be written; a script must not take half of it for the whole."""
    _say(f"the answer could not be written: {(error.strerror or str(error)).lower()}")
    return ExitCode.UNKNOWN


def _flush(code: int) -> int:
    """Write what is left; a reader that has gone away is no error. The exit code, which a full disk changes."""
    try:
        sys.stdout.flush()
    except OSError as error:
        # The interpreter flushes once more at exit, and would complain there.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if error.errno in NO_ROOM:
            return code if code == ExitCode.UNKNOWN else _unwritten(error)
    return code


if __name__ == "__main__":
    main()
