"""Docker's API where it is at its worst, over real sockets: streams cut anywhere, silence, garbage, a daemon that is
down, sockets that may not be opened; and as a real engine answered."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshdiag.errors import SourceError, Trouble
from meshdiag.logs.record import Record
from meshdiag.logs.selection import Selection
from meshdiag.logs.tally import Tally
from meshdiag.sources.docker import Docker, EngineAddress, engine_address
from meshdiag.sources.docker.engine import Engine
from meshdiag.sources.docker.wire import Body
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


Serve = Callable[[FakeEngine], contextlib.AbstractContextManager[str]]


@pytest.fixture(params=["tcp", "unix"])
def serve(request: pytest.FixtureRequest, tmp_path: Path) -> Serve:
    """Serves an engine over each way to reach one, and gives its address."""

    @contextlib.contextmanager
    def serving(engine: FakeEngine) -> Iterator[str]:
        path = str(tmp_path / "docker.sock") if request.param == "unix" else None
        with Server(engine, socket=path) as server:
            yield f"unix://{path}" if path else server.url

    return serving


# the streams ---------------------------------------------------------------------------------------------


async def test_frames_may_be_cut_anywhere(serve: Serve) -> None:
    """A stream that comes byte by byte gives the same lines as one that comes whole."""
    whole = line(1, "one") + line(2, "two", 2) + frame(b"") + line(3, "three")
    bytewise = FakeContainer("drip", saying(*(whole[place : place + 1] for place in range(len(whole)))))
    with serve(FakeEngine([bytewise])) as host:
        records = await _read(host, "drip")
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
async def test_a_broken_stream_is_told_after_what_came_before(
    serve: Serve, pieces: tuple[bytes, ...], told: str
) -> None:
    """What was whole is given out; then one clear sentence names the container and what is wrong."""
    got: list[bytes] = []
    with serve(FakeEngine([FakeContainer("broken", saying(*pieces))])) as host:
        async with Docker(["broken"], host=host) as source:
            with pytest.raises(SourceError, match=told) as caught:
                async for record in source.records(EVERYTHING, Tally()):
                    got.append(record.raw)  # noqa: PERF401 - what came before the error counts
    assert got == [b"one"]
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


async def test_silence_within_a_log_is_bounded(serve: Serve) -> None:
    """An engine that stops sending within a log costs its patience and one sentence."""

    async def stalls(_: Asked) -> AsyncIterator[bytes]:
        yield line(1, "one")
        await asyncio.sleep(3600)

    stalled = FakeContainer("stalled", stalls)
    with serve(FakeEngine([stalled])) as host:
        engine = Engine(engine_address(host), silence_s=0.3)
        (container,) = await engine.containers()
        details = await engine.details(container)
        from meshdiag.sources.streams.window import Ask

        with pytest.raises(SourceError, match=r"no answer within 0\.3 s") as caught:
            async with asyncio.timeout(10), aclosing(engine.log(container, details, Ask(), Tally())) as lines:
                async for _ in lines:
                    pass
        await engine.aclose()
    assert caught.value.trouble is Trouble.TIMEOUT


ONE = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("answer", "trouble"),
    [
        (b"-ERR unknown command\r\n\r\n", Trouble.MALFORMED),
        (b"HTTP/1.1 abc\r\n\r\n", Trouble.MALFORMED),
        (b"x" * 300_000, Trouble.MALFORMED),
        (b"", Trouble.TRUNCATED),
        (ONE, Trouble.TRUNCATED),
        (ONE + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab", Trouble.TRUNCATED),
        (ONE + b"Transfer-Encoding: chunked\r\n\r\n", Trouble.TRUNCATED),
        (ONE + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n", Trouble.MALFORMED),
        (ONE + b"Transfer-Encoding: chunked\r\n\r\n-5\r\nabcde\r\n", Trouble.MALFORMED),
        (ONE + b"Content-Length: 100\r\n\r\nab", Trouble.TRUNCATED),
        (b'HTTP/1.1 500 X\r\nContent-Length: 18\r\n\r\n{"message":"boom"}', Trouble.SERVER_ERROR),
        (b"HTTP/1.1 500 X\r\n\r\n" + b"panic " * 100_000, Trouble.SERVER_ERROR),
    ],
)
async def test_a_log_that_is_not_http_is_told(serve: Serve, answer: bytes, trouble: Trouble) -> None:
    """Whatever comes instead of a log, over a socket as over TCP, is one bounded sentence."""
    container = FakeContainer("odd", saying())
    engine = FakeEngine([container])

    async def garbage(_: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()
        writer.close()

    engine.overrides[f"{container.id}/logs"] = garbage
    with serve(engine) as host:
        error = await _error(host, "odd")
    assert error.trouble is trouble and str(error).isprintable() and len(str(error)) < 600, error


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=12), st.lists(st.integers(0, 900), max_size=8))
def test_chunks_may_be_cut_anywhere(chunks: list[bytes], cuts: list[int]) -> None:
    """A chunked body gives its content however it comes off the wire, and knows when it is whole."""
    wire = b"".join(b"%x;note=1\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    places = sorted({0, len(wire), *(cut for cut in cuts if cut < len(wire))})
    body = Body(chunked=True, length=None)
    assert b"".join(body.feed(wire[start:end]) for start, end in pairwise(places)) == b"".join(chunks)
    assert body.whole and not body.cut


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


async def test_a_container_that_goes_meanwhile_is_no_traceback(serve: Serve) -> None:
    """A container that is removed between the list and the look is left out; when it was the only one, that is told."""
    gone = FakeContainer("gone", saying())
    engine = FakeEngine([gone])

    async def missing(_: Asked, writer: asyncio.StreamWriter) -> None:
        await send(writer, 404, b'{"message":"No such container: gone"}')

    engine.overrides[f"{gone.id}/logs"] = missing
    with serve(engine) as host:
        error = await _error(host, "gone")
    assert error.trouble is Trouble.NOT_FOUND and "no container gone any more" in str(error)


async def test_hostile_names_do_nothing() -> None:
    """A container and a service named to move the cursor appear in a sentence without doing so."""
    evil = FakeContainer("evil\x1b[2J\nname", saying(), labels={"com.docker.compose.service": "srv\x1b]0;x\x07"})
    with Server(FakeEngine([evil])) as server:
        error = await _error(server.url, "evl")
    assert "evil" in str(error) and "srv" in str(error) and str(error).isprintable()


# following -----------------------------------------------------------------------------------------------


async def test_a_break_while_following_is_mended_without_loss_or_double(serve: Serve) -> None:
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
    with serve(FakeEngine([FakeContainer("flaky", log)])) as host:
        async with asyncio.timeout(20), Docker(["flaky"], host=host) as source:
            records = source.follow(EVERYTHING, tally)
            while len(got) < len(lines):
                got.append((await anext(records)).raw)
            await records.aclose()
    assert got == [f"line {second}".encode() for second in range(40)]
    assert broken == 3 and all("read on after a break" in note and "flaky" in note for note in tally.notes)
    assert tally.notes


async def test_a_log_that_cannot_be_read_at_first_is_not_read_from_its_beginning_later(serve: Serve) -> None:
    """Of two containers one fails while its end is looked for: later only its new lines come, not all it ever wrote."""
    asked_before = 0

    async def late(asked: Asked) -> AsyncIterator[bytes]:
        nonlocal asked_before
        asked_before += 1
        if asked_before == 1:
            yield b"garbage that is no frame"
        elif asked.param("follow") is None:
            yield b"".join(line(second, f"old {second}") for second in range(5))
        else:
            yield b"".join(line(second, f"old {second}") for second in range(5)) + line(9, "new")
            await asyncio.sleep(3600)

    async def quiet(asked: Asked) -> AsyncIterator[bytes]:
        yield b""
        await asyncio.sleep(3600 if asked.param("follow") else 0)

    with serve(FakeEngine([FakeContainer("late", late), FakeContainer("quiet", quiet)])) as host:
        async with asyncio.timeout(20), Docker(host=host) as source:
            records = source.follow(EVERYTHING, Tally())
            record = await anext(records)
            await records.aclose()
    assert (record.file, record.raw) == ("late", b"new")


async def test_a_container_that_appears_is_followed_from_its_beginning(serve: Serve) -> None:
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
    with serve(engine) as host:
        async with asyncio.timeout(20), Docker(host=host) as source:
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
