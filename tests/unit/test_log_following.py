"""Following logs: nothing lost, nothing doubled, a line at once, whatever becomes of the files."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC
from pathlib import Path

import pytest

from meshdiag.logs.follow.arriving import Arrivals, Piece
from meshdiag.logs.follow.following import follow, follow_raw
from meshdiag.logs.follow.reels import CutError, Reel, Shared
from meshdiag.logs.follow.watching import Stop, Watch
from meshdiag.logs.record import Level
from meshdiag.logs.selection import Pattern, Selection
from meshdiag.logs.tally import Tally

LINES = int(os.environ.get("MESHDIAG_FOLLOW_LINES", "1000000"))
ROTATIONS = 50
WRITER = Path(__file__).parents[1] / "rotating.py"
DEADLINE_S = 60
NUMBERED = "2025-06-01T00:00:00.000Z INFO [raft] round committed height={}\n"


class Collected:
    """Lines as they arrive in another thread."""

    def __init__(self, *paths: Path | str, polling: bool = False) -> None:
        self.tally, self.stop = Tally(), Stop()
        self.arrivals = Arrivals([str(path) for path in paths], self.tally, self.stop, polling=polling)
        self.lines: list[str] = []
        self.files: list[str] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with self.arrivals as arrivals:
            for pieces in arrivals.rounds():
                for piece in pieces:
                    found = piece.lines.decode().splitlines()
                    self.files += [Path(piece.file).name] * len(found)
                    self.lines += found

    def wait(self, *expected: str) -> None:
        """Wait for these lines and nothing else."""
        until = time.monotonic() + 10
        while len(self.lines) < len(expected) and time.monotonic() < until:
            time.sleep(0.005)
        assert self.lines == list(expected)

    def end(self) -> None:
        self.stop.set()
        self._thread.join(10)
        assert not self._thread.is_alive()


@pytest.fixture(params=["told by the kernel", "looking at intervals"])
def collect(request: pytest.FixtureRequest) -> Iterator[Callable[..., Collected]]:
    """Starts following; both ways of noticing changes must see the same."""
    made: list[Collected] = []

    def start(*paths: Path | str) -> Collected:
        made.append(Collected(*paths, polling=request.param == "looking at intervals"))
        return made[-1]

    yield start
    for one in made:
        one.end()


def append(path: Path, text: str) -> None:
    with path.open("a") as log:
        log.write(text)


@pytest.mark.parametrize("kind", ["rename", "copy", "compress", "copy-compress"])
def test_a_million_lines_through_fifty_rotations_arrive_once_each_in_order(tmp_path: Path, kind: str) -> None:
    """Rename and create, copy and truncate, each also with compression, by a writer that does not wait for the reader.
    With copy and truncate the writer pauses between the copy and the cut, for what is written there is lost by design:
    logrotate's manual says so. The reader may be several rotations behind, and is."""
    path = tmp_path / "app.log"
    path.touch()
    tally, stop = Tally(), Stop()
    expected = 0
    with Arrivals([str(path)], tally, stop) as arrivals:
        writer = subprocess.Popen([sys.executable, str(WRITER), str(path), kind, str(LINES), str(ROTATIONS)])
        watchdog = threading.Timer(DEADLINE_S, stop.set)
        watchdog.start()
        for pieces in arrivals.rounds():
            for line in b"".join(piece.lines for piece in pieces).splitlines():
                assert int(line.rpartition(b"=")[2]) == expected
                expected += 1
            if expected == LINES:
                stop.set()
        watchdog.cancel()
        assert writer.wait(DEADLINE_S) == 0
    assert expected == LINES
    assert (tally.torn, tally.cut, tally.notes, tally.skipped) == (0, 0, [], [])


@pytest.mark.parametrize("before", [0, 40])
def test_a_file_that_is_cut_and_grows_again_while_it_is_read_is_not_read_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: int
) -> None:
    """A read goes page by page: the first ones may be of what the file held, the last ones of what it holds now."""
    path = tmp_path / "app.log"
    old, new = ("".join(f"{kind} line {number:06d}\n" for number in range(1000)) for kind in ("old", "new"))
    path.write_text(old[: before * 16])
    preadv, half = os.preadv, 8192

    def torn(descriptor: int, buffers: list[bytearray], offset: int) -> int:
        view = memoryview(buffers[0])
        first = preadv(descriptor, [view[:half]], offset)
        path.write_text(new)  # truncates, and writes more than there was
        return first + preadv(descriptor, [view[half:]], offset + first)

    watch = Watch(Stop())
    reel = Reel(Shared(watch, Tally()), os.open(path, os.O_RDONLY))
    try:
        if before:
            assert reel.read() == old[: before * 16].encode()
        path.write_text(old)
        monkeypatch.setattr(os, "preadv", torn)
        with pytest.raises(CutError):
            reel.read()
        monkeypatch.undo()
        reel.rewind()
        assert reel.read() == new.encode()
    finally:
        reel.close()
        watch.close()


def test_a_line_waits_for_its_newline(tmp_path: Path, collect: Callable[..., Collected]) -> None:
    """A line that is written in two parts comes as one."""
    path = tmp_path / "a.log"
    path.write_text("before\nhalf ")
    found = collect(path)
    append(path, "and half")
    time.sleep(0.15)
    assert found.lines == []
    append(path, " done\nnext\n")
    found.wait("half and half done", "next")


def test_what_is_written_to_a_renamed_file_comes_before_the_new_ones_lines(
    tmp_path: Path, collect: Callable[..., Collected]
) -> None:
    """A program writes on into the renamed file until it is told to open its log anew."""
    path = tmp_path / "a.log"
    with path.open("a") as old:
        found = collect(path)
        old.write("one\n")
        old.flush()
        path.rename(tmp_path / "a.log.1")
        old.write("two\n")
        old.flush()
        append(path, "")
        time.sleep(0.15)
        old.write("three\n")
        old.flush()
        append(path, "four\n")
        found.wait("one", "two", "three", "four")
        old.write("late\n")
    found.wait("one", "two", "three", "four", "late")


def test_a_cut_file_is_read_from_its_start(tmp_path: Path, collect: Callable[..., Collected]) -> None:
    """Truncated in place without a copy: it begins anew, and that something may be lost is said."""
    path = tmp_path / "a.log"
    path.write_text("old\n")
    found = collect(path)
    append(path, "one\n")
    found.wait("one")
    path.write_text("two\n")
    found.wait("one", "two")
    assert any("was cut" in note for note in found.tally.notes)


def test_a_file_that_was_cut_and_grew_longer_between_two_looks_is_noticed(tmp_path: Path) -> None:
    """Its size says nothing; what stands before the place of reading does."""
    path = tmp_path / "a.log"
    path.write_text("".join(f"old {number}\n" for number in range(50)))
    tally, stop = Tally(), Stop()
    with Arrivals([str(path)], tally, stop, polling=True) as arrivals:
        path.write_text("".join(f"new {number}\n" for number in range(80)))
        rounds = arrivals.rounds()
        lines = b"".join(piece.lines for piece in next(rounds)).decode().splitlines()
        stop.set()
    assert lines == [f"new {number}" for number in range(80)]


def test_the_rest_of_a_cut_file_is_taken_from_its_copy(tmp_path: Path) -> None:
    """Copy and truncate while nobody looked: what was not read yet is in the copy, half a line at its end goes on in
    the file itself, for a program that flushes in blocks knows nothing of the cut."""
    path = tmp_path / "a.log"
    path.write_text("read\n")
    tally, stop = Tally(), Stop()
    with Arrivals([str(path)], tally, stop, polling=True) as arrivals:
        append(path, "one\ntwo\nthr")
        shutil.copyfile(path, tmp_path / "a.log.1")
        path.write_text("ee\nfour\n")
        lines = b"".join(piece.lines for pieces in _some(arrivals, stop) for piece in pieces)
    assert lines.decode().splitlines() == ["one", "two", "three", "four"]
    assert tally.notes == []
    assert tally.torn == 0


def _some(arrivals: Arrivals, stop: Stop) -> Iterator[list[Piece]]:
    threading.Timer(0.3, stop.set).start()
    yield from arrivals.rounds()


def test_a_writer_that_does_not_append_leaves_a_hole_that_is_skipped(
    tmp_path: Path, collect: Callable[..., Collected]
) -> None:
    """After a cut it writes on at its old place: the zeros before it are no lines."""
    path = tmp_path / "a.log"
    with path.open("w") as log:
        found = collect(path)
        log.write("x" * 10_000 + "\n")
        log.flush()
        found.wait("x" * 10_000)
        os.truncate(path, 0)
        log.write("after\n")
        log.flush()
        found.wait("x" * 10_000, "after")


def test_a_deleted_file_is_read_to_its_end_and_followed_when_it_comes_back(
    tmp_path: Path, collect: Callable[..., Collected]
) -> None:
    """Also a program that still has the deleted file open is heard."""
    path = tmp_path / "a.log"
    with path.open("a") as old:
        found = collect(path)
        path.unlink()
        old.write("ghost\n")
        old.flush()
        found.wait("ghost")
    append(path, "back\n")
    found.wait("ghost", "back")


def test_a_file_that_is_not_there_yet_is_followed_from_its_start(
    tmp_path: Path, collect: Callable[..., Collected]
) -> None:
    """Named before its program has started."""
    found = collect(tmp_path / "later.log")
    append(tmp_path / "later.log", "first\n")
    found.wait("first")


def test_new_files_of_a_glob_are_followed_and_rotated_ones_are_not(
    tmp_path: Path, collect: Callable[..., Collected]
) -> None:
    """``app*`` matches what rotation leaves too: its lines have been out already."""
    (tmp_path / "app-a.log").write_text("old\n")
    found = collect(str(tmp_path / "app*"))
    append(tmp_path / "app-b.log", "one\n")
    found.wait("one")
    (tmp_path / "app-b.log").rename(tmp_path / "app-b.log.1")
    append(tmp_path / "app-b.log", "two\n")
    found.wait("one", "two")
    shutil.copyfile(tmp_path / "app-b.log", tmp_path / "app-b.log-20260101")
    with gzip.open(tmp_path / "app-a.log.1.gz", "wb") as packed:
        packed.write(b"old\n")
    append(tmp_path / "app-a.log", "three\n")
    found.wait("one", "two", "three")
    time.sleep(0.2)
    assert found.lines == ["one", "two", "three"]
    assert found.files == ["app-b.log", "app-b.log", "app-a.log"]


def test_a_folder_is_followed_with_what_appears_in_it(tmp_path: Path, collect: Callable[..., Collected]) -> None:
    """Each of its files, also those that come later."""
    (tmp_path / "a.log").write_text("old\n")
    found = collect(tmp_path)
    append(tmp_path / "a.log", "one\n")
    found.wait("one")
    append(tmp_path / "b.log", "two\n")
    found.wait("one", "two")


def test_a_link_that_leads_to_another_file_is_followed_there(tmp_path: Path, collect: Callable[..., Collected]) -> None:
    """As Kubernetes and daily logs have them; the new file begins with its first line."""
    for name in ("1.log", "2.log"):
        append(tmp_path / name, "")
    link = tmp_path / "current"
    link.symlink_to("1.log")
    found = collect(link)
    append(tmp_path / "1.log", "one\n")
    found.wait("one")
    append(tmp_path / "2.log", "two\n")
    (tmp_path / "new").symlink_to("2.log")
    (tmp_path / "new").rename(link)
    found.wait("one", "two")


def test_a_folder_that_is_replaced_is_followed_again(tmp_path: Path, collect: Callable[..., Collected]) -> None:
    """As a deployment does with its whole log folder."""
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "a.log").touch()
    found = collect(folder / "a.log")
    append(folder / "a.log", "one\n")
    found.wait("one")
    folder.rename(tmp_path / "old")
    folder.mkdir()
    append(folder / "a.log", "two\n")
    found.wait("one", "two")
    append(folder / "a.log", "three\n")
    found.wait("one", "two", "three")


def test_many_files_are_followed_at_once(tmp_path: Path, collect: Callable[..., Collected]) -> None:
    """Each line comes with the name of its file."""
    for number in range(100):
        (tmp_path / f"{number:02d}.log").touch()
    found = collect(str(tmp_path / "*.log"))
    for number in range(100):
        append(tmp_path / f"{number:02d}.log", f"line {number}\n")
    until = time.monotonic() + 10
    while len(found.lines) < 100 and time.monotonic() < until:
        time.sleep(0.01)
    assert {(name, text) for name, text in zip(found.files, found.lines, strict=True)} == {
        (f"{number:02d}.log", f"line {number}") for number in range(100)
    }


def test_a_line_without_end_is_bounded(tmp_path: Path, collect: Callable[..., Collected]) -> None:
    """A program that never writes a newline does not fill the memory: a part is kept, and that is counted."""
    path = tmp_path / "a.log"
    path.touch()
    found = collect(path)
    append(path, "x" * 5_000_000)
    append(path, "y\nshort\n")
    until = time.monotonic() + 10
    while len(found.lines) < 2 and time.monotonic() < until:
        time.sleep(0.01)
    assert [len(line) for line in found.lines][1:] == [5]
    assert 1_000_000 <= len(found.lines[0]) < 2_200_000
    assert found.tally.cut == 1


def test_a_pipe_of_that_name_is_told(tmp_path: Path) -> None:
    """It has no end to go on from; opening it does not hang."""
    os.mkfifo(tmp_path / "pipe.log")
    tally = Tally()
    Arrivals([str(tmp_path / "pipe.log")], tally, Stop()).close()
    assert tally.skipped == [f"{tmp_path}/pipe.log is no regular file: give it to standard input"]


def test_a_file_that_cannot_be_opened_is_named_once(tmp_path: Path) -> None:
    """It is said, and the others are followed; it may become readable later."""
    loop = tmp_path / "loop.log"
    loop.symlink_to("loop.log")
    found = Collected(loop, tmp_path / "a.log", polling=True)
    append(tmp_path / "a.log", "one\n")
    found.wait("one")
    loop.unlink()
    append(loop, "two\n")
    found.wait("one", "two")
    found.end()
    assert len(found.tally.skipped) == 1
    assert "loop.log cannot be read" in found.tally.skipped[0]


# Records


def write_later(path: Path, *texts: str, stop: Stop, pause: float = 0.1) -> threading.Thread:
    """Write one text after another, then stop whoever follows."""

    def run() -> None:
        for text in texts:
            time.sleep(pause)
            append(path, text)
        time.sleep(pause)
        stop.set()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


HEAD = "2025-06-01T00:00:{:02d}.000Z {} [{}] {}\n"
ERRORS = frozenset({Level.ERROR})


def test_lines_that_continue_a_record_share_its_fate(tmp_path: Path) -> None:
    """A stack trace that comes a line at a time goes out with its error, and not with a refused record."""
    path = tmp_path / "a.log"
    path.write_text(HEAD.format(0, "INFO", "raft", "start"))
    stop = Stop()
    writer = write_later(
        path,
        HEAD.format(1, "ERROR", "raft", "boom"),
        "  at one\n",
        "  at two\n" + HEAD.format(2, "INFO", "raft", "fine"),
        "  at three\n",
        stop=stop,
    )
    records = list(follow([str(path)], Selection(levels=ERRORS), Tally(), stop))
    writer.join()
    assert [record.raw.decode().split("Z ")[-1] for record in records] == ["ERROR [raft] boom", "  at one", "  at two"]
    assert {(record.level, record.component, record.file) for record in records} == {
        (Level.ERROR, "raft", str(path)),
    }
    assert len({record.time_ns for record in records}) == 1


def test_a_record_that_becomes_wanted_by_a_later_line_goes_out_whole(tmp_path: Path) -> None:
    """A pattern is looked for in the record, and its lines come one by one."""
    path = tmp_path / "a.log"
    path.write_text(HEAD.format(0, "INFO", "raft", "start"))
    stop = Stop()
    writer = write_later(
        path, HEAD.format(1, "INFO", "raft", "quiet"), "  at one\n", "  at Magic\n", "  at end\n", stop=stop
    )
    read, write = os.pipe()
    follow_raw([str(path)], Selection(patterns=(Pattern("Magic"),)), write, Tally(), stop)
    writer.join()
    os.close(write)
    with os.fdopen(read) as pipe:
        assert pipe.read() == HEAD.format(1, "INFO", "raft", "quiet") + "  at one\n  at Magic\n  at end\n"


def test_utf_16_is_named_and_not_shown_as_garbage(tmp_path: Path) -> None:
    """What cannot be read line by line is said when it is met, once, and the other files go on."""
    path, other = tmp_path / "wide.log", tmp_path / "a.log"
    path.write_text(HEAD.format(0, "ERROR", "raft", "start"), encoding="utf-16")
    other.write_text("")
    stop = Stop()
    writer = write_later(other, HEAD.format(1, "ERROR", "raft", "fine"), stop=stop)
    with path.open("a", encoding="utf-16-le") as log:
        log.write(HEAD.format(2, "ERROR", "raft", "more"))
    said: list[str] = []
    found = [record.message for record in follow([str(path), str(other)], Selection(), Tally(), stop, warn=said.append)]
    writer.join()
    assert found == ["fine"]
    (sentence,) = said
    assert sentence.startswith(f"{path} is written in UTF-16")


@pytest.mark.parametrize("wanted", [Selection(patterns=(Pattern("boom"),)), Selection(levels=ERRORS)])
@pytest.mark.parametrize("former", ["INFO", "ERROR"])
def test_a_program_that_logs_otherwise_from_now_on_is_understood(
    tmp_path: Path, wanted: Selection, former: str
) -> None:
    """A new version writes objects to the file that held text, then text of another kind: none of its errors is lost
    among the lines before it, and each comes once."""
    path = tmp_path / "a.log"
    path.write_text("".join(HEAD.format(second, former, "raft", "start") for second in range(9)))
    objects = [
        json.dumps({"ts": f"2026-03-09T03:01:{n:02}Z", "level": "error" if n % 2 else "info", "msg": f"boom {n}"})
        + "\n"
        for n in range(20)
    ]
    texts = [f"2026/03/09 03:02:{n:02} [{'error' if n % 2 else 'info'}] 7#0: boom {n + 20}\n" for n in range(20)]
    stop = Stop()
    writer = write_later(path, *objects[:4], "".join(objects[4:]), *texts[:4], "".join(texts[4:]), stop=stop)
    found = list(follow([str(path)], wanted, Tally(), stop, zone=UTC))
    writer.join()
    numbers = [int(number) for record in found for number in re.findall(r"boom (\d+)", record.raw.decode())]
    asked = [n for n in range(40) if wanted.patterns or n % 2]
    assert [n for n in asked if n not in numbers] == []
    assert len(numbers) == len(set(numbers))
    assert {record.level for record in found if "boom 3" in record.message} <= {Level.ERROR, Level.INFO}


@pytest.mark.parametrize("wanted", [Selection(patterns=(Pattern("needle|pin"),)), Selection(levels=ERRORS)])
@pytest.mark.parametrize("traces", [False, True])
def test_a_burst_holds_what_single_lines_would(tmp_path: Path, wanted: Selection, traces: bool) -> None:
    """Large pieces are chosen from in another way than single lines: the outcome is the same."""
    texts = ["needle here", "nothing", "a pin", "nothing", "nothing"]
    lines = [
        HEAD.format(number % 60, "ERROR" if number % 3 == 0 else "INFO", "raft", texts[number % 5])
        + ("  at needle\n" if traces and number % 7 == 0 else "")
        for number in range(4000)
    ]
    expected = [line for line in lines if ("needle" in line or "pin" in line if wanted.patterns else "ERROR" in line)]
    path = tmp_path / "a.log"
    path.write_text(lines[0])
    stop = Stop()
    writer = write_later(path, *lines[1:6], "".join(lines[6:3000]), "".join(lines[3000:]), stop=stop)
    read, write = os.pipe()
    found: list[bytes] = []
    reader = threading.Thread(target=lambda: found.extend(iter(lambda: os.read(read, 65536), b"")))
    reader.start()
    follow_raw([str(path)], wanted, write, Tally(), stop)
    writer.join()
    os.close(write)
    reader.join()
    os.close(read)
    expected = expected[1:] if expected[0] == lines[0] else expected
    assert b"".join(found).decode() == "".join(expected)


def test_history_ends_where_following_begins(tmp_path: Path) -> None:
    """While a program writes without pause, the last records there were and those that come make one unbroken row."""
    path = tmp_path / "a.log"
    stop, quit_ = Stop(), threading.Event()

    def write() -> None:
        number = 0
        with path.open("a", buffering=1) as log:
            while not quit_.is_set():
                log.write(NUMBERED.format(number))
                number += 1

    writer = threading.Thread(target=write)
    writer.start()
    time.sleep(0.2)
    records = follow([str(path)], Selection(tail=5000, head=8000), Tally(), stop)
    numbers = [int(record.message.rpartition("=")[2]) for record in records]
    quit_.set()
    writer.join()
    assert numbers == list(range(numbers[0], numbers[0] + 8000))


def test_history_goes_back_into_rotated_files(tmp_path: Path) -> None:
    """``--since`` and ``--tail`` do not stop at the last rotation, compressed or not."""
    with gzip.open(tmp_path / "a.log.2.gz", "wt") as packed:
        packed.write("".join(HEAD.format(second, "INFO", "raft", "x") for second in range(10)))
    (tmp_path / "a.log.1").write_text("".join(HEAD.format(second, "INFO", "raft", "x") for second in range(10, 20)))
    path = tmp_path / "a.log"
    path.write_text("".join(HEAD.format(second, "INFO", "raft", "x") for second in range(20, 30)))
    since_ns = 1748736005 * 10**9
    for asked, first in ((Selection(since_ns=since_ns), 5), (Selection(tail=12), 18), (Selection(), 30)):
        stop = Stop()
        writer = write_later(path, stop=stop)
        seconds = [int(record.raw[17:19]) for record in follow([str(path)], asked, Tally(), stop)]
        writer.join()
        assert seconds == list(range(first, 30))


def test_what_arrives_in_several_files_at_once_goes_out_by_time(tmp_path: Path) -> None:
    """Within one look; each file's own order is kept."""
    paths = [tmp_path / name for name in ("a.log", "b.log")]
    for place, path in enumerate(paths):
        path.write_text("".join(HEAD.format(second, "INFO", "raft", "x") for second in range(place, 60, 2)))
    stop = Stop()
    threading.Timer(0.2, stop.set).start()
    records = list(follow([str(tmp_path)], Selection(tail=1000), Tally(), stop))
    assert [int(record.raw[17:19]) for record in records] == list(range(60))
    assert {Path(record.file).name for record in records} == {"a.log", "b.log"}


def test_what_several_files_hold_is_followed_once(tmp_path: Path) -> None:
    """JSON and text of the same events: the last ones asked for are that many events, and what comes comes once."""
    text, ndjson = tmp_path / "a.log", tmp_path / "a.json"

    def write(second: int) -> None:
        append(ndjson, f'{{"ts":"2025-06-01T00:00:0{second}Z","level":"INFO","message":"round {second} done"}}\n')
        append(text, f"2025-06-01T00:00:0{second}Z INFO [raft] round {second} done\n")

    for second in range(4):
        write(second)
    stop, tally = Stop(), Tally()
    records = follow([str(text), str(ndjson)], Selection(tail=2), tally, stop, repeats=2)
    found = [next(records).message for _ in range(2)]
    write(5)
    write(6)
    found += [next(records).message for _ in range(2)]
    stop.set()
    assert [message.split()[-2] for message in found] == ["2", "3", "5", "6"]
    assert "left out" in tally.notes[0]


def test_standard_input_is_followed_to_its_end() -> None:
    """``kubectl logs -f | meshdiag logs --follow -`` ends when its left side does; a torn last line is kept."""
    program = (
        "import sys; from meshdiag.logs.follow.following import follow_raw; from meshdiag.logs.selection import *;"
        "from meshdiag.logs.tally import Tally; from meshdiag.logs.follow.watching import Stop;"
        "follow_raw(['-'], Selection(patterns=(Pattern('boom'),)), 1, Tally(), Stop())"
    )
    text = HEAD.format(1, "INFO", "raft", "fine") + HEAD.format(2, "ERROR", "raft", "boom").rstrip()
    ended = subprocess.run([sys.executable, "-c", program], input=text, capture_output=True, text=True, timeout=20)
    assert (ended.returncode, ended.stdout) == (0, HEAD.format(2, "ERROR", "raft", "boom"))


def test_a_stop_ends_a_wait_at_once(tmp_path: Path) -> None:
    """From another thread, and any number of times."""
    found = Collected(tmp_path / "a.log")
    began = time.monotonic()
    found.stop.set()
    found.end()
    assert time.monotonic() - began < 5


def test_a_reader_that_is_gone_is_noticed_though_nothing_is_written(tmp_path: Path) -> None:
    """``meshdiag logs --follow | head -1`` ends with head, not at the next error next week."""
    (tmp_path / "a.log").touch()
    read, write = os.pipe()
    threading.Timer(0.2, os.close, [read]).start()
    with pytest.raises(BrokenPipeError):
        follow_raw([str(tmp_path / "a.log")], Selection(), write, Tally(), Stop())
    os.close(write)
