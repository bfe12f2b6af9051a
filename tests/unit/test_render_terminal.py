"""The page that a tired person reads."""

from __future__ import annotations

import io
import re
import unicodedata
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from meshdiag.model import Cause, Column, Finding, Report, Result, Table, Verdict
from meshdiag.render import render_report
from meshdiag.render.terminal import bounded, make_console, render
from tests.unit import report_strategies, reports

WIDTHS = (80, 140)
HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp", "Co", "Cn"}
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def page(report: Report, width: int = 80, encoding: str = "utf-8", **flags: object) -> str:
    """The report as a stream of that encoding and width receives it."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, write_through=True)
    render(report, make_console(stream, width=width), utc=True, **flags)  # type: ignore[arg-type]
    return raw.getvalue().decode(encoding)


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No colour or width of the machine that runs the tests."""
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "TTY_COMPATIBLE", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)


def test_the_verdict_comes_first() -> None:
    """The first word says whether to worry, the first line what is worst, the second how many, where and when."""
    first, second, third, *_ = page(reports.mixed()).splitlines()
    assert first == " FAIL  rounds are slow on 3 of 4 nodes, slowest trainer-3 with 44.2 s"
    assert second == "       2 fail, 1 unknown, 1 warn, 8 pass, 2 skip · prod · 1.4 s · 03:12:44 UTC"
    assert third == ""


def test_ages_count_from_the_moment_that_was_asked_about() -> None:
    """A sample of four seconds before --at is four seconds old there, however long ago that is; and the page
    says which moment it is about."""
    asked = replace(reports.mixed(), started=reports.NOW + timedelta(hours=5), at=reports.NOW)
    lines = page(asked).splitlines()
    assert "    fail  trainer-3    localhost:9143   44.2 s  at most 30 s   4 s ago" in lines
    assert lines[2].strip() == "prod · 1.4 s · at 2025-03-09 03:12:44 UTC"


def test_what_was_looked_at_during_the_run_is_new() -> None:
    """A sample taken while the run lasted was taken now; one from after it comes from a clock that is ahead."""
    report = reports.mixed()
    seen = {"during": timedelta(seconds=1), "ahead": timedelta(seconds=9)}
    findings = tuple(
        Finding(name, Verdict.FAIL, "down", 0.0, observed=report.started + after) for name, after in seen.items()
    )
    result = replace(report.results[0], verdict=Verdict.FAIL, findings=findings, because=None)
    shown = page(replace(report, at=None, duration_s=2.0, results=(result,), causes=(), data=None))
    assert re.search(r"during .*now$", shown, re.MULTILINE)
    assert re.search(r"ahead .*in 9 s$", shown, re.MULTILINE)


def test_causes_then_failures_then_unknown_then_warnings_then_a_count_of_what_passed() -> None:
    """What matters more stands higher, and what passed is one line."""
    text = page(reports.mixed())
    order = ["Likely cause", "✗ FAIL  Consensus", "✗ FAIL  Memory", "? UNKNOWN", "! WARN", "✓ 8 pass", "Note: "]
    places = [text.index(part) for part in order]
    assert places == sorted(places)
    assert "Votes succeed" not in text


def test_a_cause_names_each_check_once_and_nodes_by_their_names() -> None:
    """What a cause rests on is read by people: the instance of a finding becomes the name of its node."""
    cause = Cause("one slow link", ("a.b x", "consensus.round-duration localhost:9091", "a.b y", "stack.loki"), "look")
    text = page(replace(reports.mixed(), causes=(cause,)))
    assert "because of a.b (x, y), consensus.round-duration (trainer-12), stack.loki" in text


def test_a_finding_shows_its_value_beside_what_would_be_fine_and_its_age() -> None:
    """One line answers who, how much, how much is fine, and how old that is."""
    lines = page(reports.mixed()).splitlines()
    assert "    fail  trainer-3    localhost:9143   44.2 s  at most 30 s   4 s ago" in lines
    assert "    warn  aggregator-1 localhost:9143  10.02 s  at most 10 s   4 s ago" in lines


def test_each_failure_has_its_next_step_and_runbook() -> None:
    """Nobody has to remember what comes next."""
    text = page(reports.mixed())
    assert "→ See which process grows: 'ps aux --sort=-rss | head' on the node" in text
    assert "runbook high-memory-usage" in text


def test_many_findings_are_cut_to_the_worst_with_a_count() -> None:
    """A thousand nodes do not bury the verdict: five stand there, and how many more."""
    text = page(reports.big())
    assert "and 329 more (-vv shows all)" in text
    assert text.index("trainer-999") < text.index("trainer-996")
    assert len(text.splitlines()) < 20


def test_everything_is_there_when_asked_for_twice() -> None:
    """-vv leaves nothing out."""
    text = page(reports.big(50), verbose=2)
    assert all(re.search(rf"\btrainer-{n}\b", text) for n in range(50))
    assert "more (-vv" not in text


def test_verbose_lists_what_passed_and_why_the_rest_was_skipped() -> None:
    """-v gives each passing check a line, and each reason for skipping one."""
    text = page(reports.mixed(), verbose=1)
    assert "✓ PASS  Votes succeed" in text
    assert text.count("needs history, which the nodes' pages do not hold") == 1
    assert "learning.privacy-pace, peers.message-rate" in text


def test_dependants_are_folded_under_the_check_they_wait_for() -> None:
    """One dead Prometheus is one failure, not nine."""
    text = page(reports.blind())
    assert text.count("stack.prometheus") == 1
    assert "8 checks could not look because of this:" in text
    assert text.count("✗") == 1


def test_the_same_answer_for_the_same_reason_is_said_once() -> None:
    """What the deadline cut off is one block."""
    text = page(reports.blind())
    assert "3 checks have no answer" in text
    assert text.count("not reached within the deadline") == 1


def test_a_dependant_whose_gate_is_not_shown_is_shown_itself() -> None:
    """Nothing that is unknown disappears in the folding."""
    report = reports.blind()
    text = page(replace(report, results=report.results[1:]))
    assert "8 checks have no answer" in text
    assert "consensus.vote-success" in text


def test_quiet_is_the_headline_alone() -> None:
    """-q fits the last glance before sleep."""
    text = page(reports.mixed(), quiet=True)
    assert text.startswith(" FAIL ")
    assert len(text.splitlines()) == 2


@pytest.mark.parametrize("width", WIDTHS)
def test_explain_prints_commands_whole_and_on_one_line(width: int) -> None:
    """A command can be selected and pasted: no break, no cut, no colour inside."""
    lines = page(reports.mixed(), width=width, explain=True).splitlines()
    command = reports.slow_rounds().evidence[0].command
    assert "    " + command in lines
    assert not any("system_cpu" in line for line in lines)


def test_explain_covers_what_passed_when_verbose() -> None:
    """With -v the evidence of a pass can be checked too."""
    report = reports.all_pass()
    assert "curl" not in page(report, explain=True)
    assert page(report, explain=True, verbose=1).count("curl -sG") == len(report.results)


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.parametrize("verbose", [0, 1, 2])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", reports.ALL)
def test_no_line_is_longer_than_the_terminal_is_wide(name: str, width: int, verbose: int, encoding: str) -> None:
    """Nothing runs over the edge, at any width, in any alphabet."""
    text = page(reports.ALL[name](), width=width, encoding=encoding, verbose=verbose)
    assert max(map(cell_len, text.splitlines())) <= width
    assert not [line for line in text.splitlines() if line != line.rstrip()]


@pytest.mark.parametrize("name", reports.ALL)
def test_ascii_carries_the_same_words(name: str) -> None:
    """A terminal without Unicode shows signs of its own and loses no word."""
    report = reports.ALL[name]()
    plain = page(report, encoding="ascii")
    assert plain.isascii()
    assert report.verdict.upper() in plain or not report.results


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=120)
@given(report_strategies.reports, st.sampled_from([20, 40, 80, 140]), st.integers(0, 2), st.booleans())
def test_no_report_can_hurt_a_terminal_or_run_over_its_edge(
    report: Report, width: int, verbose: int, explain: bool
) -> None:
    """Whatever stands in a report: no control character, nothing hidden, no line too long, no exception."""
    text = page(report, width=width, verbose=verbose, explain=explain)
    assert not {char for char in text if unicodedata.category(char) in HIDDEN} - {"\n"}
    if not explain:
        assert max(map(cell_len, text.split("\n"))) <= width


def test_hostile_text_is_shown_not_obeyed() -> None:
    """An escape sequence in a label is visible as what it is, and markup stays text."""
    text = page(reports.hostile())
    assert r"\x1b[2J\x1b]0;owned\x07[bold red]x[/]\u202egnp.exe\u200b" in text.replace("\n       ", "")


def coloured(monkeypatch: pytest.MonkeyPatch, **environment: str) -> str:
    monkeypatch.setenv("TERM", "xterm-256color")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    stream = io.StringIO()
    render(reports.mixed(), make_console(stream))
    return stream.getvalue()


def test_a_pipe_gets_no_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is piped into a file or a program holds no escape codes."""
    assert "\x1b" not in coloured(monkeypatch)


def test_force_color_colours_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    """FORCE_COLOR is respected, and red is for FAIL alone."""
    text = coloured(monkeypatch, FORCE_COLOR="1")
    red = re.findall(r"\x1b\[(?:\d+;)*31m([^\x1b]*)", text)
    assert {text.strip() for text in red} == {"✗ FAIL", "fail", "2 fail", "44.2 s", "31 s", "94.3 %"}
    assert "\x1b[1;37;41m FAIL \x1b[0m" in text


def test_no_color_beats_force_color(monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_COLOR takes every colour away; the words still say it all."""
    text = coloured(monkeypatch, FORCE_COLOR="1", NO_COLOR="1")
    codes = {code for found in COLOUR.findall(text) for code in found[2:-1].split(";")}
    assert codes <= {"", "0", "1", "2", "7"}


def test_columns_decides_the_width(monkeypatch: pytest.MonkeyPatch) -> None:
    """COLUMNS is respected; without it and without a terminal the width is 80."""
    assert make_console(io.StringIO()).width == 80
    assert not bounded(io.StringIO())
    monkeypatch.setenv("COLUMNS", "97")
    assert make_console(io.StringIO()).width == 97
    assert bounded(io.StringIO())


def test_a_table_fits_and_says_what_it_left_out() -> None:
    """At 80 columns the last columns give way, by name; at 140 all are there."""
    narrow, wide = page(reports.nodes_table(), 80), page(reports.nodes_table(), 140)
    assert "no room for: last hour, last restart" in narrow
    assert "no room for" not in wide
    assert "2025-03-09 02:12:44 UTC" in wide


def test_a_table_in_a_pipe_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """grep and awk see every column of every row, on one line a row."""
    stream = io.StringIO()
    render_report(reports.query_table(), "table", stream)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 5
    assert "/var/lib/containers/storage/overlay/00000003/merged" in lines[-1]


def many(*, results: tuple[Result, ...], rows: int = 300) -> Report:
    """A table of a large mesh beside results."""
    named = tuple({"name": f"trainer-{n}"} for n in range(rows))
    return Report("nodes", "local", reports.NOW, results=results, data=Table((Column("name", "node"),), named))


def answered(id_: str) -> Result:
    """A check that passed."""
    return Result(id_, "title", Verdict.PASS, "fine")


def test_a_long_table_does_not_scroll_the_verdict_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal shows the first rows and how many more there are; -v and a pipe show all."""
    report = many(results=(answered("nodes.up"), answered("nodes.roles")))
    assert page(report).count("trainer-") == 20
    assert "and 280 more (-v shows all, -o json or a pipe too)" in page(report)
    assert page(report, verbose=1).count("trainer-") == 300
    stream = io.StringIO()
    render_report(report, "table", stream)
    assert stream.getvalue().count("trainer-") == 300
    assert "more" not in page(many(results=report.results, rows=20))


def test_a_table_that_is_the_answer_is_cut_later_and_a_list_never() -> None:
    """A query's rows are what was asked for; a list that no mesh makes longer is whole."""
    answer = many(results=(answered("stack.prometheus"), answered("query")))
    assert page(answer).count("trainer-") == 40
    assert page(many(results=())).count("trainer-") == 300


def test_a_filter_that_fits_nothing_is_not_called_fine() -> None:
    """The headline says that nothing was found, once; where something else is wrong the table says it."""
    empty = Table((Column("name", "name"),), (), empty="none of the 3 alerts has nope=1")
    fine = Report("alerts", "local", reports.NOW, results=(answered("a.b"), answered("a.c")), data=empty)
    assert page(fine).startswith(" PASS  none of the 3 alerts has nope=1\n")
    assert page(fine).count("none of") == 1 and "no rows" not in page(fine)
    ill = replace(fine, results=(Result("a.b", "title", Verdict.WARN, "a rule is blind"),))
    assert "a rule is blind" in page(ill) and "none of the 3 alerts has nope=1" in page(ill)


def test_data_alone_has_no_headline() -> None:
    """A query's answer is its rows; the verdict of nothing is not printed."""
    assert page(reports.query_table()).startswith("instance")
    assert page(reports.empty_table()) == "no rows\n"


def test_a_sick_row_shows_in_words() -> None:
    """Rows bear their verdict as a word beside the name."""
    assert re.search(r"trainer-2\s+✗ FAIL", page(reports.nodes_table()))
    assert re.search(r"trainer-4\s+\? UNKNOWN", page(reports.nodes_table()))


def test_trends_of_one_unit_share_a_scale() -> None:
    """The node that climbs stands out; the others lie flat; a gap stays a gap."""
    lines = page(reports.nodes_table(), 140).splitlines()
    sick = next(line for line in lines if line.startswith("trainer-2"))
    well = next(line for line in lines if line.startswith("trainer-1"))
    assert "█" in sick and "▃ ▃" in sick
    assert "▁▁▁▁ ▁▁▁▁" in well and "▂" not in well


def test_a_verdict_column_is_never_left_out() -> None:
    """However narrow the page, a row keeps its name and its verdict."""
    columns = (Column("name", "name"), *(Column(f"n{n}", "a long title", "number") for n in range(30)))
    columns += (Column("verdict", "verdict", "verdict"),)
    row = {"name": "trainer-1", "verdict": Verdict.FAIL, **{f"n{n}": 123456.0 for n in range(30)}}
    text = page(Report("x", "local", reports.NOW, data=Table(columns, (row,))), 40)
    assert "trainer-1" in text and "✗ FAIL" in text and "no room for" in text


def test_an_empty_column_is_the_first_to_go() -> None:
    """A column without a single value does not push one with values off the page, and nobody misses it."""
    columns = (Column("name", "name"), Column("none", "nothing at all", "number"), Column("n", "n", "number"))
    text = page(Report("x", "local", reports.NOW, data=Table(columns, ({"name": "trainer-1", "n": 5.0},))), 20)
    assert "no room for" not in text.replace("\n", " ") and re.search(r"trainer-1 +5\n", text)


def test_an_empty_report_is_unknown() -> None:
    """A run that looked at nothing says so, and it does not look fine."""
    text = page(Report("health", "local", reports.NOW, 0.1))
    assert text.startswith(" UNKNOWN  nothing was looked at\n")


def test_advice_is_given_only_where_it_is_for_all() -> None:
    """What the deadline cut off is not told to do what one of the checks would advise."""
    late = [
        Result(f"a.{n}", "T", Verdict.UNKNOWN, "not reached within the deadline", hint=f"advice {n}", runbook="r")
        for n in range(3)
    ]
    assert "advice" not in page(Report("health", "x", reports.NOW, results=tuple(late)))
    alike = tuple(replace(one, hint="advice for all") for one in late)
    assert "advice for all" in page(Report("health", "x", reports.NOW, results=alike))


def test_the_mesh_as_a_whole_is_no_row() -> None:
    """A finding about no node in particular is told by the summary alone."""
    found = Finding("mesh", Verdict.UNKNOWN, "the log tells of no round")
    result = Result("a.b", "T", Verdict.UNKNOWN, "the log tells of no round", (found,))
    assert not re.search(r"^ *mesh$", page(Report("health", "x", reports.NOW, results=(result,))), re.MULTILINE)


def test_explain_shows_the_command_of_an_answer_that_passed() -> None:
    """Who asks a query to explain itself gets its command, also when nothing is wrong."""
    table = reports.query_table().data
    result = Result("query", "T", Verdict.PASS, "4 series", evidence=(reports.curl("up"),))
    asked = Report("query", "x", reports.NOW, results=(result,), data=table)
    assert "    " + reports.curl("up").command in page(asked, explain=True).splitlines()
    assert "curl" not in page(asked)


def test_messages_beside_the_numbers_line_up_whatever_the_age() -> None:
    """ "now" and "1 m ago" are not equally long; what stands after them begins in one column."""
    found = tuple(
        reports.finding(f"trainer-{n}", Verdict.WARN, f"the connection to peer-{n} is young", 20.0 + n, "s",
                        reports.ROUNDS, age_s)
        for n, age_s in ((1, 0.1), (2, 65.0))
    )  # fmt: skip
    result = Result("peers.x", "T", Verdict.WARN, "two", found)
    lines = page(Report("health", "x", reports.NOW, results=(result,)), width=140).splitlines()
    assert len({line.index("the connection") for line in lines if "the connection" in line}) == 1


def test_a_long_message_does_not_run_down_beside_a_long_name() -> None:
    """It goes below the name, over the width of the page, where that takes fewer lines."""
    place = "certificates/of/a/folder/far/down/node.pem"
    message = "it is signed by itself and not among the roots of the system: nobody but who pins it can trust it"
    findings = (Finding(place, Verdict.WARN, message), Finding("b.pem", Verdict.WARN, "another"))
    result = replace(reports.mixed().results[0], verdict=Verdict.WARN, findings=findings, summary="two")
    lines = page(replace(reports.mixed(), results=(result,))).splitlines()
    where = lines.index(f"    {place}")
    assert [line[:6] for line in lines[where + 1 : where + 3]] == ["      ", "      "]
    assert " ".join("".join(line + " " for line in lines[where + 1 : where + 3]).split()) == message
