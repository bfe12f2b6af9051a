"""The cutting of a page: what is a step, what is only text, which condition holds."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshdiag.errors import UsageError
from meshdiag.model import Range, Verdict
from meshdiag.runbook import library
from meshdiag.runbook.steps import MOST_STEPS, Kind, Prose, Section, Step, parse_when, sections, steps

HEAD = "---\ntitle: x\n---\n"


def cut(text: str) -> tuple[Section, ...]:
    """The sections of a page with this text, which begins at line 4."""
    return sections(library.parse("x", Path("x.md"), HEAD + text))


def only_step(text: str) -> Step:
    """The one step of a text."""
    (step,) = steps(cut(text))
    return step


@pytest.mark.parametrize("name", library.names())
def test_every_shipped_page_has_steps_without_a_slip(name):
    """Our own pages are in the format, and no line of them is lost on the way."""
    page = library.read(name)
    found = sections(page)
    assert list(steps(found))
    assert not [one for step in steps(found) for one in step.problems]
    lines = page.text.split("\n")
    for section in found:
        for part in section.parts:
            if isinstance(part, Prose):
                assert lines[part.number - page.first_line :][0].strip() in ("", part.text.split("\n")[0].strip())
            else:
                assert lines[part.number - page.first_line].startswith(f"```{part.kind}")


def test_the_three_languages_are_read():
    """Command lines, ids of checks, an expression with its range and its time, a filter with its limit."""
    found = cut(
        "# A\ntext\n```meshdiag\n# a comment\nmeshdiag query 'up == 0'\nnodes.up peers.*\n```\n"
        "more\n## B\n```promql\n# expect: 1:\n# for: 5m\nmin(\n  up)\n```\n"
        "```logs\n# limit: 20\n--errors --since 15m\n```\n"
    )
    assert [section.title for section in found] == ["A", "B"]
    first, second, third = steps(found)
    assert [(one.words, one.checks, one.number) for one in first.lines] == [
        (("query", "up == 0"), False, 8),
        (("nodes.up", "peers.*"), True, 9),
    ]
    assert [one.text for one in first.lines] == [
        "meshdiag query 'up == 0'",
        "meshdiag health --only nodes.up --only 'peers.*'",
    ]
    assert (second.expression, second.expect) == ("min(\n  up)", Range.parse("1:"))
    assert second.lasting == timedelta(minutes=5)
    assert third.lines[0].words == ("logs", "--errors", "--since", "15m", "--tail", "20")
    assert not any(step.problems for step in (first, second, third))


@pytest.mark.parametrize(
    "text",
    [
        "```sh\nrm -rf /\n```",
        "```\nmeshdiag nodes\n```",
        "```meshdiagnostics\nmeshdiag nodes\n```",
        "````markdown\n```meshdiag\nmeshdiag nodes\n```\n````",
        "~~~meshdiag\nmeshdiag nodes\n~~~",
        "    ```meshdiag\n    meshdiag nodes\n    ```",
        " ```meshdiag\nmeshdiag nodes\n ```",
        "- one\n\n  ```meshdiag\n  meshdiag nodes\n  ```",
        "> ```meshdiag\n> meshdiag nodes\n> ```",
        "<div>\n```meshdiag\nmeshdiag nodes\n```\n</div>",
        "<!--\n```meshdiag\nmeshdiag nodes\n```\n-->",
        "`meshdiag nodes`",
    ],
)
def test_everything_else_is_text(text):
    """Other languages, indented, quoted, nested and commented blocks are no steps."""
    assert not list(steps(cut(f"# A\n\n{text}\n")))


def test_a_block_that_is_never_closed_does_not_swallow_the_page():
    """The rest of the page would stand in it as commands: it is refused whole."""
    step = only_step("# A\n```meshdiag\nmeshdiag nodes\n\n## B\nmeshdiag lab up\n")
    assert not step.lines and "never closed" in step.problems[0][1]
    assert not only_step("````meshdiag\nmeshdiag nodes\n```\n").lines


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("```promql\nup\n```", 4, "no expectation"),
        ("```promql\n# expect: < 10\nup\n```", 5, "is not a range"),
        ("```promql\n# expect: 1:\n# for: soon\nup\n```", 6, "is not a duration"),
        ("```promql\n# expect: 1:\n```", 4, "no expression"),
        ("```meshdiag\n```", 4, "is empty"),
        ("```meshdiag\nmeshdiag query 'up\n```", 5, "cannot be read: no closing quotation"),
        ("```meshdiag when: often\nmeshdiag nodes\n```", 4, "'often' is no condition; write when: and some of pass"),
        ("```meshdiag\n# when: skip\nmeshdiag nodes\n```", 4, "is no condition"),
        ("```meshdiag run=always\nmeshdiag nodes\n```", 4, "is none of 'when"),
        ("```logs\n--errors\n```", 4, "no limit"),
        ("```logs\n# limit: all\n--errors\n```", 4, "no limit"),
    ],
)
def test_a_slip_is_named_with_its_line(text, line, says):
    """A step that cannot be run says why and where, so that it is mended rather than guessed at."""
    ((number, sentence),) = only_step(text).problems
    assert number == line and says in sentence


def test_conditions_hold_by_the_worst_verdict_so_far():
    """In the info string, in a first comment, under a heading; before the first verdict none holds."""
    assert only_step("```meshdiag when: fail\nmeshdiag nodes\n```").when.holds(Verdict.FAIL)
    step = only_step("```meshdiag\n# when: warn, unknown\nmeshdiag nodes\n```")
    assert [one for one in Verdict if step.when.holds(one)] == [Verdict.WARN, Verdict.UNKNOWN]
    assert not step.when.holds(None) and only_step("```meshdiag\nmeshdiag nodes\n```").when.holds(None)
    first, second = cut("# A\n\n<!-- when: fail -->\n\ntext\n## B\ntext\n<!-- when: fail -->\n")
    assert str(first.when) == "fail" and not second.when.verdicts
    assert str(parse_when("fail, pass")) == "pass, fail"
    with pytest.raises(UsageError):
        parse_when(", ,")


def test_a_section_with_an_unreadable_condition_never_runs():
    """Better nothing than what was perhaps not meant."""
    (section,) = cut("# A\n<!-- when: perhaps -->\n```meshdiag\nmeshdiag nodes\n```\n")
    assert section.problems[0][0] == 5
    assert not any(section.when.holds(one) for one in (None, Verdict.PASS, Verdict.FAIL, Verdict.UNKNOWN))


def test_hidden_line_ends_make_no_lines():
    """A separator that an editor does not show does not end a comment."""
    step = only_step("```meshdiag\n# nothing\u2028meshdiag lab up\n# x\x0bmeshdiag lab up\nmeshdiag nodes\n```")
    assert [one.words for one in step.lines] == [("nodes",)]


def test_a_page_has_an_end():
    """Steps beyond any sensible number are refused one by one."""
    found = list(steps(cut("```meshdiag\nmeshdiag nodes\n```\n" * (MOST_STEPS + 2))))
    assert [bool(step.problems) for step in found].count(True) == 2


@given(
    st.lists(st.sampled_from(["```meshdiag", "```", "~~~", "# A", "- ", "> ", "\r", "\0", "    ", "x", "<!--", "-->"]))
)
def test_any_text_is_cut(words):
    """Whatever stands in a page, it becomes sections whose lines are lines of the page."""
    text = "\n".join(words)
    for section in cut(text):
        assert 4 <= section.number <= 4 + len(text)
        assert all(part.number >= 4 for part in section.parts)
    assert all(step.kind is Kind.MESHDIAG for step in steps(cut(text)))
