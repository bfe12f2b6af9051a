"""The engine finds what a naive reader finds, whatever the file and the selection."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meshdiag.logs.opening.files import find
from meshdiag.logs.record import NS, Level
from meshdiag.logs.scan import blocks, prefilter, scanning
from meshdiag.logs.scan.blocks import Sizes
from meshdiag.logs.search import copy, count, search
from meshdiag.logs.selection import Pattern, Selection
from meshdiag.logs.tally import Tally
from meshdiag.logs.where import parse_where
from tests.naive_logs import format_of, raws, read

START = int(datetime(2025, 6, 1, tzinfo=UTC).timestamp())
SIZES = Sizes(block=700, record=1500)
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def stamp(second: int, fraction: str = ".123") -> str:
    return datetime.fromtimestamp(START + second, UTC).strftime("%Y-%m-%dT%H:%M:%S") + fraction + "Z"


LEVELS = ("INFO", "DEBUG", "WARN", "ERROR", "FATAL", "error", "Warning", "TRACE")
WORDS = ("consensus", "network", "refused", "errors=0", "ERROR", "Consensus", 'err="x"', "1007", "é", "\x00", "a\tb")

seconds = st.integers(0, 400)
words = st.lists(st.sampled_from(WORDS), max_size=5).map(" ".join)


@st.composite
def text_lines(draw: st.DrawFn) -> bytes:
    component = draw(st.sampled_from(("[consensus]", "[network]", "[Storage]", "")))
    return f"{stamp(draw(seconds))} {draw(st.sampled_from(LEVELS)):<5} {component} {draw(words)}".encode()


@st.composite
def json_lines(draw: st.DrawFn) -> bytes:
    level = draw(st.sampled_from((*LEVELS, "\\u0045RROR")))
    extra = draw(
        st.sampled_from(
            (
                "",
                ',"consensus":{"round":7}',
                ',"consensus":null',
                ',"duration_ms":120',
                ',"a":{"level":"ERROR"}',
                ',"component":"consensus","node":"n1"',
                ',"c\\u006fnsensus":{"round":3}',
            )
        )
    )
    said = draw(words).replace('"', "'").replace("\x00", "").replace("\t", " ")
    return f'{{"ts":"{stamp(draw(seconds))}","level":"{level}"{extra},"msg":"{said}"}}'.encode()


@st.composite
def logfmt_lines(draw: st.DrawFn) -> bytes:
    level = draw(st.sampled_from(("info", "warn", "error", "debug", "ERROR")))
    extra = draw(st.sampled_from(("", " consensus=1", " component=network node=n2", " duration_ms=99")))
    said = draw(st.sampled_from(("up", "ERROR", "refused")))
    return f'ts={stamp(draw(seconds))} level={level}{extra} msg="{said}"'.encode()


continuations = st.sampled_from(
    (b"\tat x.y(z.java:7) ERROR", b"    consensus", b"", b"Caused by: refused", b"}", b"\xff\xfe")
)


@st.composite
def logs(draw: st.DrawFn) -> bytes:
    """A file of one or two formats, with continuation lines, either kind of line end, torn or not."""
    kinds = draw(st.lists(st.sampled_from((text_lines(), json_lines(), logfmt_lines())), min_size=1, max_size=2))
    lines: list[bytes] = []
    for _ in range(draw(st.integers(0, 30))):
        lines.append(draw(st.one_of(kinds)))
        lines += draw(st.lists(continuations, max_size=2)) if draw(st.integers(0, 5)) == 0 else []
        if draw(st.integers(0, 40)) == 0:
            lines[-1] += b" long" * draw(st.integers(50, 900))
    end = draw(st.sampled_from((b"\n", b"\n", b"\r\n")))
    content = end.join(lines) + (end if lines else b"")
    return content[: -draw(st.integers(1, 9))] if content and draw(st.integers(0, 3)) == 0 else content


patterns = st.builds(
    Pattern,
    text=st.sampled_from(
        (
            "consensus|network",
            "refused",
            "ERROR",
            "(?i)consensus",
            "errors=[0-9]",
            r"x\.y",
            "^2025.*Z E",
            "0{2}7",
            r"[a-z]+\d$",
            "é",
        )
    ),
    fixed=st.just(False),
    ignore_case=st.booleans(),
    invert=st.sampled_from((False, False, True)),
)


@st.composite
def selections(draw: st.DrawFn) -> Selection:
    since = draw(st.none() | seconds)
    until = draw(st.none() | seconds)
    some = draw(st.integers(0, 2)) == 0
    return Selection(
        since_ns=None if since is None else (START + since) * NS,
        until_ns=None if until is None else (START + until) * NS,
        levels=draw(st.none() | st.frozensets(st.sampled_from(Level), min_size=1)),
        components=draw(st.sampled_from(((), (), ("CONSENSUS",), ("network", "storage")))),
        nodes=draw(st.sampled_from(((), (), (), ("N1",)))),
        patterns=tuple(draw(st.lists(patterns, max_size=2))),
        where=draw(st.sampled_from((None, None, None, parse_where("consensus.round > 5 or duration_ms >= 100")))),
        field=draw(st.sampled_from((None, None, None, "consensus", "consensus.round"))),
        head=draw(st.none() | st.integers(0, 4)) if some else None,
        tail=draw(st.none() | st.integers(0, 4)) if draw(st.integers(0, 2)) == 0 else None,
    )


@pytest.fixture(params=["small inputs", "large inputs"])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Both ways to look for candidates, the one for large inputs on small ones too, in a buffer that must grow."""
    if request.param == "large inputs":
        monkeypatch.setattr(prefilter, "SMALL_BYTES", 0)
        monkeypatch.setattr(prefilter, "EVERYWHERE", 1e9)
        monkeypatch.setattr(scanning, "MANY", 1)
        monkeypatch.setattr(scanning, "LARGE_BYTES", 0)
        monkeypatch.setattr(blocks, "HELD_BYTES", 64)
        monkeypatch.setattr(blocks, "MANY_SLICES", 1)
    yield


def copied(path: Path, selection: Selection, sizes: Sizes | None = SIZES) -> tuple[bytes, Tally]:
    tally = Tally()
    with tempfile.TemporaryFile() as out:
        copy(find([str(path)], tally), selection, out.fileno(), tally, zone=UTC, sizes=sizes)
        return os.pread(out.fileno(), 1 << 30, 0), tally


@QUICK
@given(content=logs(), selection=selections())
def test_agrees_with_the_naive_reader(tmp_path: Path, engine: None, content: bytes, selection: Selection) -> None:
    """Searching, copying and counting find the records that reading, parsing and testing each one finds."""
    path = tmp_path / "app.log"
    path.write_bytes(content)
    if selection.head is not None and selection.tail is not None:
        selection = Selection(head=selection.head, levels=selection.levels)
    form = format_of(content, path)
    expected = read(content, form, selection, SIZES.record)
    found = list(search(find([str(path)], Tally()), selection, Tally(), zone=UTC, sizes=SIZES))
    assert [one.raw for one in found] == [one.raw for one, _ in expected]
    assert [(one.time_ns, one.level, one.fields) for one in found] == [
        (one.time_ns, one.level, one.fields) for one, _ in expected
    ]
    assert copied(path, selection)[0] == raws(expected)
    assert count(find([str(path)], Tally()), selection, Tally(), zone=UTC, sizes=SIZES) == len(expected)


@QUICK
@given(content=logs(), before=st.integers(0, 3), after=st.integers(0, 3), levels=st.frozensets(st.sampled_from(Level)))
def test_neighbours_are_shown_once(
    tmp_path: Path, content: bytes, before: int, after: int, levels: frozenset[Level]
) -> None:
    """Records around wanted ones come in their order, each once, marked, across the blocks that are read."""
    path = tmp_path / "app.log"
    path.write_bytes(content)
    selection = Selection(levels=levels, before=before, after=after)
    expected = read(content, format_of(content, path), selection, SIZES.record)
    found = list(search(find([str(path)], Tally()), selection, Tally(), zone=UTC, sizes=SIZES))
    assert [(one.raw, one.context) for one in found] == [(one.raw, context) for one, context in expected]
