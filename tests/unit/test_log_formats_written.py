"""Records written as each library writes them, of any content, are read back as they were."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshdiag.logs.formats import Hints
from meshdiag.logs.formats.detecting import detect
from meshdiag.logs.levels import level_of
from meshdiag.logs.record import Level

NEWEST = datetime(2025, 6, 30, tzinfo=UTC)
HINTS = Hints(NEWEST, UTC)


@dataclass(frozen=True)
class Said:
    """What is written."""

    moment: datetime
    level: Level
    component: str
    message: str

    @property
    def iso(self) -> str:
        """RFC 3339 with milliseconds."""
        return self.moment.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"

    @property
    def millis(self) -> int:
        """Since the epoch."""
        return (self.moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


_PYTHON = {
    Level.TRACE: logging.DEBUG, Level.DEBUG: logging.DEBUG, Level.INFO: logging.INFO, Level.WARN: logging.WARNING,
    Level.ERROR: logging.ERROR, Level.FATAL: logging.CRITICAL,
}  # fmt: skip


def _python(said: Said, style: str) -> bytes:
    record = logging.LogRecord(
        said.component, _PYTHON[said.level], "a.py", 1, said.message.replace("%", "%%"), (), None
    )
    record.created, record.msecs = said.millis // 1000, said.millis % 1000
    formatter = logging.Formatter(style)
    formatter.converter = lambda seconds: datetime.fromtimestamp(seconds or 0, UTC).timetuple()
    return formatter.format(record).replace("%%", "%").encode()


def _compact(fields: dict[str, object]) -> bytes:
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()


def _zap(said: Said) -> bytes:
    return _compact({"level": said.level.word, "ts": said.millis / 1000, "logger": said.component, "msg": said.message})


def _mesh_text(said: Said) -> bytes:
    return f"{said.iso} {said.level.name:<5} [{said.component}] {said.message}".encode()


JSON_WRITERS: dict[str, Callable[[Said], bytes]] = {
    "zap": _zap,
    "the mesh": lambda said: _compact(
        {"ts": said.iso, "level": said.level.name, "component": said.component, "message": said.message}
    ),
    "structlog": lambda said: json.dumps(
        {"event": said.message, "level": said.level.word, "logger": said.component, "timestamp": said.iso}
    ).encode(),
    "bunyan": lambda said: _compact(
        {
            "name": said.component,
            "hostname": "h",
            "pid": 1,
            "level": said.level * 10 + 10,
            "msg": said.message,
            "time": said.iso,
        }
    ),
    "ECS": lambda said: _compact(
        {"@timestamp": said.iso, "log": {"level": said.level.name, "logger": said.component}, "message": said.message}
    ),
    "CRI": lambda said: f"{said.iso[:-1]}000000Z stdout F ".encode() + _zap(said),
    "docker": lambda said: json.dumps(
        {"log": _zap(said).decode() + "\n", "stream": "stdout", "time": said.iso[:-1] + "000000Z"}
    ).encode(),
    "logfmt": lambda said: (
        f"ts={said.iso} level={said.level.word} component={said.component} "
        f"msg={json.dumps(said.message, ensure_ascii=False)}".encode()
    ),
}
TEXT_WRITERS: dict[str, Callable[[Said], bytes]] = {
    "the mesh": _mesh_text,
    "Python": lambda said: _python(said, "%(asctime)s - %(name)s - %(levelname)s - %(message)s"),
    "Python, brackets": lambda said: _python(said, "[%(asctime)s] %(levelname)s [%(name)s] %(message)s"),
    "logback": lambda said: (
        f"{said.iso[:-1].replace('T', ' ')} [main] {said.level.name:<5} {said.component} - {said.message}".encode()
    ),
    "docker": lambda said: json.dumps(
        {"log": _mesh_text(said).decode(), "stream": "stdout", "time": said.iso}
    ).encode(),
    "compose": lambda said: b"mesh-1  | " + _mesh_text(said),
}

MOMENTS = st.integers(0, 10**10).map(lambda millis: NEWEST - timedelta(milliseconds=millis))
NAMES = st.from_regex(r"[a-z][a-z0-9_]{2,12}", fullmatch=True).filter(lambda name: level_of(name) is None)
WORDS = st.lists(st.from_regex(r"[a-z][a-z0-9é]{0,8}", fullmatch=True), min_size=1, max_size=6).map(" ".join)
ANYTHING = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=40)


def _said(messages: st.SearchStrategy[str], levels: list[Level]) -> st.SearchStrategy[Said]:
    return st.builds(Said, MOMENTS, st.sampled_from(levels), NAMES, messages)


def _check(writer: Callable[[Said], bytes], said: list[Said]) -> None:
    lines = [writer(one) for one in said]
    form = detect(lines, HINTS)
    for one, line in zip(said, lines, strict=True):
        record = form.parse(line)
        assert form.starts(line)
        assert record.time_ns == one.millis * 10**6
        assert (record.level, record.component, record.message) == (one.level, one.component, one.message)


@pytest.mark.parametrize("library", JSON_WRITERS)
def test_objects_and_pairs_are_read_back(library: str) -> None:
    """Any message, of quotes and control characters too, comes back with its time, level and component."""

    @settings(max_examples=30, deadline=None)
    @given(st.lists(_said(ANYTHING, list(Level)), min_size=1, max_size=5))
    def check(said: list[Said]) -> None:
        _check(JSON_WRITERS[library], said)

    check()


@pytest.mark.parametrize("library", TEXT_WRITERS)
def test_text_is_read_back(library: str) -> None:
    """Ordinary messages come back from lines of text with time, level and component."""

    @settings(max_examples=30, deadline=None)
    @given(st.lists(_said(WORDS, list(Level)[1:]), min_size=1, max_size=5))
    def check(said: list[Said]) -> None:
        _check(TEXT_WRITERS[library], said)

    check()
