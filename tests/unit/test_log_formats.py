"""Each library's lines as its documentation shows them: time, level, component, node and message of one of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone

import pytest

from meshdiag.errors import ConfigError
from meshdiag.logs.formats import Format, Hints
from meshdiag.logs.formats.custom import custom
from meshdiag.logs.formats.detecting import detect
from meshdiag.logs.record import Level

HINTS = Hints(datetime(2025, 6, 30, tzinfo=UTC), UTC)
TIME = 1_748_736_000_123_000_000
"""2025-06-01T00:00:00.123Z"""
SECOND = 1_748_736_000_000_000_000

JSON_LINES = {
    "zap": (
        '{"level":"error","ts":1748736000.123,"logger":"consensus","caller":"a.go:1","msg":"said",'
        '"stacktrace":"main\\n"}'
    ),
    "zerolog": '{"level":"error","component":"consensus","time":"2025-06-01T00:00:00.123Z","message":"said"}',
    "zerolog, milliseconds": '{"level":"error","component":"consensus","time":1748736000123,"message":"said"}',
    "logrus": '{"component":"consensus","level":"error","msg":"said","time":"2025-06-01T02:00:00.123+02:00"}',
    "slog": '{"time":"2025-06-01T00:00:00.123Z","level":"ERROR+1","component":"consensus","msg":"said"}',
    "pino": '{"level":50,"time":1748736000123,"pid":1,"hostname":"n1","name":"consensus","msg":"said"}',
    "bunyan": (
        '{"name":"consensus","hostname":"n1","pid":1,"level":50,"msg":"said","time":"2025-06-01T00:00:00.123Z","v":0}'
    ),
    "winston": (
        '{"level":"\\u001b[31merror\\u001b[39m","message":"said","module":"consensus",'
        '"timestamp":"2025-06-01T00:00:00.123Z"}'
    ),
    "ECS": (
        '{"@timestamp":"2025-06-01T00:00:00.123Z","log":{"level":"ERROR","logger":"consensus"},'
        '"message":"said","ecs":{"version":"1"}}'
    ),
    "ECS, dotted": (
        '{"@timestamp":"2025-06-01T00:00:00.123Z","log.level":"ERROR","log.logger":"consensus","message":"said"}'
    ),
    "structlog": '{"event":"said","level":"error","logger":"consensus","timestamp":"2025-06-01T00:00:00.123Z"}',
    "python-json-logger": (
        '{"asctime":"2025-06-01 00:00:00,123","levelname":"ERROR","name":"consensus","message":"said"}'
    ),
    "Python, levelno": '{"created":1748736000.123,"levelno":40,"name":"consensus","message":"said"}',
    "log4j2": (
        '{"instant":{"epochSecond":1748736000,"nanoOfSecond":123000000},"level":"ERROR",'
        '"loggerName":"consensus","message":"said"}'
    ),
    "log4j2, timeMillis": '{"timeMillis":1748736000123,"level":"ERROR","loggerName":"consensus","message":"said"}',
    "logstash": (
        '{"@timestamp":"2025-06-01T00:00:00.123Z","message":"said","logger_name":"consensus",'
        '"level":"ERROR","level_value":40000}'
    ),
    "Serilog": '{"@t":"2025-06-01T00:00:00.1230000Z","@mt":"said","@l":"Error","SourceContext":"consensus"}',
    "Monolog": (
        '{"message":"said","level":400,"level_name":"ERROR","channel":"consensus",'
        '"datetime":"2025-06-01T00:00:00.123000+00:00"}'
    ),
    "MongoDB": '{"t":{"$date":"2025-06-01T00:00:00.123+00:00"},"s":"E","c":"consensus","id":1,"msg":"said"}',
    "GELF": (
        '{"version":"1.1","host":"n1","short_message":"said","timestamp":1748736000.123,"level":3,'
        '"component":"consensus"}'
    ),
    "OpenTelemetry": (
        '{"timeUnixNano":"1748736000123000000","severityNumber":17,"service.name":"consensus","body":"said"}'
    ),
    "journal": (
        '{"__REALTIME_TIMESTAMP":"1748736000123000","PRIORITY":"3","SYSLOG_IDENTIFIER":"consensus","MESSAGE":"said"}'
    ),
    "journal, bytes": (
        '{"__REALTIME_TIMESTAMP":"1748736000123000","PRIORITY":"3","_COMM":"consensus","MESSAGE":[115,97,105,100]}'
    ),
    "the mesh": (
        '{"ts":"2025-06-01T00:00:00.123Z","level":"ERROR","component":"consensus","node":"n1","message":"said"}'
    ),
    "escaped": (
        '{"ts":"2025-06-01T00:00:00.123Z","l\\u0065vel":"\\u0045RROR","component":"consensus","msg":"s\\u0061id"}'
    ),
    "nanoseconds": '{"time":1748736000123000000,"level":"error","component":"consensus","msg":"said"}',
}


@pytest.mark.parametrize("library", JSON_LINES)
def test_json_of_each_library(library: str) -> None:
    """A library's object gives its time, level, component and message, found by a sample of that one line."""
    raw = JSON_LINES[library].encode()
    form = detect([raw], HINTS)
    record = form.parse(raw)
    assert (record.time_ns, record.level, record.component, record.message) == (TIME, Level.ERROR, "consensus", "said")
    assert form.name.startswith("JSON")
    assert record.node in ("", "n1")
    assert record.fields == json.loads(raw)


TEXT_LINES = {
    "the mesh": ("2025-06-01T00:00:00.123Z ERROR [consensus] said", TIME, "consensus", ""),
    "the lab": ("2025-06-01T00:00:00.123Z ERROR consensus node=n1 said", TIME, "consensus", "n1"),
    "log4j": ("2025-06-01 00:00:00,123 ERROR [main] org.mesh.Consensus: said", TIME, "org.mesh.Consensus", ""),
    "logback": ("2025-06-01 00:00:00.123 [http-nio 1] ERROR org.mesh.Consensus - said", TIME, "org.mesh.Consensus", ""),
    "Spring": ("2025-06-01 00:00:00.123 ERROR 7 --- [main] o.m.Consensus : said", TIME, "o.m.Consensus", ""),
    "Python": ("2025-06-01 00:00:00,123 - mesh.consensus - ERROR - said", TIME, "mesh.consensus", ""),
    "Python, colons": ("2025-06-01 00:00:00,123:ERROR:said", TIME, "", ""),
    "loguru": ("2025-06-01 00:00:00.123 | ERROR    | mesh.consensus:run:12 - said", TIME, "", ""),
    "celery": ("[2025-06-01 00:00:00,123: ERROR/MainProcess] said", TIME, "", ""),
    "gunicorn": ("[2025-06-01 02:00:00 +0200] [123] [ERROR] said", SECOND, "", ""),
    "zap, console": ("2025-06-01T00:00:00.123Z\tERROR\tconsensus\tsaid", TIME, "consensus", ""),
    "zerolog, console": ("2025-06-01T00:00:00Z ERR said", SECOND, "", ""),
    "tracing": ("2025-06-01T00:00:00.123000Z ERROR mesh::consensus: said", TIME, "", ""),
    "env_logger": ("[2025-06-01T00:00:00Z ERROR consensus] said", SECOND, "", ""),
    "Serilog": ("2025-06-01 00:00:00.123 +00:00 [ERR] said", TIME, "", ""),
    "Elasticsearch": ("[2025-06-01T00:00:00,123][ERROR][o.e.n.Node] [node-1] said", TIME, "", ""),
    "spdlog": ("[2025-06-01 00:00:00.123] [consensus] [error] said", TIME, "consensus", ""),
    "nginx": ("2025/06/01 00:00:00 [error] 123#0: *1 said", SECOND, "", ""),
    "Apache": ("[Sun Jun 01 00:00:00.123000 2025] [core:error] [pid 3:tid 4] said", TIME, "core", ""),
    "PostgreSQL": ("2025-06-01 00:00:00.123 UTC [12] postgres@db ERROR:  said", TIME, "", ""),
    "MySQL": ("2025-06-01T00:00:00.123000Z 5 [ERROR] [MY-1] [Server] said", TIME, "", ""),
    "Ruby": ("E, [2025-06-01T00:00:00.123000 #12] ERROR -- : said", TIME, "", ""),
    "puppet": ("[ERROR 2025-06-01 00:00:00 main] said", SECOND, "", ""),
    "ZooKeeper": ("2025-06-01 00:00:00,123 [myid:1] - ERROR [main:Peer@1] - said", TIME, "", ""),
    "Cassandra": ("ERROR [main] 2025-06-01 00:00:00,123 Daemon.java:1 - said", TIME, "", ""),
    "epoch seconds": ("1748736000 ERROR said", SECOND, "", ""),
    "epoch with a fraction": ("1748736000.123 ERROR said", TIME, "", ""),
    "epoch ms": ("1748736000123 ERROR said", TIME, "", ""),
    "epoch µs": ("1748736000123000 ERROR said", TIME, "", ""),
    "epoch ns": ("1748736000123000000 ERROR said", TIME, "", ""),
    "glog": ("E0601 00:00:00.123000    52 consensus.cc:25] said", TIME, "consensus.cc", ""),
    "klog": ("E0601 00:00:00.123000       1 consensus.go:25] said", TIME, "consensus.go", ""),
    "syslog 3164": ("<11>Jun  1 00:00:00 n1 consensus[12]: said", SECOND, "consensus", "n1"),
    "syslog 5424": ("<11>1 2025-06-01T00:00:00.123Z n1 consensus 12 - - said", TIME, "consensus", "n1"),
    "syslog 5424, data": (
        '<11>1 2025-06-01T00:00:00.123Z n1 consensus 12 - [a@1 b="c\\]"] said',
        TIME,
        "consensus",
        "n1",
    ),
    "Android": ("06-01 00:00:00.123  12  13 E consensus: said", TIME, "consensus", ""),
    "logfmt": (
        'time="2025-06-01T00:00:00.123Z" level=error component=consensus node=n1 msg=said',
        TIME,
        "consensus",
        "n1",
    ),
    "go-kit": (
        "ts=2025-06-01T00:00:00.123Z caller=a.go:1 level=error component=consensus msg=said",
        TIME,
        "consensus",
        "",
    ),
    "log15": ("t=2025-06-01T00:00:00+0000 lvl=eror msg=said logger=consensus", SECOND, "consensus", ""),
    "CRI": (
        "2025-06-01T00:00:00.123000000Z stderr F E0601 01:00:00.1 1 consensus.go:2] said",
        TIME,
        "consensus.go",
        "",
    ),
    "CRI, JSON": (
        '2025-06-01T00:00:00.123000000Z stdout F {"level":"error","component":"consensus","msg":"said"}',
        TIME,
        "consensus",
        "",
    ),
    "compose": ("mesh-1  | 2025-06-01T00:00:00.123Z ERROR [consensus] said", TIME, "consensus", ""),
    "compose, plain": ("\x1b[2Kmesh-1  | 2025-06-01T00:00:00.123Z \x1b[31mERROR\x1b[0m said", TIME, "mesh-1", ""),
    "kubectl": ("[pod/n1/consensus] 2025-06-01T00:00:00.123Z ERROR said", TIME, "consensus", "n1"),
    "docker times": (
        '2025-06-01T00:00:00.123000000Z {"level":"error","component":"consensus","msg":"said"}',
        TIME,
        "consensus",
        "",
    ),
    "syslog around JSON": (
        'Jun  1 00:00:00 n1 consensus[1]: {"level":"error","ts":1748736000.123,"msg":"said"}',
        TIME,
        "consensus",
        "n1",
    ),
    "colours": ("\x1b[2m2025-06-01T00:00:00.123Z\x1b[0m \x1b[31mERROR\x1b[0m said", TIME, "", ""),
    "a mark in front": ("\ufeff2025-06-01T00:00:00.123Z ERROR said", TIME, "", ""),
    "NUL bytes in front": ("\0\0\0002025-06-01T00:00:00.123Z ERROR said", TIME, "", ""),
    "CRLF": ("2025-06-01T00:00:00.123Z ERROR said\r", TIME, "", ""),
}


@pytest.mark.parametrize("kind", TEXT_LINES)
def test_text_of_each_program(kind: str) -> None:
    """A program's line gives its time, level, component, node and message, found by a sample of such lines."""
    text, time_ns, component, node = TEXT_LINES[kind]
    raw = text.encode()
    form = detect([raw] * 3, HINTS)
    record = form.parse(raw)
    assert (record.time_ns, record.level) == (time_ns, Level.ERROR), form.name
    assert record.message.endswith("said")
    if component:
        assert (record.component, record.node) == (component, node)
    assert form.starts(raw)


def test_levels_of_redis() -> None:
    """Redis writes its levels as signs."""
    lines = [b"12:M 01 Jun 2025 00:00:00.123 %s said" % sign for sign in (b"*", b"#", b"-", b".")]
    form = detect(lines, HINTS)
    assert [form.level(line) for line in lines] == [Level.INFO, Level.WARN, Level.DEBUG, Level.DEBUG]
    assert form.time_ns(lines[0]) == TIME


def test_access_logs_state_no_level_but_have_fields() -> None:
    """An access log's status is a field to filter by, not a level."""
    raw = b'10.0.0.1 - bob [01/Jun/2025:02:00:00 +0200] "GET /x?y=1 HTTP/1.1" 503 12 "-" "curl"'
    record = detect([raw], HINTS).parse(raw)
    assert (record.time_ns, record.level) == (SECOND, None)
    assert record.fields == {"client": "10.0.0.1", "method": "GET", "path": "/x?y=1", "status": 503, "bytes": 12}
    assert record.message.startswith('"GET /x')


def test_a_level_word_in_a_message_is_no_level() -> None:
    """Only the header's place for the level counts: not the message, not a nested object, not a status."""
    text = [b"2025-06-01T00:00:00Z INFO [a] ERROR in the message", b"2025-06-01T00:00:00Z said ERROR"] * 3
    form = detect([text[0]] * 5 + text, HINTS)
    assert [form.level(line) for line in text[:2]] == [Level.INFO, None]
    row = b'{"ts":"2025-06-01T00:00:00Z","level":"info","err":{"level":"error"},"msg":"\\"level\\":\\"error\\""}'
    assert detect([row], HINTS).level(row) is Level.INFO


@pytest.mark.parametrize(
    ("said", "level", "message"),
    [
        (b"error: kex_exchange_identification: closed", Level.ERROR, "kex_exchange_identification: closed"),
        (b"Warning: no such host", Level.WARN, "no such host"),
        (b"[ERROR] InnoDB: full", Level.ERROR, "InnoDB: full"),
        (b"<warn>  [1748736000.1] device lost", Level.WARN, "[1748736000.1] device lost"),
        (b"[5-1] FATAL:  out of slots", Level.FATAL, "out of slots"),
        (b"ERROR bad thing", Level.ERROR, "bad thing"),
        (b"2025-06-01T00:00:00.123Z WARN bad thing", Level.WARN, "bad thing"),
        (b"2025-06-01 00:00:00,123 [ERROR] bad thing", Level.ERROR, "bad thing"),
        (b"2025-06-01 00:00:00,123 said", None, "2025-06-01 00:00:00,123 said"),
        (b"ERRORS are fine", None, "ERRORS are fine"),
        (b"Error is a word here", None, "Error is a word here"),
        (b"ALERT exited abnormally with [1]", None, "ALERT exited abnormally with [1]"),
        (b"Error counts are fine: none", None, "Error counts are fine: none"),
        (b"disk error: none", None, "disk error: none"),
        (b"errors: 0", None, "errors: 0"),
        (b"error:0 warn:0", None, "error:0 warn:0"),
    ],
)
def test_plain_syslog_states_a_level_where_it_begins_the_message(
    said: bytes, level: Level | None, message: str
) -> None:
    """Without a priority, a level word that a colon, brackets or capitals set apart at the message's beginning is the
    level, in either of syslog's times; a word of the sentence is none, and a priority that is there counts alone."""
    for head in (b"Jun  1 00:00:00 host sshd[1]: ", b"2025-06-01T00:00:00.123456+00:00 host sshd[1]: "):
        lines = [head + b"session opened", head + said]
        record = detect(lines, HINTS).parse(lines[1])
        assert (record.level, record.message) == (level, message)
        assert (record.component, record.node) == ("sshd", "host")
    given = b"<30>Jun  1 00:00:00 host sshd[1]: " + said
    assert detect([given] * 3, HINTS).level(given) is Level.INFO


def test_further_lines_of_a_report_belong_to_it() -> None:
    """PostgreSQL's DETAIL, CONTEXT and STATEMENT, each with a header of its own, continue the error before them, in a
    container's log too; the search for the error's level gives them with it."""
    head = b"2025-06-01 00:00:00.123 UTC [%d] bob@db "
    lines = [
        head % 7 + b"LOG:  connection authorized",
        head % 7 + b'ERROR:  relation "x" does not exist at character 15',
        head % 7 + b"DETAIL:  none of that name",
        head % 7 + b"STATEMENT:  SELECT *",
        b"\tFROM x;",
        head % 12345 + b"FATAL:  too many clients",
    ]
    for before in (b"", b"2025-06-01T00:00:00.2Z stderr F "):
        form = detect([before + line for line in lines], HINTS)
        found = [form.parse(raw) for raw in _records(form, [before + line for line in lines])]
        assert [one.level for one in found] == [Level.INFO, Level.ERROR, Level.FATAL]
        told = (
            'relation "x" does not exist at character 15\nDETAIL:  none of that name\nSTATEMENT:  SELECT *\n\tFROM x;'
        )
        assert found[1].message == told


def _records(form: Format, lines: list[bytes]) -> list[bytes]:
    found: list[list[bytes]] = []
    for line in lines:
        if form.starts(line) or not found:
            found.append([])
        found[-1].append(line)
    return [b"\n".join(record) for record in found]


TRACE = b"""2025-06-01 00:00:00,123 ERROR [main] org.mesh.Consensus: failed
java.lang.IllegalStateException: no quorum
\tat org.mesh.Consensus.vote(Consensus.java:12)
Caused by: java.io.IOException: reset
\t... 3 more

Traceback (most recent call last):
  File "a.py", line 1, in <module>
ValueError: no
2025-06-01 00:00:01,123 INFO [main] org.mesh.Consensus: again""".split(b"\n")


def test_stack_traces_belong_to_their_record() -> None:
    """Lines without the format's time continue the record before them, in its message too."""
    form = detect(TRACE, HINTS)
    first, second = _records(form, TRACE)
    record = form.parse(first)
    assert record.level is Level.ERROR
    assert record.message.startswith("failed\njava.lang")
    assert record.message.endswith("ValueError: no")
    assert all(form.time_ns(line) is None for line in TRACE[1:-1])
    assert form.parse(second).message == "again"


def test_pretty_json_is_one_record() -> None:
    """An object over several lines is one record, with its time and level."""
    lines = b'{\n  "level": "error",\n  "time": "2025-06-01T00:00:00.123Z",\n  "in": {\n    "x": 1\n  }\n}'.split(b"\n")
    form = detect(lines * 3, HINTS)
    records = _records(form, lines * 3)
    assert len(records) == 3
    assert (form.parse(records[0]).time_ns, form.parse(records[0]).level) == (TIME, Level.ERROR)
    assert form.level_literals(frozenset({Level.ERROR})) is None


def test_text_between_json_stands_alone() -> None:
    """A line of text between objects continues nothing, indented lines continue it, and a level before it counts."""
    row = b'{"level":50,"time":1748736000123,"pid":1,"hostname":"n1","msg":"said"}'
    lines = [row, b"Server is listening", row, b"panic: no quorum", b"\tat x.go:1", row, row]
    form = detect(lines, HINTS)
    records = _records(form, lines)
    assert [form.level(raw) for raw in records] == [
        Level.ERROR,
        None,
        Level.ERROR,
        Level.FATAL,
        Level.ERROR,
        Level.ERROR,
    ]
    assert form.parse(records[1]).message == "Server is listening"


def test_two_formats_in_one_file() -> None:
    """Two programs that share an output are each read in their own format."""
    lines = [
        b"2025-06-01T00:00:00Z INFO [a] said",
        b'10.0.0.1 - - [01/Jun/2025:00:00:00 +0000] "GET / HTTP/1.1" 200 1',
    ] * 20
    form = detect(lines, HINTS)
    assert all(form.starts(line) and form.time_ns(line) == SECOND for line in lines)
    assert [form.level(line) for line in lines[:2]] == [Level.INFO, None]


def test_an_object_among_lines_of_text_is_a_record_of_its_own() -> None:
    """With a time and a level it stands for itself, however few there are; without, it continues the line before."""
    text = [b"2025-06-01T00:00:00Z INFO [a] said %d" % number for number in range(100)]
    row = b'{"ts":"2025-06-01T00:00:00.123Z","level":"error","msg":"lost"}'
    form = detect([*text * 6, row], HINTS)
    assert (form.starts(row), form.time_ns(row), form.level(row)) == (True, TIME, Level.ERROR)
    assert form.parse(row).message == "lost"
    literals = form.level_literals(frozenset({Level.ERROR}))
    assert literals is not None
    assert any(literal in row for literal in literals)
    payload = b'{"id":7,"votes":[1,2]}'
    assert not detect([*text, payload], HINTS).starts(payload)


@pytest.mark.parametrize(
    ("numbers", "levels"),
    [
        ((10, 20, 30, 40, 50, 60), list(Level)),
        ((0, 1, 2, 3, 4), [Level.DEBUG, Level.INFO, Level.WARN, Level.ERROR, Level.FATAL]),
    ],
)
def test_pairs_may_state_levels_in_numbers(numbers: Sequence[int], levels: Sequence[Level]) -> None:
    """As with objects, the size of the numbers tells the scale; a prefilter knows them too."""
    lines = [b'time=2025-06-01T00:00:00Z level=%d msg="00"' % number for number in numbers]
    form = detect(lines, HINTS)
    assert [form.level(line) for line in lines] == list(levels)
    for line, level in zip(lines, levels, strict=True):
        literals = form.level_literals(frozenset({level}))
        assert literals is not None
        assert any(literal in line for literal in literals)
    assert form.parse(lines[0]).message == "00"


def test_docker_json_is_unwrapped() -> None:
    """Docker's JSON gives the time and the program's own line the rest; stack traces are joined."""
    inner = ["2025-05-31T00:00:00Z ERROR [consensus] said\n", "\tat x.go:1\n"]
    wrapped = [{"log": line, "stream": "stderr", "time": "2025-06-01T00:00:00.123000000Z"} for line in inner]
    lines = [json.dumps(one).encode() for one in wrapped]
    form = detect(lines * 3, HINTS)
    (raw, *_rest) = _records(form, lines * 3)
    record = form.parse(raw)
    assert (record.time_ns, record.level, record.component) == (TIME, Level.ERROR, "consensus")
    assert record.message == "said\n\tat x.go:1"


def test_cut_lines_of_a_runtime_are_joined() -> None:
    """A line that the runtime wrote in two parts is read as one."""
    stamp = b"2025-06-01T00:00:00.123000000Z stdout"
    whole = stamp + b' F {"level":"error","msg":"said"}'
    form = detect([whole] * 3, HINTS)
    record = form.parse(stamp + b' P {"level":"err\n' + stamp + b' F or","msg":"said"}')
    assert (record.level, record.message, record.time_ns) == (Level.ERROR, "said", TIME)


def test_no_lines_are_a_format_too() -> None:
    """An empty file, or text without times, is read as text: a record a line, indented lines aside."""
    for sample in ([], [b""], [b"Starting up", b"  more", b"Ready"]):
        form = detect(sample, HINTS)
        assert not form.timed
        assert _records(form, [b"Starting up", b"  more", b"Ready"]) == [b"Starting up\n  more", b"Ready"]


def test_not_utf8_is_read_all_the_same() -> None:
    """Bytes that are no text cost nothing but themselves."""
    text, row = (
        b"2025-06-01T00:00:00.123Z ERROR [a] caf\xe9",
        b'{"ts":"2025-06-01T00:00:00.123Z","level":"error","msg":"caf\xe9"}',
    )
    for raw in (text, row):
        record = detect([raw], HINTS).parse(raw)
        assert (record.time_ns, record.level, record.message) == (TIME, Level.ERROR, "caf\ufffd")


def test_a_users_format_comes_first() -> None:
    """A user's expression is taken when it knows the file's lines, with every group it names, and hints reach it."""
    own = custom(
        "ours", r"^<(?P<level>\w+)> (?P<time>\S+ \S+) (?P<node>\w+)/(?P<component>\w+) q=(?P<q>\d+) (?P<message>.*)$"
    )
    lines = [
        b"<Grr> 2025-06-01 02:00:00.123 n1/consensus q=7 said",
        b"<ERR> 2025-06-01 02:00:00.123 n1/consensus q=7 said",
    ]
    form = detect([*lines, b"  more"], Hints(HINTS.newest, timezone(timedelta(hours=2))), [own])
    record = form.parse(lines[1] + b"\n  more")
    assert form.name == "ours"
    assert (record.time_ns, record.level, record.node, record.component) == (TIME, Level.ERROR, "n1", "consensus")
    assert (record.message, record.fields) == ("said\n  more", {"q": "7"})
    assert form.level(lines[0]) is None
    assert [form.starts(line) for line in (*lines, b"  more")] == [True, True, False]
    assert detect([b"2025-06-01T00:00:00Z INFO said"], HINTS, [own]).name != "ours"


@pytest.mark.parametrize(
    ("regex", "said"), [("(", "is no regular expression"), (r"\d+", "names no group"), (r"(?P<a>x)\1", "RE2")]
)
def test_a_users_broken_format_is_refused(regex: str, said: str) -> None:
    """An expression that is none, that backtracks or that names nothing is refused in a sentence."""
    with pytest.raises(ConfigError, match="'ours'") as refused:
        custom("ours", regex)
    assert said in str(refused.value)


def test_a_level_that_comes_late_is_found() -> None:
    """Levels count where the sample had none: right behind the time, or set apart at the start of text without
    times, as they would if the sample had held one."""
    stamped = [b"2025-06-01T00:00:00Z said so"] * 300
    assert detect(stamped, HINTS).level(b"2025-06-01T00:00:00Z ERROR said") is Level.ERROR
    assert detect(stamped, HINTS).level(b"2025-06-01T00:00:00Z errors said") is None
    noted = [b"2025-06-01T00:00:00.1Z 0 [Note] [MY-1] said"] * 300
    assert detect(noted, HINTS).level(b"2025-06-01T00:00:00.1Z 0 [ERROR] [MY-2] said") is Level.ERROR
    plain = detect([b"said so"] * 300, HINTS)
    late = (b"ERROR: said", b"[FATAL] said", b"error: said", b"an error: said")
    assert [plain.level(line) for line in late] == [Level.ERROR, Level.FATAL, Level.ERROR, None]


def test_a_broken_object_gives_what_it_begins_with() -> None:
    """An object that was cut for its length, or torn, keeps the time and level that stand before the cut."""
    whole = b'{"ts":"2025-06-01T00:00:00.123Z","level":"error","in":{"level":"info","x":[1,2]},"msg":"' + b"x" * 100_000
    form = detect([whole[:80] + b'"}}'] * 3 + [JSON_LINES["the mesh"].encode()] * 9, HINTS)
    for raw in (whole, whole[:120], whole[:60]):
        record = form.parse(raw)
        assert (record.time_ns, record.level) == (TIME, Level.ERROR)
    assert form.level(whole[:47]) is None


def test_a_level_on_the_second_line() -> None:
    """java.util.logging writes the level on a line of its own."""
    lines = b"Jun 01, 2025 12:00:00 AM org.mesh.Consensus vote\nSEVERE: said\n\tat x".split(b"\n")
    form = detect(lines * 3, HINTS)
    (raw, *_rest) = _records(form, lines * 3)
    record = form.parse(raw)
    assert (record.time_ns, record.level, record.component) == (SECOND, Level.ERROR, "org.mesh.Consensus")
    assert record.message == "said\n\tat x"
    assert form.level(raw) is Level.ERROR
