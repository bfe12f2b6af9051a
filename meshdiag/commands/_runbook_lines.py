"""Command lines of a runbook, read by the commands themselves without being run: what of them may be run from a page.

A page is text that somebody wrote, perhaps not the reader. So a command is run from it only when it is one of those
that look, without the flags that try, send, wait or use a secret, and without those that say which mesh is meant or
which configuration is trusted: these are the reader's own. There is no shell anywhere.
"""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from meshdiag.errors import MeshdiagError, UsageError
from meshdiag.spelling import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

LOOKING = frozenset(
    {
        *("alerts", "certs", "checks", "consensus", "dashboards", "health", "logs"),
        *("memory", "nodes", "peers", "query", "security", "stack", "traces"),
    }
)
"""Commands that change nothing, with the flags below left out."""
YOURS = frozenset({"context", "config", "prometheus_url", "alertmanager_url", "kube_context"})
SECRETS = frozenset({"client_cert", "client_key", "password_file"})
ENDLESS = frozenset({"watch", "follow"})
CHANGING = frozenset({"valgrind"})


@dataclass(frozen=True, slots=True)
class Read:
    """A command line that parses. ``never`` says why it has no place in a step, ``by_hand`` why it is left to the
    reader; where both are "" it may be run from a page. ``given``: the options that it names itself; ``takes``: those
    that its command has; ``formats``: of ``-o``."""

    name: str
    never: str
    by_hand: str
    given: frozenset[str]
    takes: frozenset[str]
    formats: tuple[str, ...]


def read_line(root: click.Command, words: Sequence[str]) -> Read:
    """Read a command line, without the program's name. Raises ``UsageError`` for one that meshdiag does not take,
    or whose checks or expression do not exist."""
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed), click.Context(root, info_name="meshdiag", obj=object()) as top:
            command, name, rest = _find(root, top, list(words))
            parsed = command.make_context(name, rest, parent=top)
    except click.exceptions.Exit:
        raise UsageError("it prints a help text, which is no step") from None
    except click.ClickException as error:
        raise UsageError(error.format_message().rstrip(".")) from None
    if not name.startswith("runbook"):
        _judge(name, parsed.params)
    given = frozenset(one for one in parsed.params if parsed.get_parameter_source(one) is ParameterSource.COMMANDLINE)
    choices = [one.type for one in command.params if one.name == "format"]
    formats = tuple(map(str, choices[0].choices)) if choices and isinstance(choices[0], click.Choice) else ()
    takes = frozenset(one.name for one in command.params if one.name)
    flags = {one.name: one.opts[0] for one in command.params if one.name in given and parsed.params[one.name]}
    return Read(name, _never(name, flags), _by_hand(flags), given, takes, formats)


def _find(root: click.Command, top: click.Context, words: list[str]) -> tuple[click.Command, str, list[str]]:
    """The command that is meant, its whole name and its arguments."""
    command, path = root, list[str]()
    while isinstance(command, click.Group):
        word = words.pop(0) if words else ""
        found = None if word.startswith("-") else command.get_command(top, word)
        if found is None:
            path_text = " ".join(("meshdiag", *path))
            hint = did_you_mean(word, command.list_commands(top), "'meshdiag --help' lists them")
            raise UsageError(f"{path_text} has no command {word[:40]!r}", hint=hint)
        command = found
        path.append(word)
    return command, " ".join(path), words


def _judge(name: str, params: Mapping[str, Any]) -> None:
    """Raise ``UsageError`` for checks that do not exist and for an expression that does not parse."""
    from meshdiag.checks import all_checks
    from meshdiag.promql.parsing import parse

    for pattern in (*params.get("only", ()), *params.get("skip", ())):
        if not any(fnmatchcase(id_, pattern) for id_ in all_checks()):
            raise UsageError(f"no check is called {pattern!r}", hint=did_you_mean(pattern, all_checks(), ""))
    if name == "query" and not params.get("metrics"):
        if not params.get("promql"):
            raise UsageError("an expression is missing")
        try:
            parse(params["promql"])
        except MeshdiagError as error:
            raise UsageError(error.message.partition("\n")[0], hint=error.hint) from None


def _never(name: str, flags: Mapping[str, str]) -> str:
    """Why a line has no place in a step; "" when it has. ``flags``: those that it gives, as they are typed."""
    if name not in LOOKING:
        return f"'meshdiag {name}' is not one of the commands that only look"
    for key, flag in flags.items():
        if key in YOURS:
            return f"{flag} is for the reader to say, not for a page"
        if key in CHANGING or key.startswith("send_"):
            return f"{flag} does more than look"
    return ""


def _by_hand(flags: Mapping[str, str]) -> str:
    """Why a line is left to the reader; "" when it is not."""
    for key, flag in flags.items():
        if key.startswith("try_"):
            return f"{flag} tries something: type it yourself if you want it"
        if key in SECRETS:
            return f"{flag} uses a secret of yours: type it yourself if you want it"
        if key in ENDLESS:
            return f"{flag} goes on until it is stopped: type it yourself"
    return ""
