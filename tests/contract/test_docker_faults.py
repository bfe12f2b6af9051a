"""Docker's API where it is at its worst, over real sockets: streams cut anywhere, silence, garbage, a daemon that is
down, sockets that may not be opened; and as a real engine answered."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path

import pytest

from meshdiag.errors import SourceError, Trouble
from meshdiag.logs.record import Record
from meshdiag.logs.selection import Selection
from meshdiag.logs.tally import Tally
from meshdiag.sources.docker import Docker, EngineAddress, engine_address
from meshdiag.sources.docker.engine import Engine
from tests.fakedocker import FakeContainer, FakeEngine, frame, line, saying
from tests.replay import exchanges, replay, replay_one
from tests.serving import Asked, Server, send

RECORDED = "docker-20.10.24"
EVERYTHING = Selection()
NOBODY = 65534


async def _read(host: str, *names: str, tally: Tally | None = None, selection: Selection = EVERYTHING) -> list[Record]:
    async with asyncio.timeout(20), Docker(names, host=host) as source:
        return [record async for record in source.records(selection, tally or Tally())]


def _texts(records: list[Record]) -> list[bytes]:
    return [record.raw for record in records]


# the streams ---------------------------------------------------------------------------------------------


async def test_frames_may_be_cut_anywhere(tmp_path: Path) -> None:
    """A stream that comes byte by byte gives the same lines as one that comes whole."""
    whole = line(1, "one") + line(2, "two", 2) + frame(b"") + line(3, "three")
    bytewise = FakeContainer("drip", saying(*(whole[place : place + 1] for place in range(len(whole)))))
    with Server(FakeEngine([bytewise]), socket=str(tmp_path / "s")):
        records = await _read(f"unix://{tmp_path / 's'}", "drip")
    assert _texts(records) == [b"one", b"two", b"three"]
    assert [record.time_ns for record in records] == sorted(record.time_ns or 0 for record in records)


@pytest.mark.parametrize(
    ("pieces", "told"),
    [
        ((line(1, "one"), line(2, "two")[:5]), "ends within a frame"),
        ((line(1, "one"), line(2, "two")[:20]), "ends within a frame"),
        ((line(1, "one"), b"plain text that is no frame\n"), "is not a stream of frames"),
        ((line(1, "one"), b"\x01\0\0\0\xff\xff\xff\xff"), "of 4,294,967,295 bytes"),
        (
            (line(1, "one"), frame(b"error from daemon in stream: boom \x1b[31m", 3)),
            "an error of the engine: error from daemon",
        ),
    ],
    ids=["cut-in-header", "cut-in-frame", "garbage", "huge-frame", "system-error"],
)
async def test_a_broken_stream_is_told_after_what_came_before(pieces: tuple[bytes, ...], told: str) -> None:
    """What was whole is given out; then one clear sentence names the container and what is wrong."""
    got: list[bytes] = []
    with Server(FakeEngine([FakeContainer("broken", saying(*pieces))])) as server:
        async with Docker(["broken"], host=server.url) as source:
            with pytest.raises(SourceError, match=told) as caught:
                async for record in source.records(EVERYTHING, Tally()):
                    got.append(record.raw)  # noqa: PERF401 - what came before the error counts
    assert got in ([b"one"], []), "the last record may wait for its continuation"
    assert "broken" in str(caught.value) and str(caught.value).isprintable()
    assert caught.value.trouble is Trouble.MALFORMED


async def test_one_broken_log_spoils_no_other() -> None:
    """Of two containers one breaks off: the other is read to its end, and the break is told."""
    broken = FakeContainer("broken", saying(line(1, "one"), b"garbage here\n"))
    sound = FakeContainer("sound", saying(*(line(second, f"line {second}") for second in range(10))))
    tally = Tally()
    with Server(FakeEngine([broken, sound])) as server:
        records = await _read(server.url, tally=tally)
    assert [record.raw for record in records if record.file == "sound"] == [f"line {n}".encode() for n in range(10)]
    assert len(tally.skipped) == 1 and "broken" in tally.skipped[0]


async def test_silence_within_a_log_is_bounded() -> None:
    """An engine that stops sending within a log costs its patience and one sentence."""

    async def stalls(_: Asked) -> AsyncIterator[bytes]:
        yield line(1, "one")
        await asyncio.sleep(3600)

    stalled = FakeContainer("stalled", stalls)
    with Server(FakeEngine([stalled])) as server:
        engine = Engine(engine_address(server.url), silence_s=0.3)
        (container,) = await engine.containers()
        details = await engine.details(container)
        from meshdiag.sources.streams.window import Ask

        with pytest.raises(SourceError, match=r"no answer within 0\.3 s") as caught:
            async with asyncio.timeout(10), aclosing(engine.log(container, details, Ask(), Tally())) as lines:
                async for _ in lines:
                    pass
        await engine.aclose()
    assert caught.value.trouble is Trouble.TIMEOUT


# the engine ----------------------------------------------------------------------------------------------


async def _error(host: str, *names: str) -> SourceError:
    with pytest.raises(SourceError) as caught:
        await _read(host, *names)
    assert caught.value.source == "Docker" and caught.value.hint
    return caught.value


async def test_a_socket_that_is_not_there(tmp_path: Path) -> None:
    """No socket: the sentence names it and says what to try."""
    error = await _error(f"unix://{tmp_path}/none.sock")
    assert error.trouble is Trouble.REFUSED and f"unix://{tmp_path}/none.sock: there is no such socket" in str(error)


async def test_a_daemon_that_is_down(tmp_path: Path) -> None:
    """A socket that a dead daemon left behind."""
    path = tmp_path / "dead.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    error = await _error(f"unix://{path}")
    assert error.trouble is Trouble.REFUSED and "the daemon is down" in str(error)


async def test_a_socket_that_may_not_be_opened(tmp_path: Path) -> None:
    """Permission denied names the group and sudo."""
    path = tmp_path / "s"
    with Server(FakeEngine([]), socket=str(path)):
        await _error(f"unix://{path}")  # everything is imported while that is allowed
        with _shut(path):
            error = await _error(f"unix://{path}")
    assert error.trouble is Trouble.FORBIDDEN and "group docker" in str(error) and "sudo" in str(error)


@contextlib.contextmanager
def _shut(path: Path) -> Iterator[None]:
    """A socket that this user may not open: root becomes nobody meanwhile."""
    for folder in (path.parent, path.parent.parent, path.parent.parent.parent):
        folder.chmod(0o755)
    path.chmod(0)
    was = os.geteuid()
    if was == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if was == 0:
            os.seteuid(0)


async def test_an_engine_without_containers() -> None:
    """No container at all is an error, never an empty success."""
    with Server(FakeEngine([])) as server:
        error = await _error(server.url)
        assert error.trouble is Trouble.NOT_FOUND and "there is no container" in str(error)
        assert "no container is called x; no container is at all" not in str(await _error(server.url, "x"))


@pytest.mark.parametrize(
    ("speaks", "asked"),
    [(("1.41", "1.12"), "v1.41"), (("1.51", "1.24"), "v1.44"), (("1.99", "1.60"), "v1.60"), (("1.40", ""), "v1.40")],
)
async def test_the_version_is_one_that_both_speak(speaks: tuple[str, str], asked: str) -> None:
    """An older engine is asked in its own version, a newer one in ours as long as it still speaks that."""
    with Server(FakeEngine([FakeContainer("one", saying(line(1, "one")))], version=speaks)) as server:
        assert _texts(await _read(server.url)) == [b"one"]
    assert {request.path.split("/")[1] for request in server.asked} == {"version", asked}


async def test_a_pinned_version_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """DOCKER_API_VERSION is obeyed, and what the engine says of it becomes a sentence."""
    monkeypatch.setenv("DOCKER_API_VERSION", "1.99")
    with replay_one(RECORDED, "api_too_new_version") as server:
        error = await _error(server.url)
    assert error.trouble is Trouble.REJECTED
    assert "Maximum supported API version is 1.41" in str(error) and "unset DOCKER_API_VERSION" in str(error)


async def test_a_container_that_goes_meanwhile_is_no_traceback() -> None:
    """A container that is removed between the list and the look is left out; when it was the only one, that is told."""
    gone = FakeContainer("gone", saying())
    engine = FakeEngine([gone])

    async def missing(_: Asked, writer: asyncio.StreamWriter) -> None:
        await send(writer, 404, b'{"message":"No such container: gone"}')

    engine.overrides[f"{gone.id}/logs"] = missing
    with Server(engine) as server:
        error = await _error(server.url, "gone")
    assert error.trouble is Trouble.NOT_FOUND and "no container gone any more" in str(error)


# following -----------------------------------------------------------------------------------------------


async def test_a_break_while_following_is_mended_without_loss_or_double() -> None:
    """The stream breaks within a frame, three times: every line comes once, and the breaks are told."""
    lines = [line(second, f"line {second}") for second in range(40)]
    broken = 0

    async def log(asked: Asked) -> AsyncIterator[bytes]:
        nonlocal broken
        since = float(asked.param("since") or 0)
        base = 1795345200.0  # 2026-11-22T11:00:00Z
        after = [content for second, content in enumerate(lines) if base + second >= since]
        if asked.param("follow") is None:
            yield b""
            return
        if broken < 3:
            broken += 1
            yield b"".join(after[:10])
            yield after[10][:-4]
            return
        yield b"".join(after)
        await asyncio.sleep(3600)

    got: list[bytes] = []
    tally = Tally()
    with Server(FakeEngine([FakeContainer("flaky", log)])) as server:
        async with asyncio.timeout(20), Docker(["flaky"], host=server.url) as source:
            records = source.follow(EVERYTHING, tally)
            while len(got) < len(lines):
                got.append((await anext(records)).raw)
            await records.aclose()
    assert got == [f"line {second}".encode() for second in range(40)]
    assert broken == 3 and all("read on after a break" in note and "flaky" in note for note in tally.notes)
    assert tally.notes


async def test_a_container_that_appears_is_followed_from_its_beginning() -> None:
    """What starts to fit after following began is read from its first line."""

    async def forever(asked: Asked) -> AsyncIterator[bytes]:
        if asked.param("follow"):
            yield line(1, "from the start")
            await asyncio.sleep(3600)
        yield b""

    async def quiet(_: Asked) -> AsyncIterator[bytes]:
        yield b""
        await asyncio.sleep(3600 if _.param("follow") else 0)

    engine = FakeEngine([FakeContainer("first", quiet)])
    with Server(engine) as server:
        async with asyncio.timeout(20), Docker(host=server.url) as source:
            records = source.follow(EVERYTHING, Tally())
            waiting = asyncio.ensure_future(anext(records))
            await asyncio.sleep(0.4)
            engine.containers.append(FakeContainer("second", forever))
            engine.events += 1
            record = await waiting
            await records.aclose()
    assert (record.file, record.raw) == ("second", b"from the start")


# as a real engine answered -------------------------------------------------------------------------------


async def test_recorded_frames_are_read() -> None:
    """The frames of a real engine: JSON lines of a service, their level and component, and the engine's times."""

    def choose(asked: Asked) -> str | None:
        for end, name in (
            ("/version", "api_version"),
            ("containers/json", "api_containers_all"),
            ("/logs", "api_container_logs_multiplexed"),
        ):
            if asked.path.endswith(end):
                return name
        return "api_container_inspect" if asked.path.endswith("/json") else None

    with replay(RECORDED, choose) as server:
        records = await _read(server.url, "router")
    assert [record.message for record in records] == ["tick"] * 4
    assert {(record.file, record.component, record.level.word if record.level else "") for record in records} == {
        ("mesh-router", "router", "info")
    }
    assert records[0].time_ns == 1795346986114015878


@pytest.mark.parametrize("name", exchanges(RECORDED))
async def test_no_recorded_answer_breaks_any_question(name: str) -> None:
    """Whatever answer is given to whatever question, it is records or a SourceError."""
    with replay_one(RECORDED, name) as server:
        for source in (
            Docker(host=server.url),
            Docker(["mesh-*"], labels=["a"], address=EngineAddress(engine_address(server.url).endpoint)),
        ):
            async with source:
                try:
                    async for _ in source.records(EVERYTHING, Tally()):
                        pass
                except SourceError as error:
                    assert error.source == "Docker" and str(error).isprintable()
