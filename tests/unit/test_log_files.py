"""Which files are read, and how whatever stands in them is survived."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from meshdiag.errors import SourceError
from meshdiag.logs.opening.files import find
from meshdiag.logs.record import NS, Level
from meshdiag.logs.search import copy, count, search
from meshdiag.logs.selection import Pattern, Selection
from meshdiag.logs.tally import Tally

START = int(datetime(2025, 6, 1, tzinfo=UTC).timestamp())
ERRORS = Selection(levels=frozenset({Level.ERROR}))


def lines(first: int, last: int, level: str = "ERROR") -> bytes:
    return b"".join(
        f"{datetime.fromtimestamp(START + number, UTC):%Y-%m-%dT%H:%M:%S}.000Z {level} [net] line {number}\n".encode()
        for number in range(first, last)
    )


def written(path: Path, content: bytes, at: float | None = None) -> Path:
    path.write_bytes(content)
    if at is not None:
        os.utime(path, (START + at, START + at))
    return path


def numbers(paths: list[Path] | list[str], selection: Selection = ERRORS, tally: Tally | None = None) -> list[int]:
    """The numbers of the lines found, as they come."""
    tally = tally or Tally()
    found = search(find([str(path) for path in paths], tally), selection, tally, zone=UTC)
    return [int(one.raw.split()[-1]) for one in found]


def copied(paths: list[Path], selection: Selection = ERRORS, tally: Tally | None = None) -> bytes:
    tally = tally or Tally()
    with tempfile.TemporaryFile() as out:
        copy(find([str(path) for path in paths], tally), selection, out.fileno(), tally, zone=UTC)
        return os.pread(out.fileno(), 1 << 30, 0)


def test_rotated_files_join_oldest_first(tmp_path: Path) -> None:
    """What rotation has made of a named file is read before it, compressed or not, numbered or dated."""
    live = written(tmp_path / "app.log", lines(50, 60), 60)
    written(tmp_path / "app.log.1", lines(40, 50), 50)
    written(tmp_path / "app.log.2.gz", gzip.compress(lines(30, 40)), 40)
    written(tmp_path / "app.log.3.xz", lzma.compress(lines(20, 30)), 30)
    written(tmp_path / "app.log.10.bz2", bz2.compress(lines(10, 20)), 20)
    written(tmp_path / "other.log.1", lines(900, 901), 60)
    tally = Tally()
    assert numbers([live], tally=tally) == list(range(10, 60))
    assert len(tally.files) == 5
    assert copied([live]) == lines(10, 60)


def test_files_before_the_window_are_not_opened(tmp_path: Path) -> None:
    """A rotated file that was last written before the window stays closed."""
    live = written(tmp_path / "app.log", lines(50, 60), 60)
    old = written(tmp_path / "app.log.1", lines(0, 50), 50)
    tally = Tally()
    assert numbers([live], Selection(since_ns=(START + 55) * NS), tally) == list(range(55, 60))
    assert tally.files == [str(live)]
    assert not tally.notes
    assert numbers([old.rename(tmp_path / "old.log")], Selection(since_ns=(START + 55) * NS), tally) == []
    assert tally.notes == [f"{tmp_path}/old.log was not opened: last written before the window"]


def test_a_folder_and_a_glob_name_their_logs_once(tmp_path: Path) -> None:
    """No file is read twice, by whatever names it is named; logs that are written at once merge by time."""
    one = written(tmp_path / "one.log", lines(0, 20)[::1], 60)
    written(tmp_path / "one.log.1", lines(0, 0), 1)
    two = written(tmp_path / "two.log", lines(5, 15, "WARN"), 60)
    (tmp_path / "same.log").hardlink_to(one)
    (tmp_path / "soft.log").symlink_to(two)
    (tmp_path / ".hidden").write_bytes(lines(0, 3))
    both = Selection(levels=frozenset({Level.ERROR, Level.WARN}))
    for paths in ([tmp_path], [str(tmp_path / "*.log")], [one, two, one, tmp_path]):
        found = numbers(paths, both)  # type: ignore[arg-type]
        assert found == sorted([*range(20), *range(5, 15)])


def test_a_copy_being_compressed_is_not_read_beside_its_original(tmp_path: Path) -> None:
    """``app.log.1`` and ``app.log.1.gz`` hold the same; one is read, and the other said to be skipped."""
    live = written(tmp_path / "app.log", lines(5, 9), 60)
    written(tmp_path / "app.log.1", lines(0, 5), 50)
    written(tmp_path / "app.log.1.gz", gzip.compress(lines(0, 5)), 51)
    tally = Tally()
    assert numbers([live], tally=tally) == list(range(9))
    assert any("app.log.1.gz" in one for one in tally.notes)
    assert tally.skipped == [], "nothing was missed"


def test_compressed_files_whose_original_is_gone_are_read(tmp_path: Path) -> None:
    """In a folder, by a pattern or by the name that a log had, an archive is read where nothing else holds the same."""
    written(tmp_path / "a.log.gz", gzip.compress(lines(0, 2)), 2)
    written(tmp_path / "b.log.1.gz", gzip.compress(lines(2, 4)), 4)
    for names in ([tmp_path], [tmp_path / "*.gz"]):
        tally = Tally()
        assert numbers(list(names), tally=tally) == [0, 1, 2, 3]
        assert tally.skipped == []
    assert numbers([tmp_path / "a.log"]) == [0, 1]


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    """A missing file is a sentence beside others, and an error where nothing is left to read."""
    live = written(tmp_path / "app.log", lines(0, 3))
    tally = Tally()
    assert numbers([live, tmp_path / "gone.log"], tally=tally) == [0, 1, 2]
    assert tally.skipped == [f"{tmp_path}/gone.log: no such file or directory"]
    with pytest.raises(SourceError, match=r"gone\.log: no such file"):
        find([str(tmp_path / "gone.log")], Tally())
    with pytest.raises(SourceError, match="no file has such a name"):
        find([str(tmp_path / "*.nothing")], Tally())


@pytest.mark.skipif(os.geteuid() == 0 and not Path("/usr/bin/setpriv").exists(), reason="root may read everything here")
def test_permission_denied_is_said(tmp_path: Path) -> None:
    """A file that may not be read is told by name and reason, without a traceback."""
    path = written(tmp_path / "secret.log", lines(0, 3))
    path.chmod(0)
    for folder in (tmp_path, *tmp_path.parents):
        if folder != Path("/tmp") and folder.is_relative_to("/tmp"):
            folder.chmod(0o755)
    find = f"find([{str(path)!r}], Tally())"
    code = f"from meshdiag.logs.opening.files import find; from meshdiag.logs.tally import Tally; {find}"
    command = [sys.executable, "-c", code]
    if os.geteuid() == 0:
        command = ["/usr/bin/setpriv", "--reuid=65534", "--clear-groups", *command]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert "secret.log: permission denied" in ran.stderr


def test_a_fifo_is_read_as_a_stream(tmp_path: Path) -> None:
    """A named pipe gives what is written to it, to its end."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=lambda: path.write_bytes(lines(0, 5000)))
    writer.start()
    assert numbers([path]) == list(range(5000))
    writer.join(5)


@pytest.mark.parametrize("packed", [gzip.compress, lzma.compress, bz2.compress])
def test_compression_is_told_by_content(tmp_path: Path, packed: object) -> None:
    """A compressed log is read whatever its name, members one after another too, and from standard input."""
    content = packed(lines(0, 3000)) + packed(lines(3000, 3010))  # type: ignore[operator]
    path = written(tmp_path / "odd-name", content)
    assert copied([path]) == lines(0, 3010)
    code = (
        "from meshdiag.logs.opening.files import find; from meshdiag.logs.tally import Tally\n"
        "from meshdiag.logs.search import copy; from meshdiag.logs.selection import Selection\n"
        "t = Tally(); copy(find(['-'], t), Selection(), 1, t)"
    )
    ran = subprocess.run([sys.executable, "-c", code], input=content, capture_output=True, timeout=20, check=True)
    assert ran.stdout == lines(0, 3010)


def test_zstandard_is_read(tmp_path: Path) -> None:
    """A ``.zst`` log of several frames is read."""
    zstandard = pytest.importorskip("zstandard")
    packed = zstandard.ZstdCompressor().compress
    path = written(tmp_path / "app.log.zst", packed(lines(0, 3000)) + packed(lines(3000, 3010)))
    assert copied([path]) == lines(0, 3010)


@pytest.mark.parametrize(("packed", "kept"), [(gzip.compress, 0.6), (lzma.compress, 0.6), (bz2.compress, 0.5)])
def test_a_torn_archive_gives_what_there_is(tmp_path: Path, packed: object, kept: float) -> None:
    """An archive that ends too early gives the lines before that, and a sentence."""
    chance = b"".join(os.urandom(60).hex().encode() + b"\n" for _ in range(12_000))
    content = packed(chance)  # type: ignore[operator]
    tally = Tally()
    found = copied([written(tmp_path / "torn", content[: len(content) * 2 // 3])], Selection(), tally)
    assert chance.startswith(found[: int(len(chance) * kept)])
    assert len(found) > len(chance) * kept
    assert len(tally.skipped) == 1
    assert "torn" in tally.skipped[0]


def test_a_torn_zstandard_archive_is_said_wherever_it_is_torn(tmp_path: Path) -> None:
    """The library is silent about it: at every length but the whole ones (a frame's end) there is a sentence."""
    zstandard = pytest.importorskip("zstandard")
    frame = zstandard.ZstdCompressor(write_checksum=True).compress
    skippable = b"\x50\x2a\x4d\x18\x03\x00\x00\x00abc"
    parts = [frame(lines(0, 3)), skippable, frame(b"a" * 300_000 + b"\n"), frame(os.urandom(40))]
    content = b"".join(parts)
    whole = {sum(map(len, parts[:count])) for count in range(1, len(parts) + 1)}
    for length in range(5, len(content) + 1):
        tally = Tally()
        copied([written(tmp_path / "torn.zst", content[:length])], Selection(), tally)
        assert bool(tally.skipped) == (length not in whole), length
        assert all("torn" in one for one in tally.skipped)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_named_instead_of_shown_as_garbage(tmp_path: Path, encoding: str) -> None:
    """With its mark or without, compressed or not; NUL bytes here and there are read like any others."""
    text = lines(0, 50).decode().encode(encoding)
    for content in (text, gzip.compress(text)):
        tally = Tally()
        assert copied([written(tmp_path / "windows.log", content)], Selection(), tally) == b""
        assert "is written in UTF-16" in tally.skipped[0]
    odd = b"a\0b\0c\0dd\0\0e\n" * 9
    assert copied([written(tmp_path / "odd.log", odd)], Selection()) == odd


def test_a_damaged_archive_gives_what_there_is(tmp_path: Path) -> None:
    """An archive with damage in its midst gives the lines before it, and a sentence."""
    chance = b"".join(os.urandom(60).hex().encode() + b"\n" for _ in range(12_000))
    content = gzip.compress(chance)
    middle = len(content) // 2
    tally = Tally()
    broken = content[:middle] + b"\xaa" * 3000 + content[middle + 3000 :]
    found = copied([written(tmp_path / "torn", broken)], Selection(), tally)
    assert chance.startswith(found[: len(chance) // 3])
    assert len(found) > len(chance) // 3
    assert len(tally.skipped) == 1
    assert "broken" in tally.skipped[0]


def test_unknown_compression_is_said(tmp_path: Path) -> None:
    """What is packed in a way that is not read here is named, with what to do."""
    tally = Tally()
    live = written(tmp_path / "app.log", lines(0, 2))
    numbers([live, written(tmp_path / "x.lz4", b"\x04\x22\x4d\x18rest")], tally=tally)
    assert "compressed as lz4" in tally.skipped[0]


def test_a_bomb_takes_no_memory(tmp_path: Path) -> None:
    """256 MB of zeros in a quarter of a megabyte of gzip are read in bounded memory and counted as cut."""
    path = tmp_path / "bomb.gz"
    with gzip.open(path, "wb", compresslevel=9) as file:
        for _ in range(256):
            file.write(bytes(1024 * 1024))
    code = (
        "from pathlib import Path\nfrom meshdiag.logs.opening.files import find\n"
        "from meshdiag.logs.tally import Tally\n"
        "from meshdiag.logs.search import count; from meshdiag.logs.selection import Selection\n"
        f"t = Tally(); n = count(find([{str(path)!r}], t), Selection(), t)\n"
        "peak = next(one for one in Path('/proc/self/status').read_text().splitlines() if one.startswith('VmHWM'))\n"
        "print(n, t.cut, int(peak.split()[1]) < 120 * 1024)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=50, check=True)
    assert ran.stdout.split() == ["1", "1", "True"]


def test_odd_bytes_pass_untouched(tmp_path: Path) -> None:
    """Bytes that are no UTF-8, NUL, CRLF and a BOM do not keep records from being found; they come out as they were."""
    content = b"\xef\xbb\xbf" + lines(0, 1) + lines(1, 2)[:-1] + b" \xff\xfe\x00x\r\n" + lines(2, 3)[:-1]
    tally = Tally()
    out = copied([written(tmp_path / "app.log", content)], ERRORS, tally)
    assert out == content[3:] + b"\n"
    assert tally.torn == 1


def test_a_line_of_100_mb_is_cut(tmp_path: Path) -> None:
    """Of a line of 100 MB the beginning is kept; the lines around it are found; the tally says so."""
    path = tmp_path / "app.log"
    with path.open("wb") as file:
        file.write(lines(0, 2) + lines(2, 3)[:-1])
        for _ in range(100):
            file.write(b"x" * 1024 * 1024)
        file.write(b"\n" + lines(3, 5))
    tally = Tally()
    found = copied([path], ERRORS, tally)
    assert [one[:60].split()[-1] for one in (found[:200].split(b"\n")[0], found[-100:].split(b"\n")[-2])] == [
        b"0",
        b"4",
    ]
    assert found.count(b"\n") == 5
    assert len(found) < 3 * 1024 * 1024
    assert tally.cut == 1


def test_the_last_records_are_read_from_the_end(tmp_path: Path) -> None:
    """``tail`` reads no more of a large file than it needs."""
    path = written(tmp_path / "app.log", lines(0, 200_000))
    tally = Tally()
    assert numbers([path], Selection(tail=3), tally) == [199_997, 199_998, 199_999]
    assert tally.bytes_read < 2 * 1024 * 1024


def test_the_first_records_end_the_reading(tmp_path: Path) -> None:
    """``head`` stops when it has what it wants."""
    path = written(tmp_path / "app.log", lines(0, 200_000))
    tally = Tally()
    assert numbers([path], Selection(head=3), tally) == [0, 1, 2]
    assert tally.bytes_read < 3 * 1024 * 1024


TWO = """
import os, sys
from meshdiag.logs.scan import copying, helping
from meshdiag.logs.opening.files import find
from meshdiag.logs.record import Level
from meshdiag.logs.search import copy, count
from meshdiag.logs.selection import Pattern, Selection
from meshdiag.logs.tally import Tally

copying.PARALLEL_BYTES, copying.PART_BYTES = 1, 100_000
assert helping.possible() or os.cpu_count() == 1
helping.possible = lambda: True
started = []
fork = os.fork
os.fork = lambda: started.append(1) or fork()
tally = Tally()
selection = Selection(levels=frozenset({Level.ERROR}), patterns=(Pattern(sys.argv[3]),))
files = find([sys.argv[1]], tally)
if sys.argv[2] == "count":
    print(count(files, selection, tally))
else:
    copy(files, selection, 1, tally)
assert started, "one process alone"
print(tally.matched, tally.files, file=sys.stderr)
"""


@pytest.mark.parametrize("pattern", ["line", "[0-9]7$", "none of these"])
def test_two_processes_keep_order(tmp_path: Path, pattern: str) -> None:
    """A large file is searched by two processes; what comes out is what one finds, in order, also into a slow pipe."""
    content = b"".join(lines(number, number + 1, "ERROR" if number % 3 else "INFO") for number in range(40_000))
    path = written(tmp_path / "app.log", content)
    selection = Selection(levels=frozenset({Level.ERROR}), patterns=(Pattern(pattern),))
    expected = copied([path], selection)
    command = [sys.executable, "-c", TWO, str(path), "copy", pattern]
    done = subprocess.run(command, capture_output=True, timeout=30, check=True)
    assert done.stdout == expected
    assert done.stderr.split()[0] == str(expected.count(b"\n")).encode()
    counted = subprocess.run([*command[:4], "count", pattern], capture_output=True, timeout=30, check=True)
    assert int(counted.stdout) == expected.count(b"\n") == count(find([str(path)], Tally()), selection, Tally())


def test_two_processes_into_a_slow_pipe(tmp_path: Path) -> None:
    """What is sent on by descriptor is not overwritten while the reader has not taken it."""
    content = lines(0, 60_000)
    path = written(tmp_path / "app.log", content)
    with subprocess.Popen([sys.executable, "-c", TWO, str(path), "copy", "line"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        taken = b""
        while piece := os.read(process.stdout.fileno(), 8192):
            taken += piece
            if len(taken) % 50 == 0:
                threading.Event().wait(0.001)
    assert process.returncode == 0
    assert taken == content


def test_a_reader_that_leaves_ends_both_processes(tmp_path: Path) -> None:
    """A closed pipe ends the search with ``BrokenPipeError`` and leaves no process behind."""
    path = written(tmp_path / "app.log", lines(0, 60_000))
    command = [sys.executable, "-c", TWO, str(path), "copy", "line"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        os.read(process.stdout.fileno(), 1000)
        process.stdout.close()
        said = process.stderr.read()
        process.wait(20)
    assert b"BrokenPipeError" in said
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


DIES = """
from meshdiag.logs.scan.scanning import Scanner

first = os.getpid()
spans, left = Scanner.spans, [3]

def dying(self, block):
    left[0] -= os.getpid() != first
    if left[0] < 0:
        os._exit(9)
    return spans(self, block)

Scanner.spans = dying
"""


def test_a_second_process_that_dies_costs_no_line(tmp_path: Path) -> None:
    """What it had been given and not finished is done by the first one, once and in its place."""
    content = lines(0, 60_000)
    path = written(tmp_path / "app.log", content)
    code = TWO.replace("tally = Tally()", DIES + "tally = Tally()")
    done = subprocess.run(
        [sys.executable, "-c", code, str(path), "copy", "line"], capture_output=True, timeout=30, check=True
    )
    assert done.stdout == content
    assert done.stderr.split()[0] == b"60000"


@pytest.mark.skipif(shutil.which("zstd") is None, reason="the zstd command is not installed")
def test_zstandard_is_read_by_the_command_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the library a ``.zst`` log is unpacked by the zstd command, and a torn one is said to be."""
    zstandard = pytest.importorskip("zstandard")
    monkeypatch.setitem(sys.modules, "zstandard", None)
    content = zstandard.ZstdCompressor().compress(lines(0, 30_000))
    assert copied([written(tmp_path / "app.log.zst", content)]) == lines(0, 30_000)
    tally = Tally()
    found = copied([written(tmp_path / "torn.log.zst", content[: len(content) - 100])], ERRORS, tally)
    assert lines(0, 30_000).startswith(found[: found.rfind(b"\n", 0, -1)])
    assert "torn.log.zst is broken" in tally.skipped[0]
