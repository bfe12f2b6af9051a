"""Recurring messages: what is counted as one, when it was seen, and what the time before did not have."""

from __future__ import annotations

import csv
import gzip
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshdiag.logs.opening.files import find
from meshdiag.logs.patterns.masks import masked, words
from meshdiag.logs.patterns.merging import merged
from meshdiag.logs.patterns.recurring import Found, Patterns, Recurring, new_since, top
from meshdiag.logs.record import NS, Level, Record
from meshdiag.logs.selection import Pattern, Selection
from meshdiag.logs.tally import Tally
from meshdiag.render.log_patterns import as_data, as_lines
from tests.logtruth import FOLDER, need_logs

SYSTEMS = ("Apache", "HDFS", "Hadoop", "Linux", "Android", "Windows", "Proxifier", "Thunderbird")
BEGIN = datetime(2026, 1, 31, 3, tzinfo=UTC)


def line(seconds: float, message: str, level: str = "INFO", component: str = "raft") -> str:
    """A line of the mesh's text log."""
    when = (BEGIN + timedelta(seconds=seconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return f"{when} {level} [{component}] {message}\n"


def ns(seconds: float) -> int:
    """The time of such a line."""
    return int((BEGIN.timestamp() + seconds) * 1000) * NS // 1000


def written(path: Path, lines: Iterable[str]) -> Path:
    path.write_text("".join(lines))
    return path


def told(path: Path, selection: Selection | None = None) -> Found:
    tally = Tally()
    return top(find([str(path)], tally), selection or Selection(), tally)


def texts(found: Found) -> dict[str, int]:
    return {one.text: one.count for one in found.patterns}


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("height=12 took 3.5 of -7", "height=<num> took <num> of <num>"),
        ("node-07 and blk_-42", "node-<num> and blk_<num>"),
        ("dial 10.0.0.1:7946 and fe80::1", "dial <ip>:<num> and <ip>"),
        ("task f7df1b1d-10a2-448b-aa2c-291bea302ee3 done", "task <uuid> done"),
        ("sha=029ec0cc31992b05 at 0xDEADbeef", "sha=<hex> at <hex>"),
        ("after 250ms, 3.5s and 1h30m", "after <duration>, <duration> and <duration>"),
        ("at 2026-01-31T03:12:44.250Z or 03:12:44", "at <time> or <time>"),
        ("since Sun Jul 10 03:55:15 2005", "since <time>"),
        ("from 00:1b:44:11:3a:b7", "from <mac>"),
        ("defaced beef added", "defaced beef added"),
    ],
)
def test_what_varies_by_its_look_is_masked(message: str, expected: str) -> None:
    """Numbers, addresses, identifiers, times and durations; words stay words."""
    assert masked(message) == expected


@given(st.text(max_size=300))
def test_masking_takes_any_text_and_words_lose_nothing_but_blanks_and_lists(text: str) -> None:
    """Whatever is logged."""
    found = masked(text)
    if found.count("<") < 3:
        assert "".join("".join(words(found)).split()) == "".join(found.split())


def together(*messages: str) -> set[str]:
    return {"".join(pattern) for _, pattern, _ in merged([(None, words(masked(one)), one) for one in messages])}


def test_names_are_put_together_and_opposites_are_not() -> None:
    """Many users are one pattern; opened and closed, refused and reset are two, however alike the lines are."""
    users = [f"user {name} logged in from gateway" for name in ("ann", "bob", "eve", "joe")]
    assert together(*users) == {"user <*> logged in from gateway"}
    pair = {"session opened for user root", "session closed for user root"}
    assert together(*pair) == pair
    few = {"connection refused", "connection reset", "connection closed", "connection lost"}
    assert together(*few) == few


def test_two_names_that_vary_at_once_are_both_variables() -> None:
    """Nobody has to meet everybody."""
    names = ["ann", "bob", "eve", "joe", "kim", "lee"]
    calls = [f"call from {one} to {other} was dropped" for one, other in zip(names, names[::-1], strict=True)]
    assert together(*calls) == {"call from <*> to <*> was dropped"}


def test_placeholders_say_what_stood_there() -> None:
    """Quoted text, paths, hexadecimal numbers that happen to have no letter."""
    assert together(*(f'write to disk failed with "{word} error" again' for word in ("one", "two", "red"))) == {
        'write to disk failed with "<str>" again'
    }
    assert together(*(f"cannot open the file {path} for writing" for path in ("/a/b", "/c/d", "/e"))) == {
        "cannot open the file <path> for writing"
    }
    assert together("a bad crc came of block x=1234567", "a bad crc came of block x=12ab567") == {
        "a bad crc came of block x=<hex>"
    }


def test_a_list_counts_once_whatever_its_length() -> None:
    """One pattern, not one for each number of peers."""
    assert together("peers are 1 2 3", "peers are 1 2 3 4 5 6") == {"peers are <num>..."}


def test_counts_times_levels_and_examples(tmp_path: Path) -> None:
    """What a person sees of a pattern: how often, from when to when, which level, one line as it stood."""
    path = written(
        tmp_path / "a.log",
        [
            line(0, "round 1 took 20ms"),
            line(1, "peer 10.0.0.1 lost", "ERROR", "network"),
            line(2.5, "round 2 took 31ms"),
            line(3, "round 3 took 28ms", "WARN"),
            line(60, "peer 10.0.0.9 lost", "ERROR", "network"),
        ],
    )
    found = told(path)
    assert [(one.text, one.level, one.count) for one in found.patterns] == [
        ("peer <ip> lost", Level.ERROR, 2),
        ("round <num> took <duration>", Level.INFO, 2),
        ("round <num> took <duration>", Level.WARN, 1),
    ]
    lost = found.patterns[0]
    assert (lost.first_ns, lost.last_ns) == (ns(1), ns(60))
    assert lost.example.decode() + "\n" == line(1, "peer 10.0.0.1 lost", "ERROR", "network")
    assert lost.components == (("network", 2),)
    assert found.records == 5


def test_lines_that_continue_a_record_are_no_patterns(tmp_path: Path) -> None:
    """A stack trace belongs to its error."""
    trace = "java.lang.IllegalStateException: no\n\tat com.example.Main(Main.java:10)\n"
    path = written(tmp_path / "a.log", [line(number, "boom", "ERROR") + trace for number in range(20)])
    found = told(path)
    assert texts(found) == {"boom": 20}
    assert found.records == 20


def test_json_is_told_by_its_message_and_its_cause(tmp_path: Path) -> None:
    """Fields that vary do not tear a pattern apart; the cause is part of it."""
    path = written(
        tmp_path / "a.json",
        [
            f'{{"ts":"2026-01-31T03:00:{number % 60:02d}Z","level":"error","msg":"rpc failed","peer":"{name}",'
            f'"err":"{cause}"}}\n'
            for number, (name, cause) in enumerate(
                zip(["ann", "bob", "eve", "joe"] * 10, ["connection refused", "no route to host"] * 20, strict=True)
            )
        ],
    )
    assert texts(told(path)) == {"rpc failed err=connection refused": 20, "rpc failed err=no route to host": 20}


def test_only_wanted_records_are_counted(tmp_path: Path) -> None:
    """Every flag of a search holds here too."""
    lines = [line(number, f"round {number}", "ERROR" if number % 4 == 0 else "INFO") for number in range(100)]
    path = written(tmp_path / "a.log", lines)
    assert texts(told(path, Selection(levels=frozenset({Level.ERROR})))) == {"round <num>": 25}
    assert told(path, Selection(since_ns=ns(10), until_ns=ns(20))).records == 10
    assert told(path, Selection(patterns=(Pattern("round 9"),))).records == 11


def test_all_files_count_together(tmp_path: Path) -> None:
    """Rotated and compressed ones too, and the first time is that of the oldest."""
    with gzip.open(tmp_path / "a.log.1.gz", "wt") as packed:
        packed.write(line(0, "round 1"))
    path = written(tmp_path / "a.log", [line(50, "round 2"), line(70, "round 3")])
    (one,) = told(path).patterns
    assert (one.count, one.first_ns, one.last_ns) == (3, ns(0), ns(70))


@given(st.lists(st.sampled_from([0, 1, 2, 3, 4]), min_size=1, max_size=200))
def test_counting_by_blocks_agrees_with_counting_one_by_one(
    tmp_path_factory: pytest.TempPathFactory, kinds: list[int]
) -> None:
    """The fast way counts what is left of lines; the slow way reads each record."""
    messages = ["round {} of node-{}", "cafe {} is dead", "peer deadbeef{} fed", "state {}: abc", "x={} failed"]
    lines = [
        line(place, messages[kind].format(place, kind), "INFO" if kind % 2 else "WARN")
        for place, kind in enumerate(kinds)
    ]
    path = written(tmp_path_factory.mktemp("patterns") / "a.log", lines)
    slow = Patterns()
    for place, (kind, one) in enumerate(zip(kinds, lines, strict=True)):
        slow.add(
            Record(
                one[:-1].encode(),
                ns(place),
                Level.INFO if kind % 2 else Level.WARN,
                "raft",
                message=messages[kind].format(place, kind),
            )
        )
    assert _plain(told(path)) == _plain(slow.found())


def _plain(found: Found) -> list[tuple[object, ...]]:
    return sorted((one.text, one.level, one.count, one.first_ns, one.last_ns, one.example) for one in found.patterns)


def test_more_messages_than_can_be_kept_are_put_together_on_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A million users do not fill the memory, and none is lost from the count."""
    monkeypatch.setattr("meshdiag.logs.patterns.recurring.MOST_MESSAGES", 50)
    monkeypatch.setattr("meshdiag.logs.patterns.recurring.REMAINS_BYTES", 5000)
    names = ["".join(chr(ord("g") + int(digit)) for digit in f"{number:05d}") for number in range(30_000)]
    path = written(tmp_path / "a.log", (line(n / 10, f"user {name} logged in again") for n, name in enumerate(names)))
    found = told(path)
    assert texts(found) == {"user <*> logged in again": 30_000}
    assert (found.patterns[0].first_ns, found.patterns[0].last_ns) == (ns(0), ns(2999.9))


def test_a_message_among_thousands_of_names_is_not_swallowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines told by the words that never vary: one word more or another word is another message."""
    monkeypatch.setattr("meshdiag.logs.patterns.recurring.MOST_MESSAGES", 50)
    names = ["".join(chr(ord("g") + int(digit)) for digit in f"{number:05d}") for number in range(20_000)]
    lines = [line(n / 10, f"user {name} logged in again") for n, name in enumerate(names)]
    lines[15_000] = line(1500, "user gggjj logged out again")
    lines[15_001] = line(1500.1, "user gggjj logged in again twice")
    lines[15_002] = line(1500.2, "user gggjj logged in again", "ERROR")
    lines[15_003] = line(1500.3, "user gggjj logged in again", "INFO", "auth")
    found = told(written(tmp_path / "a.log", lines))
    assert (found.patterns[0].text, found.patterns[0].count) == ("user <*> logged in again", 19_997)
    assert found.patterns[0].components == (("raft", 19_996), ("auth", 1))
    assert {(one.text, one.level, one.count) for one in found.patterns[1:]} == {
        ("user gggjj logged out again", Level.INFO, 1),
        ("user gggjj logged in again twice", Level.INFO, 1),
        ("user gggjj logged in again", Level.ERROR, 1),
    }


# What is new


def new(path: Path, since_s: float, selection: Selection | None = None) -> list[Recurring]:
    tally = Tally()
    return list(new_since(find([str(path)], tally), selection or Selection(), ns(since_s), tally).patterns)


def usual(seconds: int) -> str:
    who = ["ann", "bob", "eve"][seconds % 3]
    return [
        line(seconds, f"round {seconds} committed by node-{seconds % 4:02d}"),
        line(seconds, f"user {who} logged in from 10.0.0.{seconds % 200}"),
        line(seconds, f"peer {who} is slow", "WARN"),
        line(seconds, f"request served path=/api/{seconds} trace={seconds * 7919:016x}"),
    ][seconds % 4]


def test_a_new_message_is_told_with_its_time_level_and_example(tmp_path: Path) -> None:
    """The question that one really asks: what was not there yesterday?"""
    lines = [usual(second) for second in range(8000)]
    lines[7500] = line(7500, "quorum lost alive=1 needed=3", "FATAL")
    lines[7600] = line(7600, "quorum lost alive=2 needed=3", "FATAL")
    (one,) = new(written(tmp_path / "a.log", lines), 7200)
    assert (one.text, one.level, one.count, one.before) == ("quorum lost alive=<num> needed=<num>", Level.FATAL, 2, 0)
    assert one.first_ns == ns(7500)
    assert one.example.decode() + "\n" == lines[7500]


def test_a_new_number_host_or_user_makes_no_new_pattern(tmp_path: Path) -> None:
    """Messages that differ from those before in a name are those before."""
    lines = [usual(second) for second in range(8000)]
    lines[7500] = line(7500, "user mallory logged in from 192.168.7.7")
    lines[7501] = line(7501, "peer zoe is slow", "WARN")
    lines[7502] = line(7502, "round 99999999 committed by node-77")
    lines[7503] = line(7503, "request served path=/api/77 trace=00000000000000ff")
    assert new(written(tmp_path / "a.log", lines), 7200) == []


def test_a_known_message_with_a_graver_level_is_new(tmp_path: Path) -> None:
    """The same words as an error are another thing than as a remark."""
    lines = [line(second, f"peer {second} is slow") for second in range(100)]
    lines.append(line(100, "peer 5 is slow", "ERROR"))
    assert [(one.text, one.level) for one in new(written(tmp_path / "a.log", lines), 90)] == [
        ("peer <num> is slow", Level.ERROR)
    ]


def test_the_edge_is_exact_where_a_log_runs_backwards(tmp_path: Path) -> None:
    """A record belongs to its own time, not to that of its neighbours."""
    lines = [line(second, f"round {second}") for second in range(200)]
    lines.insert(150, line(99, "late and old"))
    lines.insert(50, line(170, "early and new"))
    assert [one.text for one in new(written(tmp_path / "a.log", lines), 100)] == ["early and new"]


def test_the_baseline_has_a_beginning(tmp_path: Path) -> None:
    """What was last seen before it is new again."""
    lines = [line(0, "snapshot torn"), *(line(second, f"round {second}") for second in range(1, 5000))]
    lines.append(line(5000, "snapshot torn"))
    path = written(tmp_path / "a.log", lines)
    assert new(path, 4900) == []
    assert [one.text for one in new(path, 4900, Selection(since_ns=ns(1000)))] == ["snapshot torn"]


def test_a_stream_is_compared_too(tmp_path: Path) -> None:
    """A compressed log cannot be read twice, and need not be."""
    with gzip.open(tmp_path / "a.log.gz", "wt") as packed:
        packed.writelines([*(usual(second) for second in range(2000)), line(2001, "quorum lost")])
    assert [one.text for one in new(tmp_path / "a.log.gz", 1800)] == ["quorum lost"]


def test_nothing_to_compare_with_is_told(tmp_path: Path) -> None:
    """A log that begins after the moment makes everything new, which says nothing."""
    tally = Tally()
    path = written(tmp_path / "a.log", [line(second, "round") for second in range(100, 110)])
    found = new_since(find([str(path)], tally), Selection(), ns(50), tally)
    assert (found.baseline, found.records, len(found.patterns)) == (0, 10, 1)


# Shown


def test_patterns_fit_the_screen_and_do_nothing_to_it() -> None:
    """Hostile text is written out; long patterns are wrapped and bounded; the rest is counted."""
    found = Found(
        tuple(
            Recurring(text, Level.ERROR, 5, 0, ns(0), ns(1), text.encode(), (("ra\x1b[31mft", 5),))
            for text in ("bad \x1b[2J\u202e thing", "word " * 200, "third")
        ),
        15,
    )
    lines = list(as_lines(found, width=80, limit=2, utc=True, examples=True))
    assert all(len(one.rstrip("\n")) <= 80 for one in lines)
    assert not any(char in "".join(lines) for char in "\x1b\u202e")
    assert lines[-1].strip() == "5  in 1 more patterns"
    assert len(lines) < 14


def test_patterns_as_data() -> None:
    """Times as RFC 3339, levels as words, null for what is not known."""
    found = Found((Recurring("a <num>", None, 5, 2, ns(0), None, b"a \xff", ()),), 5)
    assert as_data(found) == [
        {
            "pattern": "a <num>",
            "level": None,
            "count": 5,
            "before": 2,
            "first_seen": "2026-01-31T03:00:00Z",
            "last_seen": None,
            "components": {},
            "example": "a \ufffd",
            "file": None,
        }
    ]


# Published ground truth


def grouping_accuracy(found: Sequence[object], truth: Sequence[str]) -> float:
    """The share of lines whose group is exactly a group of the truth."""
    ours, theirs = defaultdict(set), defaultdict(set)
    for place, (one, other) in enumerate(zip(found, truth, strict=True)):
        ours[one].add(place)
        theirs[other].add(place)
    right = sum(len(places) for places in ours.values() if theirs[truth[next(iter(places))]] == places)
    return right / len(truth)


def pair_f1(found: Sequence[object], truth: Sequence[str]) -> float:
    """Of all pairs of lines: how well "the same group" here and there agree."""

    def pairs(groups: Iterable[object]) -> int:
        return sum(count * (count - 1) // 2 for count in Counter(groups).values())

    return 2 * pairs(zip(found, truth, strict=True)) / (pairs(found) + pairs(truth))


def test_messages_of_real_systems_are_grouped_as_people_did() -> None:
    """Against loghub's published events, none of whose systems is known here: prints a table."""
    need_logs()
    scores = {}
    for system in SYSTEMS:
        path = FOLDER / "loghub" / system / f"{system}_2k.log_structured.csv"
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        places: dict[str, list[int]] = defaultdict(list)
        for place, row in enumerate(rows):
            places[masked(row["Content"])].append(place)
        groups: list[object] = [None] * len(rows)
        for _, pattern, members in merged([(None, words(text), found) for text, found in places.items()]):
            for place in (place for found in members for place in found):
                groups[place] = pattern
        truth = [row["EventId"] for row in rows]
        scores[system] = grouping_accuracy(groups, truth), pair_f1(groups, truth)
        accuracy, pairs = scores[system]
        print(f"{system:12} accuracy {accuracy:.3f}  pairs {pairs:.3f}  groups {len(set(groups))} of {len(set(truth))}")
    assert sum(accuracy for accuracy, _ in scores.values()) / len(scores) >= 0.85
    assert sum(pairs for _, pairs in scores.values()) / len(scores) >= 0.95
