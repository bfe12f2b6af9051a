"""The journal: a real journalctl over a small recorded journal, and one of our own making for what it seldom does."""

from __future__ import annotations

import asyncio
import json
import lzma
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from meshdiag.errors import QueryError, SourceError, Trouble
from meshdiag.logs.record import NS, Level, Record
from meshdiag.logs.selection import Pattern, Selection
from meshdiag.logs.tally import Tally
from meshdiag.sources.journal import Journal
from tests.binaries import need
from tests.fakeprogram import Answer, FakeProgram

RECORDED = Path(__file__).parent / "recordings" / "journal-252" / "mesh.journal.xz"
START_NS = 1_795_000_000 * NS
"""When the recorded journal begins: an entry of mesh-trainer each second, for 200 s."""
EVERYTHING = Selection()
GRAVE = frozenset((Level.WARN, Level.ERROR, Level.FATAL))


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recorded journal, in a folder of its own."""
    need("journalctl")
    path = tmp_path_factory.mktemp("journal") / "mesh.journal"
    path.write_bytes(lzma.decompress(RECORDED.read_bytes()))
    return path


async def _read(source: Journal, selection: Selection = EVERYTHING, tally: Tally | None = None) -> list[Record]:
    async with asyncio.timeout(30):
        return [record async for record in source.records(selection, tally or Tally())]


# a real journalctl ---------------------------------------------------------------------------------------


async def test_entries_become_records(recorded: Path) -> None:
    """Time, host, unit and identifier come from the entry; level, component and node from a message."""
    records = await _read(Journal(["mesh-trainer"], files=[str(recorded)]), Selection(head=1))
    (first,) = records
    assert first.time_ns == START_NS
    assert (first.level, first.component, first.node) == (Level.INFO, "consensus", "node-1")
    assert (
        first.file == "mesh-trainer.service" and first.fields["_PID"] == "100" and first.fields["msg"] == "round 0 done"
    )


async def test_levels_are_those_of_the_message_or_else_the_priority(recorded: Path) -> None:
    """An ERROR printed at priority 6 is found, and a debug message of sshd that speaks of errors is not."""
    records = await _read(Journal(files=[str(recorded)]), Selection(levels=GRAVE))
    told = [(record.file, record.level, record.raw.splitlines()[0]) for record in records]
    assert told == [
        ("mesh-worker.service", Level.ERROR, b"ERROR consensus failed"),
        ("kernel", Level.ERROR, b"I/O error, dev sda, sector 4242"),
        ("sshd.service", Level.WARN, b"caf\xe9 \x1b[31mred\x1b[0m not utf-8"),
        ("mesh-trainer.service", Level.FATAL, b"two"),
    ]
    assert records[0].raw.count(b"\n") >= 3, "the trace belongs to it"
    assert records[3].raw == b"two\nlines"


async def test_a_message_of_any_size_and_kind_is_whole(recorded: Path) -> None:
    """100,000 bytes are not null, and bytes that are no UTF-8 are those that were sent."""
    source = Journal(files=[str(recorded)])
    (big,) = await _read(source, Selection(patterns=(Pattern("^big "),)))
    assert big.raw == b"big " + b"x" * 100_000
    (odd,) = await _read(source, Selection(patterns=(Pattern("not utf-8"),)))
    assert odd.raw.startswith(b"caf\xe9 \x1b[31m") and odd.message


@pytest.mark.parametrize("kind", ["records", "tail"])
async def test_windows_and_ends_are_exact(recorded: Path, kind: str) -> None:
    """Since included, until not, to the microsecond; the last N of a window are its last (-n alone gives its first)."""
    source = Journal(["mesh-trainer"], files=[str(recorded)])
    window = Selection(since_ns=START_NS + 10 * NS, until_ns=START_NS + 20 * NS)
    if kind == "records":
        records = await _read(source, window)
        assert [record.time_ns for record in records] == [START_NS + second * NS for second in range(10, 20)]
        return
    for selection, seconds in (
        (Selection(tail=3), [197, 198, 199]),
        (Selection(since_ns=window.since_ns, tail=2), [198, 199]),
        (Selection(since_ns=window.since_ns, until_ns=window.until_ns, tail=2), [18, 19]),
        (Selection(tail=1, patterns=(Pattern("round 3 "),)), [3]),
    ):
        assert [record.time_ns for record in await _read(source, selection)] == [START_NS + s * NS for s in seconds]


async def test_the_kernel_and_identifiers_are_chosen(recorded: Path) -> None:
    """-k without its limit to one boot; identifiers as journalctl knows them."""
    (kernel,) = await _read(Journal(kernel=True, files=[str(recorded)]))
    assert kernel.file == "kernel" and kernel.level is Level.ERROR
    assert await _read(Journal(kernel=True, files=[str(recorded)]), Selection(levels=frozenset((Level.DEBUG,)))) == []
    assert len(await _read(Journal(identifiers=["sshd"], files=[str(recorded)]))) == 2
    assert len(await _read(Journal(["mesh-w*"], files=[str(recorded)]), Selection(patterns=(Pattern("boom"),)))) >= 1


async def test_names_that_nobody_bears_are_told(recorded: Path) -> None:
    """A mistyped unit is an error that offers the right one; beside a known one it is told, and the rest is read."""
    with pytest.raises(
        SourceError, match=r"nothing of mesh-tranier\.service; did you mean mesh-trainer\.service"
    ) as caught:
        await _read(Journal(["mesh-tranier"], files=[str(recorded)]))
    assert caught.value.trouble is Trouble.NOT_FOUND
    with pytest.raises(SourceError, match="nothing of sshhd; did you mean sshd"):
        await _read(Journal(identifiers=["sshhd"], files=[str(recorded)]))
    tally = Tally()
    assert len(await _read(Journal(["mesh-trainer", "nope"], files=[str(recorded)]), Selection(tail=3), tally)) == 3
    assert len(tally.skipped) == 1 and "nope.service" in tally.skipped[0]
    later = Selection(since_ns=START_NS + 1000 * NS)
    assert await _read(Journal(["mesh-trainer"], files=[str(recorded)]), later) == [], (
        "known, and silent then: no error"
    )


async def test_a_journal_that_is_not_there_is_no_silence(recorded: Path, tmp_path: Path) -> None:
    """journalctl says nothing and exits 0: that is an error here."""
    with pytest.raises(SourceError, match="there is no entry that may be read") as caught:
        await _read(Journal(directory=str(tmp_path)))
    assert caught.value.trouble is Trouble.NOT_AVAILABLE and "systemd-journal" in caught.value.hint
    with pytest.raises(SourceError, match="journal"):
        await _read(Journal(files=[str(tmp_path / "none.journal")]))
    with pytest.raises(SourceError) as damaged:
        (tmp_path / "bad.journal").write_bytes(b"not a journal" * 100)
        await _read(Journal(files=[str(tmp_path / "bad.journal")]))
    assert str(damaged.value).isprintable()


async def test_the_command_beside_gives_the_same(recorded: Path) -> None:
    """The journalctl of the evidence, run by a shell, prints the entries of the window."""
    selection = Selection(
        since_ns=START_NS + 50 * NS, until_ns=START_NS + 50 * NS + 15_000, patterns=(Pattern("boom"),)
    )
    (evidence,) = Journal(files=[str(recorded)]).evidence(selection)
    process = await asyncio.create_subprocess_shell(evidence.command, stdout=asyncio.subprocess.PIPE)
    printed, _ = await process.communicate()
    assert [line.rpartition(b": ")[2].strip() for line in printed.splitlines()] == [b"boom()", b"boom"]


async def test_following_begins_behind_what_is_there(recorded: Path) -> None:
    """Following a journal shows what was asked for first; a journal that is silent gives nothing more."""
    tally = Tally()
    records = Journal(directory=str(recorded.parent)).follow(Selection(tail=2), tally)
    assert [(await anext(records)).time_ns for _ in range(2)] == [START_NS + 198 * NS, START_NS + 199 * NS]
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(records), 0.5)
    await records.aclose()
    assert tally.notes == [] and tally.skipped == []


# a journalctl of our own making --------------------------------------------------------------------------


def _entry(second: int, message: Any, **fields: str) -> str:
    entry = {
        "__REALTIME_TIMESTAMP": str((START_NS // NS + second) * 1_000_000),
        "__CURSOR": f"c{second}",
        "MESSAGE": message,
    }
    return (
        json.dumps({"_TRANSPORT": "stdout", "_SYSTEMD_UNIT": "u.service", "_STREAM_ID": str(second), **entry, **fields})
        + "\n"
    )


@pytest.fixture
def journalctl(tmp_path: Path) -> Callable[..., FakeProgram]:
    return lambda *answers: FakeProgram(tmp_path, "journalctl", *answers)


async def test_entries_of_every_shape_are_read_or_counted(journalctl: Callable[..., FakeProgram]) -> None:
    """Bytes, null, several values, a container's name; what is no entry is counted, never raised."""
    strange = [
        _entry(1, "text"), _entry(2, [98, 121, 116, 101, 115, 255]), _entry(3, None), _entry(4, ["two", "values"]),
        _entry(5, "from a container", CONTAINER_NAME="mesh-1", PRIORITY="3", _TRANSPORT="journal"),
        _entry(6, {"a": 1}), _entry(7, [300]), "not json\n", "[]\n", '{"MESSAGE":"no time"}\n', "\n", '{"MESSAGE":"to',
    ]  # fmt: skip
    program = journalctl(Answer("".join(strange)))
    tally = Tally()
    records = await _read(Journal(program=str(program.path)), tally=tally)
    assert [record.raw for record in records] == [b"text", b"bytes\xff", b"", b"two\nvalues", b"from a container"]
    assert (records[4].file, records[4].node, records[4].level) == ("mesh-1", "mesh-1", None)
    assert tally.cut == 1 and tally.unparsed == 7


async def test_what_is_asked_can_only_be_more(journalctl: Callable[..., FakeProgram]) -> None:
    """The window is pushed down wider by what times may differ; levels as priorities or transports; patterns not."""
    program = journalctl(Answer(_entry(1, "x")))
    selection = Selection(
        START_NS + 5, START_NS + NS, frozenset((Level.ERROR, Level.FATAL)), patterns=(Pattern("boom"),), nodes=("n",)
    )
    await _read(Journal(["-u"], identifiers=["a b"], program=str(program.path)), selection)
    asked = program.asked[0]
    since, until = (next(one for one in asked if one.startswith(flag)) for flag in ("--since=@", "--until=@"))
    assert float(since[9:]) <= START_NS / NS - 2 and float(until[9:]) >= START_NS / NS + 1 + 900
    assert asked[-7:] == [
        "PRIORITY=0",
        "PRIORITY=1",
        "PRIORITY=2",
        "PRIORITY=3",
        "+",
        "_TRANSPORT=stdout",
        "_TRANSPORT=journal",
    ]
    assert "--unit=-u" in asked and "--identifier=a b" in asked
    assert not any("boom" in one or "--grep" in one or "--priority" in one for one in asked)


@pytest.mark.parametrize(
    ("stderr", "trouble", "told"),
    [
        ("No journal files were opened due to insufficient permissions.\n", Trouble.FORBIDDEN, "systemd-journal"),
        ("Failed to open files: Permission denied\n", Trouble.FORBIDDEN, "sudo"),
        ("journalctl: unrecognized option '--output-fields=X'\n", Trouble.NOT_AVAILABLE, "too old"),
        ("Failed to parse timestamp: x\n", Trouble.REJECTED, "refuses the question"),
        ("odd \x1b[31m" + "x" * 100_000, Trouble.OTHER, "exit code 1"),
        ("", Trouble.OTHER, "exit code 1"),
    ],
)
async def test_a_failure_is_one_sentence(
    journalctl: Callable[..., FakeProgram], stderr: str, trouble: Trouble, told: str
) -> None:
    """What journalctl says becomes one printable sentence of bounded length, with what to try."""
    program = journalctl(Answer(stderr=stderr, code=1))
    with pytest.raises(SourceError, match=told) as caught:
        await _read(Journal(program=str(program.path)))
    assert caught.value.trouble is trouble and str(caught.value).isprintable() and len(str(caught.value)) < 600
    assert caught.value.hint or isinstance(caught.value, QueryError)


async def test_what_may_not_be_seen_is_told(journalctl: Callable[..., FakeProgram]) -> None:
    """A user who sees only their own messages is told so, once, beside the records."""
    hint = "Hint: You are currently not seeing messages from other users and the system.\n      Users in 'adm' can.\n"
    program = journalctl(Answer(_entry(1, "mine"), stderr=hint))
    tally = Tally()
    assert len(await _read(Journal(program=str(program.path)), Selection(tail=5), tally)) == 1
    assert len(tally.notes) == 1 and "not seen" in tally.notes[0]


async def test_a_journalctl_that_is_missing_or_killed_is_told(
    journalctl: Callable[..., FakeProgram], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No traceback from either."""
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    with pytest.raises(SourceError, match="journalctl is not installed here") as caught:
        await _read(Journal())
    assert caught.value.trouble is Trouble.NOT_AVAILABLE and caught.value.hint
    script = tmp_path / "suicidal"
    script.write_text("#!/bin/sh\nkill -9 $$\n")
    script.chmod(0o755)
    with pytest.raises(SourceError, match="signal 9"):
        await _read(Journal(program=str(script)))


async def test_the_program_ends_when_the_reader_does(journalctl: Callable[..., FakeProgram]) -> None:
    """A reader that has enough leaves no journalctl behind, even one that does not want to end."""
    program = journalctl(Answer("".join(_entry(second, f"m{second}") for second in range(2000)), hangs=True))
    async with aclosing(Journal(program=str(program.path)).records(Selection(head=3), Tally())) as records:
        assert [record.raw async for record in records] == [b"m0", b"m1", b"m2"]
    assert program.asked and program.running == []


async def test_following_goes_on_when_journalctl_ends(journalctl: Callable[..., FakeProgram]) -> None:
    """journalctl ends while it is followed: it is started again where it stopped, and nothing comes twice."""
    program = journalctl(
        Answer(_entry(1, "m1") + _entry(2, "m2"), when=("--follow",), once=True),
        Answer(_entry(1, "m1") + _entry(2, "m2") + _entry(3, "m3"), when=("--follow",), hangs=True),
        Answer(_entry(0, "m0")),
    )
    tally = Tally()
    records = Journal(program=str(program.path)).follow(EVERYTHING, tally)
    async with asyncio.timeout(20):
        assert [(await anext(records)).raw for _ in range(3)] == [b"m1", b"m2", b"m3"]
    await records.aclose()
    assert "read on after a break" in tally.notes[0]
    assert program.running == []
