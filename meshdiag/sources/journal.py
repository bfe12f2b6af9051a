"""systemd's journal as a log source, read through ``journalctl -o json``.

    Journal(
        units=("mesh-trainer", "mesh-*"),   as journalctl --unit takes them
        identifiers=("sshd",),              as --identifier
        kernel=False,                       only the kernel's messages, of any boot (-k without its limit to one)
        files=(), directory="",             journal files of another machine, instead of this one's journal
        formats=(), zone=UTC,               the user's own log formats; the zone of times that name none
    )

What a service prints comes to the journal line by line, at priority 6 whatever it says. So the message is read like
any log line: the level that it states counts for what came by ``stdout`` or from a program's own journal call, and
lines that continue a record (a stack trace) are put back together. For the kernel, syslog and audit, the priority
is the level. Levels are therefore pushed down as "this priority, or by stdout or journal", never as ``--priority``;
and patterns are not pushed down at all, because ``--grep`` would tear records apart.

Sources: journalctl(1), systemd.journal-fields(7), and what journalctl 252 does: with ``--since``, ``-n`` gives the
first lines of the window, so the last ones are asked for in reverse; a journal that is not there, or may not be
read, is no error and no word with ``-o json``, so nothing at all is looked into; ``--until`` includes its moment.
"""

from __future__ import annotations

import asyncio
import shlex
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import orjson

from meshdiag.errors import QueryError, SourceError, Trouble
from meshdiag.logs.assembling import Origin
from meshdiag.logs.levels import Scale, level_of, numbers_of
from meshdiag.logs.record import NS
from meshdiag.model import Evidence
from meshdiag.sources.streams.evidence import piped_through_grep
from meshdiag.sources.streams.following import Following
from meshdiag.sources.streams.lines import Line
from meshdiag.sources.streams.process import LineProcess, printable
from meshdiag.sources.streams.window import Log, Reader, window
from meshdiag.spelling import did_you_mean

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from datetime import tzinfo

    from meshdiag.logs.formats import Format
    from meshdiag.logs.record import Record
    from meshdiag.logs.selection import Selection
    from meshdiag.logs.tally import Tally
    from meshdiag.sources.streams.window import Ask

FIELDS = (
    "CONTAINER_NAME", "MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER", "_COMM", "_HOSTNAME", "_PID", "_STREAM_ID",
    "_SYSTEMD_UNIT", "_SYSTEMD_USER_UNIT", "_TRANSPORT",
)  # fmt: skip
"""Fields that are asked for, as long as no condition of the user's may name others: a core dump is a field too."""
OWN_LEVEL = ("stdout", "journal")
"""Transports whose messages may state a level of their own."""
LONGEST = 16 << 20
"""Bytes of one entry as JSON (a byte of a message that is not UTF-8 takes four)."""
MOST_TURNED = 100_000
"""Entries that are held to be turned round; a larger number is read from the front."""
MICRO = 1000
PROBE_S = 10.0
SMALL = 1 << 20
NO_RIGHT = "use sudo, or join the group systemd-journal (or adm)"


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which entries are meant, see the module, and where the journal is."""

    units: tuple[str, ...] = ()
    identifiers: tuple[str, ...] = ()
    kernel: bool = False
    files: tuple[str, ...] = ()
    directory: str = ""

    @property
    def place(self) -> list[str]:
        """The flags for where the journal is."""
        return [
            *(f"--file={file}" for file in self.files),
            *([f"--directory={self.directory}"] if self.directory else []),
        ]

    def flags(self) -> list[str]:
        """The flags for the place, units and identifiers."""
        return [
            *self.place,
            *(f"--unit={unit}" for unit in self.units),
            *(f"--identifier={one}" for one in self.identifiers),
        ]

    def matches(self, selection: Selection) -> list[str]:
        """The terms that no wanted entry fails: the kernel's, and levels as far as priorities tell them."""
        kernel = ["_TRANSPORT=kernel"] if self.kernel else []
        if selection.levels is None:
            return kernel
        priorities = [f"PRIORITY={number}" for number in numbers_of(selection.levels, Scale.SYSLOG)]
        if self.kernel:
            return [*kernel, *priorities]
        return [*priorities, *(["+"] if priorities else []), *(f"_TRANSPORT={one}" for one in OWN_LEVEL)]


class Journal:
    """The journal. See the module for the arguments; ``program`` is the journalctl to run."""

    def __init__(
        self,
        units: Sequence[str] = (),
        *,
        identifiers: Sequence[str] = (),
        kernel: bool = False,
        files: Sequence[str] = (),
        directory: str = "",
        program: str = "journalctl",
        formats: Sequence[Format] = (),
        zone: tzinfo = UTC,
    ) -> None:
        self._chosen = Chosen(tuple(units), tuple(identifiers), kernel, tuple(files), directory)
        self._program = program
        self._formats = tuple(formats)
        self._zone = zone

    @property
    def name(self) -> str:
        """``journal``, and where it is when it is not this machine's own."""
        return " ".join(("journal", *self._chosen.files, self._chosen.directory)).strip()

    async def aclose(self) -> None:
        """Nothing is held between calls."""

    def records(self, selection: Selection, tally: Tally) -> AsyncGenerator[Record, None]:
        """The wanted records, oldest first."""
        return window(self._reader(selection), selection, tally)

    def follow(self, selection: Selection, tally: Tally) -> AsyncGenerator[Record, None]:
        """Wanted records as they are written."""
        return Following(self._reader(selection), selection, tally).records()

    def evidence(self, selection: Selection) -> tuple[Evidence, ...]:
        """The journalctl command, with times and output for a person."""
        words = ["journalctl", "--no-pager", "--output=short-iso-precise", *self._chosen.flags()]
        if selection.since_ns is not None:
            words.append(f"--since={_utc(selection.since_ns)}")
        if selection.until_ns is not None:
            words.append(f"--until={_utc(selection.until_ns)}")
        words += self._chosen.matches(selection)
        return (Evidence(self.name, piped_through_grep(shlex.join(words), selection)),)

    def _reader(self, selection: Selection) -> Reader:
        return Reader(_Entries(self.name, self._program, self._chosen, selection), self._formats, self._zone)


class _Entries:
    """The entries as one log."""

    repeats = False

    def __init__(self, name: str, program: str, chosen: Chosen, selection: Selection) -> None:
        self._name = name
        self._program = program
        self._chosen = chosen
        self._matches = chosen.matches(selection)
        fields_named = selection.where is not None or selection.field is not None
        self._output = [] if fields_named else [f"--output-fields={','.join(FIELDS)}"]
        self._questioned = False

    async def logs(self, tally: Tally) -> list[Log]:
        """The journal, which is one."""
        del tally
        return [Log("journal", Origin(self._name), life="1")]

    async def changes(self) -> AsyncGenerator[list[Log], None]:
        """It stays the same for ever."""
        yield [Log("journal", Origin(self._name), life="1")]
        await asyncio.Event().wait()

    async def lines(self, log: Log, ask: Ask, tally: Tally) -> AsyncGenerator[list[Line], None]:
        """The messages, as lines with what their entries say of them."""
        turned = ask.tail is not None and ask.tail <= MOST_TURNED
        async with self._run(self._arguments(ask, turned=turned)) as process:
            held: list[Line] = []
            seen: set[str] = set()
            async for batch in process.batches():
                lines = [line for entry in batch if (line := _line(entry, tally)) is not None]
                for line in lines:
                    seen |= _names(line)
                if turned:
                    held += lines
                elif lines:
                    yield lines
            if held:
                yield held[::-1]
            tally.cut += process.cut
            await self._judge(process, tally)
        if ask.follow:
            raise self._error(Trouble.TRUNCATED, "journalctl ended while it was followed", "")
        await self._question_silence(seen, tally)

    def _arguments(self, ask: Ask, *, turned: bool) -> list[str]:
        arguments = ["--output=json", "--all", *self._output, *self._chosen.flags()]
        if ask.since_ns is not None:
            arguments.append(f"--since={_epoch(ask.since_ns)}")
        if ask.until_ns is not None:
            arguments.append(f"--until={_epoch(ask.until_ns + MICRO - 1)}")
        if ask.follow:
            arguments += ["--follow", "--no-tail"]
        if turned:
            arguments += ["--reverse", f"--lines={ask.tail}"]
        return arguments + self._matches

    def _run(self, arguments: list[str]) -> LineProcess:
        return LineProcess(
            [self._program, "--no-pager", *arguments],
            source=self._name,
            hint="systemd keeps a journal; where it does not run, name the log files instead",
            environment={"LC_ALL": "C", "SYSTEMD_COLORS": "0"},
            limit=LONGEST,
        )

    async def _judge(self, process: LineProcess, tally: Tally) -> None:
        """What it said and how it ended. Raises ``SourceError`` for a failure."""
        code = await process.exit_code()
        said = " ".join(process.said)
        if code != 0:
            raise self._failure(said, code)
        if "not seeing messages" in said:
            note = f"{self._name}: messages of other users and of the system are not seen; {NO_RIGHT}"
            if note not in tally.notes:
                tally.notes.append(note)

    def _failure(self, said: str, code: int) -> SourceError:
        if "ermission" in said:
            return self._error(Trouble.FORBIDDEN, f"it may not be read ({said})", NO_RIGHT)
        if "unrecognized option" in said or "invalid option" in said:
            return self._error(
                Trouble.NOT_AVAILABLE, f"this journalctl is too old ({said})", "systemd 236 or newer is needed"
            )
        if "Failed to parse" in said or "Failed to add" in said or "terms" in said:
            return QueryError(f"{self._name}: it refuses the question ({said})", source=self._name)
        how = f"was ended by signal {-code}" if code < 0 else f"failed with exit code {code}"
        return self._error(Trouble.OTHER, f"journalctl {how}{f' ({said})' if said else ''}", "try it by hand")

    # what silence means ------------------------------------------------------------------------------------

    async def _question_silence(self, seen: set[str], tally: Tally) -> None:
        """Tell silence from a journal that is not there and from names that nobody bears. Raises ``SourceError``."""
        if self._questioned:
            return
        self._questioned = True
        if not seen and not await self._ask_once(["--output=cat", "--lines=1", "--output-fields=PRIORITY"]):
            raise self._error(
                Trouble.NOT_AVAILABLE,
                "there is no entry that may be read",
                f"does journald keep one here (a container has none)? {NO_RIGHT}",
            )
        unknown = [
            *await self._unknown([_full(unit) for unit in self._chosen.units], seen, "_SYSTEMD_UNIT", "UNIT"),
            *await self._unknown(self._chosen.identifiers, seen, "SYSLOG_IDENTIFIER"),
        ]
        if unknown and not seen:
            raise unknown[0]
        tally.skipped += map(str, unknown)

    async def _unknown(self, names: Sequence[str], seen: set[str], *fields: str) -> list[SourceError]:
        """What to say of the names that no entry of the whole journal bears."""
        missing = [name for name in names if not any(fnmatchcase(one, name) for one in seen)]
        if not missing:
            return []
        known = {value for field in fields for value in await self._ask_once([f"--field={field}"])}
        return [
            self._error(
                Trouble.NOT_FOUND,
                f"it has nothing of {name}",
                did_you_mean(name, sorted(map(printable, known)), f"see journalctl -F {fields[0]}"),
            )
            for name in missing
            if not any(fnmatchcase(one, name) for one in known)
        ]

    async def _ask_once(self, arguments: list[str]) -> list[str]:
        """The lines of a short answer."""
        async with self._run([*self._chosen.place, *arguments]) as process:
            answer = await process.output(SMALL, PROBE_S)
            if (code := await process.exit_code()) != 0:
                raise self._failure(" ".join(process.said), code)
        return answer.decode("utf-8", "replace").splitlines()

    def _error(self, trouble: Trouble, what: str, hint: str) -> SourceError:
        return SourceError(f"{self._name}: {what}", trouble=trouble, source=self._name, hint=hint)


def _line(raw: bytes, tally: Tally) -> Line | None:
    """An entry as a line; None for what is none."""
    try:
        entry = orjson.loads(raw)
        message = _bytes(entry.get("MESSAGE"))
        taken_ns = int(entry["__REALTIME_TIMESTAMP"]) * MICRO
    except (ValueError, KeyError, TypeError, AttributeError):
        tally.unparsed += 1
        return None
    tally.cut += "MESSAGE" in entry and entry["MESSAGE"] is None
    transport, container = _text(entry, "_TRANSPORT"), _text(entry, "CONTAINER_NAME")
    identifier = _text(entry, "SYSLOG_IDENTIFIER") or _text(entry, "_COMM")
    unit = _text(entry, "_SYSTEMD_USER_UNIT") or _text(entry, "_SYSTEMD_UNIT")
    origin = Origin(
        file=container or unit or identifier or transport,
        node=container or _text(entry, "_HOSTNAME"),
        component=identifier,
        # A container engine's priority tells the stream, not the gravity.
        level=None if container else level_of(_text(entry, "PRIORITY"), Scale.SYSLOG),
        fields={key: value for key, value in entry.items() if key != "MESSAGE" and not key.startswith("__")},
        firm=transport not in OWN_LEVEL,
    )
    stream = _text(entry, "_STREAM_ID") or _text(entry, "_PID")
    channel = f"{container or identifier}/{transport}/{stream if transport == 'stdout' else ''}"
    return Line(message.rstrip(b"\n"), taken_ns, channel, origin, whole=transport != "stdout" and not container)


def _names(line: Line) -> set[str]:
    return {line.origin.file, line.origin.component} if line.origin is not None else set()


def _bytes(value: Any) -> bytes:
    """A field's value: text, the bytes of what is not printable text, several values, or null for one too large."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    if isinstance(value, list):
        if all(isinstance(one, int) for one in value):
            return bytes(value)
        return b"\n".join(_bytes(one) for one in value)
    if value is None:
        return b""
    raise TypeError("neither text nor bytes")


def _text(entry: dict[str, Any], key: str) -> str:
    try:
        return _bytes(entry.get(key)).decode("utf-8", "replace")
    except (TypeError, ValueError):
        return ""


def _full(unit: str) -> str:
    """A unit's whole name, as systemd completes it."""
    return unit if "." in unit or "*" in unit else f"{unit}.service"


def _epoch(time_ns: int) -> str:
    """``@seconds.micros``, rounded down."""
    seconds, fraction = divmod(max(time_ns, 0), NS)
    return f"@{seconds}.{fraction // MICRO:06d}"


def _utc(time_ns: int) -> str:
    """A moment as journalctl reads it and a person too."""
    seconds, fraction = divmod(time_ns, NS)
    moment = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
    return f"{moment}{f'.{fraction // MICRO:06d}' if fraction else ''} UTC"
