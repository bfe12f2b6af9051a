"""The documentation says what the program does: every command, exit code and runbook is mentioned and real."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from meshdiag.cli import root
from meshdiag.model import ExitCode
from tests.program import run

TOP = Path(__file__).parents[2]
README = (TOP / "README.md").read_text()


def commands(group: click.Group = root, before: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], click.Command]]:
    """Every command with the words that call it."""
    found: list[tuple[tuple[str, ...], click.Command]] = []
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        words = (*before, name)
        found += commands(command, words) if isinstance(command, click.Group) else [(words, command)]
    return found


@pytest.mark.parametrize(
    ("words", "command"), commands(), ids=lambda value: " ".join(value) if isinstance(value, tuple) else ""
)
def test_every_command_is_in_the_readme_and_has_help(words: tuple[str, ...], command: click.Command) -> None:
    """A command that nobody mentions is a command that nobody finds."""
    assert re.search(rf"`meshdiag {words[0]}\b", README), words
    assert all(re.search(rf"\b{word}\b", README) for word in words), words
    assert command.help
    assert all(parameter.help for parameter in command.params if isinstance(parameter, click.Option))


def test_every_exit_code_is_in_the_readme() -> None:
    """The table of exit codes is the contract of scripts."""
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", README, re.MULTILINE)}
    assert documented == {int(code) for code in ExitCode}


def test_the_configuration_in_the_readme_is_valid(tmp_path: Path) -> None:
    """What people copy from the README works."""
    (example,) = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    config = tmp_path / "meshdiag.toml"
    config.write_text(example)
    ran = run("--config", str(config), "config", "show", "-o", "json")
    assert ran.code == 0, ran.stderr
    assert "prometheus.example" in ran.stdout
    assert run("--config", str(config), "checks", "consensus.round-duration").code == 0


def test_help_examples_are_commands_that_parse() -> None:
    """Every example line in a help text names a real command and real options."""
    known = {words for words, _command in commands()}
    for words, command in commands():
        for line in re.findall(r"^\s*meshdiag (\S.*)$", command.help or "", re.MULTILINE):
            first = line.split("--")[0].split()
            assert any(first[: len(one)] == list(one) for one in known), (words, line)
            for option in re.findall(r"(?<=\s)(--[a-z-]+)", line.split(" -- ")[0].split("#")[0]):
                target = next(cmd for one, cmd in commands() if first[: len(one)] == list(one))
                options = {opt for parameter in target.params for opt in (*parameter.opts, *parameter.secondary_opts)}
                assert option in options | {"--context", "--config"}, (words, line, option)


@pytest.mark.parametrize(
    "arguments", [(), ("health", "--nonsense"), ("helth",), ("query",), ("health", "--only", "nope")]
)
def test_wrong_usage_is_one_sentence_and_64(arguments: tuple[str, ...]) -> None:
    """Wrong usage says what is wrong on stderr and prints nothing on stdout."""
    ran = run(*arguments)
    if not arguments:
        assert "Usage" in ran.stdout + ran.stderr
        return
    assert (ran.code, ran.stdout) == (64, "")
    assert ran.stderr.startswith("meshdiag: ")


def test_version_and_help_import_nothing_heavy() -> None:
    """The two answers that must be instant load neither httpx, rich nor cryptography."""
    import subprocess
    import sys

    heavy = ("httpx", "rich", "cryptography", "msgspec", "orjson", "promql_parser", "plotext", "asyncio")
    for argument in ("--version", "--help"):
        code = (
            "import sys\nfrom meshdiag.__main__ import run\n"
            f"code = run([{argument!r}])\nprint(code, [name for name in {heavy!r} if name in sys.modules])"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == "0 []", argument
