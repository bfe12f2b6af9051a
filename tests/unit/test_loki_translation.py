"""A selection as LogQL: what Loki sends back for it, read by a reference reader of LogQL, holds every record that the
exact test would choose, whatever the lines, labels and flags; and where everything can be said, nothing more."""

from __future__ import annotations

import json
import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
import re2
from hypothesis import given, settings
from hypothesis import strategies as st

from meshdiag.context import Credentials, Endpoint, Secret, SecretKind
from meshdiag.errors import ConfigError, UsageError
from meshdiag.logs.formats import Hints
from meshdiag.logs.formats.detecting import detect
from meshdiag.logs.matching import Matcher
from meshdiag.logs.record import Level
from meshdiag.logs.selection import Pattern, Selection
from meshdiag.logs.tally import Tally
from meshdiag.logs.where import parse_where
from meshdiag.sources.loki import Loki, said
from meshdiag.sources.loki.entries import Entry
from meshdiag.sources.loki.fields import Lines
from meshdiag.sources.loki.labels import LabelNames, Streams
from meshdiag.sources.loki.logql import Query, quoted
from meshdiag.sources.loki.reading import Reader
from meshdiag.sources.loki.translate import asks_for_fields, translate
from tests.logqlreference import Line, read_query

LOGS = Path("../shared/data/logs")
BASE = '{job="agent-mesh"}'
ERRORS = frozenset({Level.WARN, Level.ERROR, Level.FATAL})
STAMP = "2026-11-22T11:57:53Z"

WORDS = (
    "timeout",
    "Timeout",
    "peer lost",
    "é✓",
    "a.b",
    "axb",
    "aéb",
    "kilo",
    "round",
    "error",
    "info",
    "node-1",
    "x\\y",
    'say "hi"',
)
NAMES = ("consensus", "Consensus", "network", "n1", "node-1", "")
LEVELS = ("INFO", "error", "Warn", "fatal", "debug")
words = st.sampled_from(WORDS)
names = st.sampled_from(NAMES)
levels = st.sampled_from(LEVELS)
numbers = st.one_of(st.integers(-3, 12), st.sampled_from([1.5, 1e3, 0.25]))
values = st.one_of(numbers, words, st.booleans(), st.none(), st.builds(list), st.fixed_dictionaries({"round": numbers}))


@st.composite
def json_lines(draw: st.DrawFn) -> str:
    """An object as a program writes it; sometimes torn, sometimes spelled with escapes."""
    body = {"ts": STAMP, "level": draw(levels), "msg": draw(words)}
    body |= draw(st.dictionaries(st.sampled_from(["consensus", "round", "peer", "component", "node", "took"]), values))
    text = json.dumps(
        body, ensure_ascii=draw(st.booleans()), separators=draw(st.sampled_from([(",", ":"), (", ", ": ")]))
    )
    if draw(st.booleans()):
        text = text.replace("e", "\\u0065").replace("N", "\\u004e")
    return text[:-3] if draw(st.integers(0, 9)) == 0 else text


@st.composite
def logfmt_lines(draw: st.DrawFn) -> str:
    """Pairs."""
    pairs = draw(
        st.dictionaries(st.sampled_from(["round", "peer", "component", "node", "took"]), st.one_of(numbers, words))
    )
    fields = {"ts": STAMP, "level": draw(levels), "msg": draw(words), **pairs}
    return " ".join(f"{key}={json.dumps(str(value), ensure_ascii=False)}" for key, value in fields.items())


texts = st.builds(lambda level, name, word: f"{STAMP} [{level}] {name}: {word}", levels, names, words)
kinds = st.sampled_from([json_lines(), logfmt_lines(), texts, st.one_of(json_lines(), logfmt_lines(), texts)])


@st.composite
def streams(draw: st.DrawFn) -> list[tuple[dict[str, str], str]]:
    """Lines with their stream's labels."""
    optional = {"component": names, "node": names, "level": levels, "severity": levels, "host": names, "peer": words}
    labelled = st.fixed_dictionaries({"job": st.just("agent-mesh")}, optional=optional)
    line = draw(kinds)
    return draw(st.lists(st.tuples(labelled, line), min_size=1, max_size=8))


regexes = st.sampled_from(
    [
        r"time?out",
        r"a.b",
        r"a..b",
        r"^\{",
        r"\bround\b",
        r"[^a-z]9",
        r"(error|info)",
        r"\W",
        r"é.",
        r"hi\S*$",
        "k.lo",
        "x",
    ]
)
patterns = st.one_of(
    st.builds(Pattern, words, fixed=st.just(True), ignore_case=st.booleans(), invert=st.booleans()),
    st.builds(Pattern, regexes, ignore_case=st.booleans(), invert=st.booleans()),
)
comparisons = (
    "round > 5", "consensus.round >= 0", "peer = timeout", "peer != timeout", "round = 1000", "took < 1", "consensus",
    "round", "peer contains out", "peer =~ '^t'", "level = error", "component = consensus", "round = true", "job",
    "took = 1s", "round = '1000.0'", "round < -1", "peer = 'a.b'", "msg contains 'é'", "host = n1",
)  # fmt: skip
conditions = st.recursive(
    st.sampled_from(comparisons),
    lambda inner: st.one_of(
        st.builds("({} and {})".format, inner, inner),
        st.builds("({} or {})".format, inner, inner),
        st.builds("not ({})".format, inner),
    ),
    max_leaves=4,
)
some_levels = st.frozensets(st.sampled_from(Level), min_size=1)
some_names = st.lists(st.sampled_from([*filter(None, NAMES), "é x"]), min_size=1, max_size=2).map(tuple)
wheres = conditions.map(parse_where)
fields = st.sampled_from(["consensus", "consensus.round", "peer", "job"])
selections = st.one_of(
    st.builds(Selection, levels=some_levels),
    st.builds(Selection, components=some_names),
    st.builds(Selection, nodes=some_names),
    st.builds(Selection, patterns=st.lists(patterns, min_size=1, max_size=2).map(tuple)),
    st.builds(Selection, where=wheres),
    st.builds(Selection, where=st.sampled_from(comparisons).map(parse_where)),
    st.builds(Selection, field=fields),
    st.builds(Selection, levels=some_levels, components=some_names, patterns=st.lists(patterns, max_size=1).map(tuple)),
    st.builds(Selection, where=wheres, nodes=some_names, field=fields),
)


def chosen(query: Query, lines: list[tuple[dict[str, str], str]]) -> list[int]:
    """The places of the lines that get through a query, as the reference reader understands it."""
    read = read_query(query.text)
    return [
        place
        for place, (labels, text) in enumerate(lines)
        if read.picks(labels) and read.keeps(Line(text, labels, {"detected_level": "info"}))
    ]


def hidden(
    lines: list[tuple[dict[str, str], str]], selection: Selection, *, looked: bool
) -> list[tuple[dict[str, str], str]]:
    """The wanted lines that are not sent; and, first, that some line is wanted where the test says so."""
    entries = [Entry(place, text, labels, {"detected_level": "info"}) for place, (labels, text) in enumerate(lines)]
    reader, matcher = Reader(LabelNames()), Matcher(selection)
    records = list(reader.records(entries, Tally()))
    known = Streams({name: frozenset(one.get(name, "") for one, _ in lines) for name in ("level", "component", "node")})
    sampled = reader.lines_of(entries) if asks_for_fields(selection) else None
    query = translate(selection, BASE, LabelNames(), streams=known if looked else None, lines=sampled)
    sent = set(chosen(query, lines))
    return [lines[place] for place, record in enumerate(records) if matcher.wants(record) and place not in sent]


@settings(max_examples=200, deadline=None)
@given(streams(), selections, st.booleans())
def test_loki_sends_every_record_that_is_wanted(
    lines: list[tuple[dict[str, str], str]], selection: Selection, looked: bool
) -> None:
    """No pushed-down filter hides a wanted record: not by level, name, pattern, condition or field, in any format."""
    assert hidden(lines, selection, looked=looked) == []


@pytest.mark.parametrize(
    ("labels", "line", "selection"),
    [
        ({"peer": "x"}, '{"peer":"timeout","level":"info"}', Selection(where=parse_where("peer = timeout"))),
        ({"round": "1"}, '{"round":9,"level":"info"}', Selection(where=parse_where("round > 5"))),
        ({}, '{"level":"\\u0065\\u0072ror","msg":"x"}', Selection(levels=frozenset({Level.ERROR}))),
        ({}, '{"component":"\\u0063onsensus","level":"info"}', Selection(components=("consensus",))),
        ({}, f"{STAMP} INFO aéb", Selection(patterns=(Pattern("a..b"),))),
        ({}, f"{STAMP} INFO aéb", Selection(patterns=(Pattern("a.b", invert=True),))),
        ({}, f"{STAMP} INFO bye\r", Selection(patterns=(Pattern("bye$"),))),
        ({}, f"{STAMP} INFO ſort", Selection(patterns=(Pattern("sort", ignore_case=True, invert=True),))),
        ({"level": "weird"}, f"{STAMP} ERROR x", Selection(levels=frozenset({Level.ERROR}))),
        ({"severity": "ERROR"}, "no level here", Selection(levels=frozenset({Level.ERROR}))),
        ({"service_name": "Network"}, f"{STAMP} INFO x", Selection(components=("network",))),
        ({}, '{"consensus":{"a":[]},"level":"info"}', Selection(field="consensus")),
        ({"job": "agent-mesh"}, f"{STAMP} INFO x", Selection(field="job")),
        ({}, f"ts={STAMP} level=info took=1.5s", Selection(where=parse_where("took > 1s"))),
        ({}, '{"took":1e3,"level":"info"}', Selection(where=parse_where("took = '1000.0'"))),
        ({}, '{"consensus":{"round":9},"level":"info"}', Selection(where=parse_where("not consensus.round < 5"))),
    ],
)
@pytest.mark.parametrize("looked", [False, True])
def test_where_a_filter_could_hide_a_line(
    labels: dict[str, str], line: str, selection: Selection, looked: bool
) -> None:
    """Each trap of the translation by itself: a label beside the field, escapes, letters beyond ASCII, other labels."""
    lines = [({"job": "agent-mesh", **labels}, line)] * 3
    records = Reader(LabelNames()).records([Entry(0, text, one) for one, text in lines], Tally())
    assert all(map(Matcher(selection).wants, records)), "the line of the example is wanted"
    assert hidden(lines, selection, looked=looked) == []


def places(selection: Selection, lines: list[tuple[dict[str, str], str]], kind: Lines | None = None) -> list[int]:
    """The places of the lines that are sent for a selection."""
    return chosen(
        translate(selection, BASE, LabelNames(), lines=kind),
        [({"job": "agent-mesh", **one}, text) for one, text in lines],
    )


def test_what_can_be_said_is_said() -> None:
    """The filters are worth something: lines that are not wanted stay where they are."""
    lines = [
        ({"component": "consensus", "level": "info"}, '{"level":"info","round":9}'),
        ({"component": "consensus", "level": "error"}, '{"level":"error","round":2}'),
        ({"component": "network"}, '{"level":"warn","round":7,"consensus":{"x":1}}'),
        ({}, '{"level":"debug","round":7}'),
        ({"component": "router"}, '{"level":30,"peer":"timeout"}'),
    ]
    assert places(Selection(levels=frozenset({Level.ERROR, Level.FATAL})), lines) == [1]
    assert places(Selection(components=("CONSENSUS",)), lines) == [0, 1]
    assert places(Selection(where=parse_where("round > 5")), lines, Lines.JSON) == [0, 2, 3]
    assert places(Selection(where=parse_where("consensus.x = 1 and round > 6")), lines, Lines.JSON) == [2]
    assert places(Selection(field="consensus"), lines, Lines.JSON) == [2]
    assert places(Selection(where=parse_where("peer = timeout or round < 3")), lines, Lines.JSON) == [1, 4]
    assert places(Selection(patterns=(Pattern("ROUND", ignore_case=True), Pattern("warn", invert=True))), lines) == [
        0,
        1,
        3,
    ]


def test_labels_that_every_stream_has_are_asked_for_in_the_index_alone() -> None:
    """Where every stream says its level or component, no line is searched for it."""
    known = Streams({"level": frozenset({"info", "error"}), "component": frozenset({"router"})})
    query = translate(Selection(levels=ERRORS, components=("router",)), BASE, LabelNames(), streams=known)
    assert query.stages == ()
    assert query.exact
    assert query.selector.startswith('{job="agent-mesh", level!~"(?i:')
    assert 'component=~"(?i:router)"' in query.selector


@settings(deadline=None)
@given(st.text(max_size=20))
def test_any_text_is_quoted_so_that_it_is_read_back(text: str) -> None:
    """Quotes, backslashes, newlines, control and bidi characters survive; lone surrogates are not sent at all."""
    if any("\ud800" <= char <= "\udfff" for char in text):
        return
    assert chosen(Query('{job="a"}', (f"|= {quoted(text)}",)), [({"job": "a"}, f"before{text}after")]) == [0]


def test_a_pattern_that_is_not_text_is_left_to_the_exact_test() -> None:
    """Bytes that are no UTF-8 cannot be part of a query; the answer is still right."""
    query = translate(Selection(patterns=(Pattern("\udcff", fixed=True),)), BASE, LabelNames())
    assert query.stages == ()
    assert not query.exact


def test_every_level_of_real_logs_is_found_by_what_lines_are_searched_for() -> None:
    """Of real logs of many systems, each record with a level holds what is searched for that level."""
    if not LOGS.is_dir():
        if os.environ.get("CI"):
            pytest.fail(f"{LOGS} is not there")
        pytest.skip(f"{LOGS} is not there")
    options = re2.Options()
    options.log_errors = False
    searches = {level: re2.compile(said.of_levels(frozenset({level})), options) for level in Level}
    seen, missed = 0, []
    for file in sorted(
        path for path in LOGS.rglob("*") if path.is_file() and path.suffix not in (".md", ".csv", ".gz")
    ):
        lines = file.read_bytes()[:150_000].split(b"\n")[:500]
        form = detect(lines, Hints(datetime.now(UTC), UTC))
        for line in lines:
            level = form.parse(line).level
            seen += level is not None
            if level is not None and not searches[level].search(line.decode("utf-8", "replace")):
                missed.append((file.name, level.word, line[:120]))
    assert seen > 1000
    assert not missed, missed[:5]


def as_a_shell_reads(command: str) -> list[str]:
    """The words of a command."""
    ran = subprocess.run(
        ["sh", "-c", f"printf '%s\\0' {command}"], capture_output=True, text=True, timeout=10, check=True
    )
    return ran.stdout.split("\0")[:-1]


def test_the_evidence_can_be_pasted() -> None:
    """curl and logcli commands survive a shell, name the tenant, and hold no secret."""
    secret = Credentials(Secret(SecretKind.FILE, "/etc/loki token"), "operator")
    endpoint = Endpoint("https://loki.example/base", headers={"X-Scope-OrgID": "mesh 1"}, credentials=secret)
    selection = Selection(
        since_ns=1795347978196397824, patterns=(Pattern("it's `x` \\d $HOME"),), levels=ERRORS, tail=7
    )
    curl, logcli = Loki(endpoint, BASE).evidence(selection)
    words = as_a_shell_reads(curl.command)
    assert "https://loki.example/base/loki/api/v1/query_range" in words
    assert {"start=1795347978196397824", "limit=7", "direction=backward"} <= set(words)
    query = next(word for word in words if word.startswith("query=")).removeprefix("query=")
    assert read_query(query)
    assert as_a_shell_reads(logcli.command)[-1] == query
    assert "--from=2026-11-22T11:46:18.196397824Z" in logcli.command
    assert "--org-id='mesh 1'" in logcli.command
    assert "--password=\"$(cat '/etc/loki token')\"" in logcli.command


def test_a_selector_that_is_none_is_refused_at_once() -> None:
    """A plain word in the configuration is told apart from a selector before anything is asked."""
    with pytest.raises(ConfigError, match="selector"):
        Loki(Endpoint("http://localhost:3100"), "agent-mesh")


def test_expressions_that_loki_would_shorten_wrongly_are_sent_as_they_are() -> None:
    """``a.*(bb|cc)`` reaches the server in a form for which it has no shortcut, and means the same."""
    query = translate(Selection(patterns=(Pattern("vote.*(lost|late)"),)), BASE, LabelNames())
    assert query.stages == ('|~ "(?:^)?(?:vote.*(lost|late))"',)
    lines = [({"job": "agent-mesh"}, text) for text in ("vote 7 was lost", "lost vote", "votelate", "a vote; late")]
    assert chosen(query, lines) == [0, 2, 3]


def test_a_pattern_that_is_no_expression_is_said_before_anything_is_asked() -> None:
    """The user's mistake is told by the exact test, not by a server's refusal."""
    with pytest.raises(UsageError):
        translate(Selection(patterns=(Pattern("("),)), BASE, LabelNames())
        Matcher(Selection(patterns=(Pattern("("),)))
