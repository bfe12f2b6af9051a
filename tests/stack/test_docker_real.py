"""Docker's logs from a real engine: frames and terminals, windows, ends, restarts, removal, drivers."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from itertools import pairwise

import pytest

from meshdiag.errors import SourceError, Trouble
from meshdiag.logs.record import NS, Level, Record
from meshdiag.logs.selection import Pattern, Selection
from meshdiag.logs.tally import Tally
from meshdiag.sources.docker import Docker
from meshdiag.sources.streams.lines import rfc3339
from tests.dockerd import Engine, compose, docker_engine
from tests.program import run

WAIT_S = 20.0
EVERYTHING = Selection()
TALK = """
i=0
while [ $i -lt 60 ]; do i=$((i+1)); echo "out $i"; echo "err $i" >&2; done
"""
TRACE = """
i=0
while [ $i -lt 40 ]; do
  i=$((i+1))
  echo "2026-11-22T10:00:00Z INFO consensus: round $i done"
  echo "2026-11-22T10:00:00Z ERROR consensus: round $i failed"
  echo "Traceback (most recent call last):"
  echo "  File x.py, line $i"
  echo "ValueError: $i"
done
"""


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with docker_engine() as running:
        yield running


@pytest.fixture
def started(engine: Engine) -> Iterator[Callable[..., str]]:
    """Starts containers by ``started(name, script, *flags)``; they are removed after the test."""
    names: list[str] = []

    def start(name: str, script: str, *flags: str) -> str:
        engine.run(name, script, *flags)
        names.append(name)
        return name

    yield start
    if names:
        engine.remove(*names)


def _ended(engine: Engine, name: str) -> None:
    engine.docker("wait", name)


async def _read(
    engine: Engine, selection: Selection = EVERYTHING, *names: str, tally: Tally | None = None
) -> list[Record]:
    async with Docker(names, host=engine.host) as source:
        return [record async for record in source.records(selection, tally or Tally())]


async def _until(records: AsyncGenerator[Record, None], enough: Callable[[list[Record]], bool]) -> list[Record]:
    """Follow until there is enough, within bounds."""
    got: list[Record] = []
    async with asyncio.timeout(WAIT_S), aclosing(records):
        async for record in records:
            got.append(record)
            if enough(got):
                break
    return got


async def test_frames_of_both_streams_come_in_order_with_the_engines_times(
    engine: Engine, started: Callable[..., str]
) -> None:
    """Every line of stdout and stderr arrives once, in the order of the engine, with the engine's time."""
    _ended(engine, started("mesh-talk", TALK, *compose("talker")))
    records = await _read(engine, EVERYTHING, "mesh-talk")
    assert sorted(record.raw for record in records) == sorted(
        f"{stream} {number}".encode() for stream in ("out", "err") for number in range(1, 61)
    )
    lines = engine.docker("logs", "--timestamps", "mesh-talk").splitlines()
    assert [record.raw.decode() for record in records] == [line.partition(" ")[2] for line in lines]
    assert [rfc3339(record.time_ns or 0) for record in records] == [line.partition(" ")[0] for line in lines]
    assert abs((records[-1].time_ns or 0) / NS - time.time()) < 60
    assert {(record.file, record.node, record.component) for record in records} == {
        ("mesh-talk", "mesh-talk", "talker")
    }


@pytest.mark.parametrize(
    ("driver", "flags"),
    [("json-file", ()), ("local", ()), ("json-file", ("-t",))],  # local loses the end of a terminal's long line
    ids=["json-file", "local", "terminal"],
)
async def test_a_line_that_the_engine_cuts_is_whole_again(
    engine: Engine, started: Callable[..., str], driver: str, flags: tuple[str, ...]
) -> None:
    """A line of 40,000 bytes, kept by the engine in pieces with a stamp each, is one line without stamps."""
    name = started(
        f"mesh-long-{driver}-{len(flags)}",
        "echo first; head -c 40000 /dev/zero | tr '\\0' x; echo; echo -n torn",
        *flags,
        "--log-driver",
        driver,
    )
    _ended(engine, name)
    records = await _read(engine, EVERYTHING, name)
    assert [record.raw for record in records] == [b"first", b"x" * 40_000, b"torn"]


async def test_a_window_is_exact(engine: Engine, started: Callable[..., str]) -> None:
    """Since is included, until is not, to the nanosecond of the engine's own stamps; the command beside agrees."""
    _ended(engine, started("mesh-window", "for i in 1 2 3 4 5 6; do echo line $i; usleep 50000; done"))
    times = [record.time_ns or 0 for record in await _read(engine, EVERYTHING, "mesh-window")]
    assert len(times) == 6
    window = Selection(since_ns=times[1], until_ns=times[4])
    assert [record.raw for record in await _read(engine, window, "mesh-window")] == [b"line 2", b"line 3", b"line 4"]
    async with Docker(["mesh-window"], host=engine.host) as source:
        (evidence,) = source.evidence(window)
    words = evidence.command.removeprefix(f"docker -H {engine.host} ").removesuffix(" 2>&1").split()
    printed = [line.partition(" ")[2] for line in engine.docker(*words).splitlines()]
    assert printed == ["line 2", "line 3", "line 4", "line 5"], "Docker's until includes its moment"


async def test_the_last_records_are_whole(engine: Engine, started: Callable[..., str]) -> None:
    """The last N are N records, with the lines that continue them, however many lines that takes."""
    _ended(engine, started("mesh-trace", TRACE))
    records = await _read(engine, Selection(tail=3, levels=frozenset({Level.ERROR})), "mesh-trace")
    assert [record.raw.splitlines()[0][-15:] for record in records] == [
        f"round {number} failed".encode()[-15:] for number in (38, 39, 40)
    ]
    assert all(
        record.raw.endswith(f"ValueError: {number}".encode())
        for number, record in zip((38, 39, 40), records, strict=True)
    )
    first = await _read(engine, Selection(tail=1, patterns=(Pattern("round 1 failed"),)), "mesh-trace")
    assert [record.raw.count(b"\n") for record in first] == [3], "found however far back"


async def test_containers_merge_by_time(engine: Engine, started: Callable[..., str]) -> None:
    """Two containers that write in turns come in turns."""
    script = "for i in 1 2 3 4 5 6 7 8; do echo {}$i; usleep 40000; done"
    names = [started(f"mesh-merge-{one}", script.format(one)) for one in "ab"]
    for name in names:
        _ended(engine, name)
    records = await _read(engine, EVERYTHING, "mesh-merge-*")
    assert {record.file for record in records} == set(names) and len(records) == 16
    assert all((before.time_ns or 0) <= (after.time_ns or 0) for before, after in pairwise(records))
    ends = [record.raw for record in await _read(engine, Selection(tail=4), "mesh-merge-a", "mesh-merge-b")]
    assert ends == [record.raw for record in records[-4:]]
    heads = [record.raw for record in await _read(engine, Selection(head=5), "mesh-merge-*")]
    assert heads == [record.raw for record in records[:5]]


async def test_containers_are_found_by_id_label_and_service(engine: Engine, started: Callable[..., str]) -> None:
    """The beginning of an id, a label with and without its value, and a compose service name a container each."""
    name = started("mesh-found", "echo found", *compose("finder"), "--label", "tier=edge")
    _ended(engine, name)
    started("mesh-other", "echo other", *compose("loser"))
    identity = engine.docker("inspect", "--format", "{{.Id}}", name).strip()
    for source in (
        Docker([identity[:8]], host=engine.host),
        Docker(["finder"], host=engine.host),
        Docker(labels=["tier=edge"], host=engine.host),
        Docker(labels=["tier"], host=engine.host),
        Docker(services=["finder"], host=engine.host),
    ):
        async with source:
            assert [record.raw async for record in source.records(EVERYTHING, Tally())] == [b"found"]


async def test_following_goes_through_a_restart(engine: Engine, started: Callable[..., str]) -> None:
    """What a container writes before and after restarts arrives once each, in order; what was there before does not."""
    script = "trap exit TERM; i=0; while true; do i=$((i+1)); echo $(date +%s%N) $i; usleep 20000; done"
    name = started("mesh-restart", script)
    async with Docker([name], host=engine.host) as source:
        follow = source.follow(EVERYTHING, Tally())
        first = await asyncio.wait_for(anext(follow), WAIT_S)
        for _ in range(2):
            await asyncio.to_thread(engine.docker, "restart", "-t", "0", name)
        await asyncio.sleep(0.3)
        await asyncio.to_thread(engine.docker, "stop", "-t", "0", name)
        kept = [line for line in engine.docker("logs", name).splitlines() if line]
        expected = kept[kept.index(first.raw.decode()) :]
        got = [first, *await _until(follow, lambda got: len(got) == len(expected) - 1)]
    assert [record.raw.decode() for record in got] == expected
    assert sum(line.endswith(" 1") for line in expected) == 2, "two restarts"
    assert len(kept) > len(expected) or expected[0] == kept[0]


async def test_following_finds_a_container_made_anew(engine: Engine, started: Callable[..., str]) -> None:
    """A container that is removed while it is followed, and made again under its name, is followed from its start."""
    name = started("mesh-anew", "echo old life; sleep 100")
    async with Docker([name], host=engine.host) as source:
        follow = source.follow(Selection(tail=5), Tally())
        assert (await asyncio.wait_for(anext(follow), WAIT_S)).raw == b"old life"
        await asyncio.to_thread(engine.remove, name)
        await asyncio.to_thread(engine.run, name, "echo new life; sleep 100")
        assert [record.raw for record in await _until(follow, bool)] == [b"new life"]


async def test_following_goes_through_the_engines_own_rotation(engine: Engine, started: Callable[..., str]) -> None:
    """The engine turns its log over again and again, giving lines twice as it does: each arrives once, in order."""
    script = """
    sleep 0.5; i=0
    while [ $i -lt 6000 ]; do
      i=$((i+1)); echo "line $i of a log that is turned over"; [ $((i%200)) = 0 ] && usleep 20000
    done
    sleep 100
    """
    name = started("mesh-rotate", script, "--log-opt", "max-size=50k", "--log-opt", "max-file=50")
    async with Docker([name], host=engine.host) as source:
        got = await _until(source.follow(EVERYTHING, Tally()), lambda got: len(got) >= 6000)
    assert [int(record.raw.split()[1]) for record in got] == list(range(1, 6001))
    assert len(list(engine.socket.parent.glob("data/containers/*/*-json.log.*"))) > 5, "it was turned over"


async def test_a_trace_is_one_record_while_it_is_followed(engine: Engine, started: Callable[..., str]) -> None:
    """Lines that continue a record come with it, and a record is given out though no other follows."""
    name = started("mesh-follow-trace", "sleep 1;" + TRACE + "sleep 100")
    async with Docker([name], host=engine.host) as source:
        got = await _until(source.follow(EVERYTHING, Tally()), lambda got: len(got) >= 80)
    assert [record.raw.count(b"\n") for record in got[-2:]] == [0, 3]


async def test_a_driver_that_keeps_nothing_is_told(engine: Engine, started: Callable[..., str]) -> None:
    """Alone it is an error that names the driver; beside others it is told and they are read."""
    started("mesh-mute", "echo hello; sleep 100", "--log-driver", "none")
    with pytest.raises(SourceError, match="mesh-mute cannot be read back: its logging driver none") as caught:
        await _read(engine, EVERYTHING, "mesh-mute")
    assert caught.value.trouble is Trouble.NOT_AVAILABLE and caught.value.hint
    _ended(engine, started("mesh-loud", "echo hello"))
    tally = Tally()
    assert [record.raw for record in await _read(engine, EVERYTHING, "mesh-mute", "mesh-loud", tally=tally)] == [
        b"hello"
    ]
    assert [("mesh-mute" in told, "none" in told) for told in tally.skipped] == [(True, True)]


async def test_a_name_that_nobody_bears_is_guessed(engine: Engine, started: Callable[..., str]) -> None:
    """A mistyped container is an error that offers the right name; one that is gone is no traceback."""
    started("mesh-trainer", "echo hello")
    with pytest.raises(SourceError, match=r"no container is called mesh-tranier; did you mean mesh-trainer") as caught:
        await _read(engine, EVERYTHING, "mesh-tranier")
    assert caught.value.trouble is Trouble.NOT_FOUND


async def test_the_whole_program_reads_containers(engine: Engine, started: Callable[..., str]) -> None:
    """Raw lines on stdout, JSON with the container's name and the engine's time, a clear sentence for a wrong name."""
    _ended(
        engine,
        started("mesh-program", 'echo \'{"level":"error","msg":"boom"}\'; echo \'{"level":"info","msg":"fine"}\''),
    )
    environment = {"DOCKER_HOST": engine.host}
    raw = await asyncio.to_thread(
        run, "logs", "--source", "docker", "--level", "error", "mesh-program", environment=environment
    )
    assert (raw.code, raw.stdout) == (0, '{"level":"error","msg":"boom"}\n'), raw.stderr
    read = await asyncio.to_thread(
        run, "logs", "--source", "docker", "mesh-program", "-o", "json", environment=environment
    )
    rows = [json.loads(row) for row in read.stdout.splitlines()]
    assert [(row["level"], row["message"], row["file"], row["node"]) for row in rows] == [
        ("error", "boom", "mesh-program", "mesh-program"),
        ("info", "fine", "mesh-program", "mesh-program"),
    ]
    assert all(row["ts"] for row in rows)
    wrong = await asyncio.to_thread(run, "logs", "--source", "docker", "mesh-progam", environment=environment)
    assert wrong.code == 3 and "did you mean mesh-program?" in wrong.stderr and wrong.stdout == ""
