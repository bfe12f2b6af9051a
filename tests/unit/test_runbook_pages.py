"""The pages: what they tell a tired person to type exists, parses, and is about checks that there are."""

from __future__ import annotations

import re
import shlex
from fnmatch import fnmatchcase

import click
import pytest

from meshdiag.checks import all_checks
from meshdiag.cli import root
from meshdiag.model import Range
from meshdiag.promql.parsing import parse
from meshdiag.rules.builtin import mesh_rules
from meshdiag.runbook import library

NAMES = library.names()
EXPECTED = {
    "node-down",
    "slow-consensus",
    "consensus-failure",
    "byzantine-node",
    "leader-churn",
    "high-memory-usage",
    "capacity",
    "low-peer-count",
    "network-latency",
    "model-accuracy-drop",
    "training-stalled",
    "privacy-budget",
    "security-events",
    "certificate-expiry",
    "monitoring-stack",
    "alerts",
    "log-errors",
}
_BLOCK = re.compile(r"^```(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`(meshdiag [^`]+)`")


def blocks(name: str, language: str) -> list[str]:
    """The fenced blocks of a page in one language."""
    return [body for found, body in _BLOCK.findall(library.read(name).text) if found == language]


def commands(name: str) -> list[str]:
    """Every meshdiag command line of a page, fenced or in the text."""
    text = library.read(name).text
    fenced = [line for block in blocks(name, "meshdiag") for line in block.splitlines() if line.strip()]
    return [*fenced, *_INLINE.findall(_BLOCK.sub("", text))]


def test_the_pages_are_all_there():
    """Checks, alerts and pages point to one another by these names."""
    assert set(NAMES) >= EXPECTED


def test_every_alert_of_the_mesh_has_exactly_one_page():
    """Whoever holds an alert's name finds its page."""
    for rule in mesh_rules().rules:
        assert len([name for name in NAMES if rule.name in library.read(name).alerts]) == 1, rule.name


@pytest.mark.parametrize("name", NAMES)
def test_a_page_answers_what_a_tired_person_asks(name):
    """What it means, how urgent, what to do first, when it is over, whom to call."""
    text = library.read(name).text
    for part in ("**What it means.**", "**How urgent.**", "## Do first", "## Over when", "## Escalate"):
        assert part in text or (name == "alerts" and part == "## Do first"), f"{name} lacks {part}"
    assert len(text.split()) < 500, "too long for three in the morning"
    assert max(map(len, text.splitlines())) < 260


@pytest.mark.parametrize("name", NAMES)
def test_every_block_is_in_a_known_language(name):
    """Only meshdiag and promql blocks are for running; sh is shown. A block without a language is a slip."""
    languages = {found for found, _ in _BLOCK.findall(library.read(name).text)}
    assert languages <= {"meshdiag", "promql", "sh"}
    assert "meshdiag" in languages


@pytest.mark.parametrize("line", sorted({line for name in NAMES for line in commands(name)}))
def test_every_command_is_one_that_meshdiag_takes(line):
    """A command of a page parses, with its options, and its check ids and expressions are real."""
    program, *arguments = shlex.split(line)
    assert program == "meshdiag"
    with click.Context(root, info_name="meshdiag", obj=object()) as context:
        command = root.get_command(context, arguments[0])
        assert command is not None, f"there is no command {arguments[0]}"
        if isinstance(command, click.Group):
            assert command.get_command(context, arguments[1]) is not None
            return
        parsed = command.make_context(arguments[0], arguments[1:], parent=context)
    for pattern in (*parsed.params.get("only", ()), *parsed.params.get("skip", ())):
        assert any(fnmatchcase(id_, pattern) for id_ in all_checks()), f"no check is called {pattern}"
    if arguments[0] == "query" and not parsed.params.get("metrics"):
        parse(parsed.params["promql"])


@pytest.mark.parametrize("name", NAMES)
def test_every_expression_parses_and_expects_something(name):
    """A promql block is one expression under the range of values that is fine; an empty answer fits no range."""
    for block in blocks(name, "promql"):
        expectation, *expression = block.splitlines()
        assert expectation.startswith("# expect: ")
        Range.parse(expectation.removeprefix("# expect: "))
        parse("\n".join(expression))


@pytest.mark.parametrize("name", NAMES)
def test_the_traps_of_the_documented_procedures_are_not_repeated(name):
    """No unquoted query URL, no tail that stops at rotation, no interactive top, no default password."""
    shown = "\n".join(blocks(name, "sh"))
    assert "query?query=" not in shown
    assert "tail -f " not in shown
    assert not re.search(r"\btop -o", shown)
    assert "admin123" not in shown
    assert "docker-compose restart" not in shown
