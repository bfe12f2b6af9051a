"""Real logs with published ground truth, read in place: where records begin, their times, how grave they are.

Nothing here uses the code under test: times are read by ``strptime`` with the pattern that is published for each
system, levels by a table of words.
"""

from __future__ import annotations

import csv
import json
import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from meshdiag.logs.record import Level

FOLDER = Path(__file__).parents[2] / "shared" / "data" / "logs"
NEWEST = datetime(2026, 6, 30, tzinfo=UTC)
"""When the files were last written, as the formats are told."""
NS = 10**9

_WORDS = {
    "v": Level.TRACE, "trace": Level.TRACE, "d": Level.DEBUG, "debug": Level.DEBUG, "i": Level.INFO,
    "info": Level.INFO, "notice": Level.INFO, "note": Level.INFO, "log": Level.INFO, "w": Level.WARN,
    "warn": Level.WARN, "warning": Level.WARN, "e": Level.ERROR, "error": Level.ERROR, "fatal": Level.FATAL,
    "critical": Level.FATAL, "emergency": Level.FATAL, "alert": Level.FATAL, "panic": Level.FATAL,
}  # fmt: skip


@dataclass(frozen=True)
class Expected:
    """What is known of one line: when it was written (ns, None for unknown), and its level. ``graded``: the level
    is known, also that there is none."""

    time_ns: int | None
    level: Level | None = None
    graded: bool = True


@dataclass
class Truth:
    """One file. ``records`` by the number of their first line, from 0; ``whole``: every line without a record
    continues the one before it (or stands before the first)."""

    system: str
    lines: list[bytes]
    records: dict[int, Expected] = field(default_factory=dict)
    whole: bool = True


def need_logs() -> None:
    """Skip where the logs are not at hand, fail in CI."""
    if not FOLDER.is_dir():
        reason = f"no logs with ground truth in {FOLDER}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


def lines_of(path: Path) -> list[bytes]:
    """The lines of a file, without their newlines."""
    data = path.read_bytes()
    return data.removesuffix(b"\n").split(b"\n")


def ns_of(moment: datetime) -> int:
    """Nanoseconds since the epoch of an aware moment, or of one in UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (aware - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000


def level_of(word: object) -> Level | None:
    """By the table."""
    return _WORDS.get(str(word).strip().lower())


def _latest(text: str, pattern: str) -> datetime:
    """A time without a year, in the latest that puts it not after ``NEWEST``."""
    for year in range(NEWEST.year, NEWEST.year - 9, -1):
        try:
            moment = datetime.strptime(f"{year} {text}", f"%Y {pattern}").replace(tzinfo=UTC)
        except ValueError:
            continue
        if moment <= NEWEST:
            return moment
    raise AssertionError(text)


_LOGHUB: dict[str, tuple[Callable[[dict[str, str]], datetime], bool]] = {
    "Apache": (lambda row: datetime.strptime(row["Time"], "%a %b %d %H:%M:%S %Y"), True),
    "HDFS": (lambda row: datetime.strptime(row["Date"] + row["Time"].zfill(6), "%y%m%d%H%M%S"), True),
    "Hadoop": (lambda row: datetime.strptime(f"{row['Date']} {row['Time']}", "%Y-%m-%d %H:%M:%S,%f"), True),
    "Android": (lambda row: _latest(f"{row['Date']} {row['Time']}", "%m-%d %H:%M:%S.%f"), True),
    "Windows": (lambda row: datetime.strptime(f"{row['Date']} {row['Time']}", "%Y-%m-%d %H:%M:%S"), True),
    "Linux": (lambda row: _latest(f"{row['Month']} {row['Date']} {row['Time']}", "%b %d %H:%M:%S"), False),
    "Proxifier": (lambda row: _latest(row["Time"], "%m.%d %H:%M:%S"), False),
    "Thunderbird": (lambda row: datetime.fromtimestamp(int(row["Timestamp"]), UTC), False),
}
"""How to read the time of a row, and whether its column ``Level`` is a level."""


def loghub(system: str) -> Truth:
    """One of loghub's systems: row N of its table is line N."""
    read, levelled = _LOGHUB[system]
    folder = FOLDER / "loghub" / system
    with (folder / f"{system}_2k.log_structured.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    lines = lines_of(folder / f"{system}_2k.log")
    assert len(lines) == len(rows)
    records = {
        number: Expected(ns_of(read(row)), level_of(row["Level"]) if levelled else None)
        for number, row in enumerate(rows)
    }  # fmt: skip
    return Truth(system, lines, records)


LOGHUB = tuple(_LOGHUB)

_ZONES = {"PDT": -7, "PST": -8, "CEST": 2, "CET": 1, "UTC": 0, "MSK": 3, "EST": -5, "Z": 0}
_PATTERNS = (
    "%Y-%m-%dT%H:%M:%S.%f%z", "%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%d %H:%M:%S.%f%z", "%Y-%m-%d %H:%M:%S%z",
    "%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S.%f", "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%d %H:%M:%S.%f %z", "%d/%b/%Y:%H:%M:%S %z", "%d/%b/%Y:%H:%M:%S.%f", "%d/%b/%Y %H:%M:%S",
    "%a %b %d %H:%M:%S %Y", "%Y%m%d %H:%M:%S.%f", "%y%m%d %H:%M:%S", "%Y/%m/%d %H:%M:%S %z",
)  # fmt: skip
_YEARLESS = ("%b %d %H:%M:%S", "%b-%d %H:%M:%S.%f", "%m-%d %H:%M:%S.%f", "%m.%d %H:%M:%S", "%m%d %H:%M:%S.%f")


def moment_of(text: object) -> int | None:
    """Nanoseconds of a published time text, None for one that says too little (no hour)."""
    if isinstance(text, int | float):
        return int(text)
    assert isinstance(text, str)
    if re.fullmatch(r"\d{16}", text):
        return int(text) * 1000
    inner = re.fullmatch(r"(.*) ([A-Z]{3}) (\d{4})", text)
    if inner:  # ctime with a zone
        text = f"{inner[1]} {inner[3]} {inner[2]}"
    if re.fullmatch(r"\d{10}\.\d{6}", text):
        return int(text.replace(".", "")) * 1000
    zone = re.search(r"\s+([A-Z]{2,4})$|(?<=\d)Z$", text)
    offset = None
    if zone and zone[0].strip() not in ("AM", "PM"):
        offset = timezone(timedelta(hours=_ZONES[zone[0].strip()]))
        text = text[: zone.start()]
    if re.search(r" (?:AM|PM)$", text):
        moment = datetime.strptime(text, "%Y-%m-%dT%I:%M:%S %p")
        return ns_of(moment.replace(tzinfo=offset))
    text = re.sub(r",(\d)", r".\1", text)
    spare = re.search(r"\.\d{6}(\d{1,3})", text)
    nanos = int(spare[1].ljust(3, "0")) if spare else 0
    text = re.sub(r"(\.\d{6})\d{1,3}", r"\1", text)
    if re.fullmatch(r"\d\d:\d\d:\d\d\.\d+", text):
        return ns_of(_time_of_day(text))
    for pattern in _PATTERNS:
        try:
            moment = datetime.strptime(text, pattern)
        except ValueError:
            continue
        return ns_of(moment.replace(tzinfo=offset) if offset else moment) + nanos
    for pattern in _YEARLESS:
        try:
            datetime.strptime(f"2024 {text}", f"%Y {pattern}")
        except ValueError:
            continue
        return ns_of(_latest(text, pattern))
    return None


def _time_of_day(text: str) -> datetime:
    clock = datetime.strptime(text, "%H:%M:%S.%f")
    today = NEWEST.replace(hour=clock.hour, minute=clock.minute, second=clock.second, microsecond=clock.microsecond)
    return today if today <= NEWEST else today - timedelta(days=1)


_LEVELLED = ("laravel_log", "postgres_log", "mysql_error_log", "glog_log", "ecs_log", "nextcloud", "journald_json_log")
_UNLEVELLED = (
    "syslog_log", "uwsgi_log", "haproxy_log", "access_log", "strace_log", "mysql_slow_log", "proxifier_log", "elb_log",
)  # fmt: skip
"""Formats whose lines state none: what lnav shows there it takes from words of the message or an HTTP status."""
_PARTIAL = ("logfile_bad_syslog.0", "logfile_bad_access_log.0")
"""Files with lines that their format does not match and that are no continuation."""

_FURTHER = ("DETAIL", "HINT", "QUERY", "CONTEXT", "STATEMENT", "LOCATION", "BACKTRACE")
"""What PostgreSQL's manual lists as parts of one message, each on a line of its own: they continue the record."""


def lnav_files() -> list[Truth]:
    """lnav's fixture files of which the format is known."""
    found: dict[str, Truth] = {}
    for line in (FOLDER / "lnav" / "files_truth.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        name = row["file"]
        truth = found.setdefault(name, Truth(name, lines_of(FOLDER / "lnav" / "files" / name)))
        truth.whole = name not in _PARTIAL
        if row.get("level_text") not in _FURTHER:
            truth.records[row["line_no"] - 1] = _lnav(row)
    return list(found.values())


def _lnav(row: dict[str, Any]) -> Expected:
    text = row.get("level_by_map") if row["format"] in ("nextcloud", "journald_json_log") else row.get("level_text")
    graded = row["format"] in _LEVELLED or row["format"] in _UNLEVELLED
    level = level_of(row.get("level_by_map") if text is None or level_of(text) is None else text)
    return Expected(moment_of(row["timestamp_text"]), level if row["format"] in _LEVELLED else None, graded)


def lnav_samples() -> dict[str, list[tuple[bytes, Expected]]]:
    """lnav's sample lines by format; some hold several lines."""
    found: dict[str, list[tuple[bytes, Expected]]] = defaultdict(list)
    for line in (FOLDER / "lnav" / "format_samples.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        stated = row["format"] not in _UNLEVELLED
        level = level_of(row.get("level") or row.get("level_by_map") or row.get("level_text")) if stated else None
        known = not stated or level is not None
        found[row["format"]].append((row["line"].encode(), Expected(moment_of(row["timestamp_text"]), level, known)))
    return found


_BUNYAN = {
    10: Level.TRACE, 20: Level.DEBUG, 30: Level.INFO, 40: Level.WARN, 50: Level.ERROR, 55: Level.ERROR, 60: Level.FATAL,
}  # fmt: skip


def ndjson(name: str, key: str, level: str | None) -> Truth:
    """A file with an object a line, and text in between, which continues nothing."""
    lines = lines_of(FOLDER / name)
    records: dict[int, Expected] = {}
    for number, line in enumerate(lines):
        try:
            row = json.loads(line)
        except ValueError:
            continue
        stated = row.get(level) if level else None
        number_ = int(stated) if str(stated).isdigit() else None
        grade = _BUNYAN[number_] if number_ is not None else level_of(stated)
        records[number] = Expected(_json_moment(row.get(key)), grade, graded=level is not None)
    return Truth(name, lines, records, whole=False)


def _json_moment(value: Any) -> int | None:
    if isinstance(value, str) and value.isdigit():
        value = int(value)
    if isinstance(value, int):
        return value * 10**6
    return None if value is None else ns_of(datetime.fromisoformat(value.strip("<>")))


def pretty(name: str, key: str, level: str) -> Truth:
    """A file with objects over several lines."""
    lines = lines_of(FOLDER / name)
    truth = Truth(name, lines)
    decoder, text = json.JSONDecoder(), b"\n".join(lines).decode()
    place = 0
    while place < len(text):
        row, end = decoder.raw_decode(text, place)
        truth.records[text.count("\n", 0, place)] = Expected(_json_moment(row[key]), level_of(row[level]))
        place = end + len(text[end:]) - len(text[end:].lstrip())
    return truth


def kafka() -> Truth:
    """Kafka's own log, by its documented pattern."""
    name = "filebeat/kafka_server.log"
    truth = Truth(name, lines_of(FOLDER / name))
    for number, line in enumerate(truth.lines):
        found = re.match(rb"\[([\d :,-]+)\] ([A-Z]+) ", line)
        if found:
            truth.records[number] = Expected(moment_of(found[1].decode()), level_of(found[2].decode()))
    return truth


def all_files() -> Iterator[Truth]:
    """Everything, loghub aside."""
    yield from lnav_files()
    for name, key, level in (
        ("hl/prometheus.log", "ts", "level"),
        ("hl/test.log", "ts", "level"),
        ("hl/mixed_valid_invalid.log", "ts", "level"),
        ("fblog/sample_numbered.json.log", "time", "level"),
        ("bunyan/all.log", "time", "level"),
        ("bunyan/log1.log", "time", "level"),
        ("bunyan/clientreqres.log", "time", "level"),
        ("filebeat/kibana.log", "@timestamp", None),
        ("pods/minishop-backend.pino.log", "time", "level"),
    ):
        yield ndjson(name, key, level)
    yield pretty("filebeat/gitlab_application_json.log", "time", "severity")
    yield pretty("hl/multiline_json.log", "timestamp", "level")
    yield kafka()
